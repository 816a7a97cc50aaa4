"""Tagging from data in memory: learns, keeps, loads, answers."""

import copy
import itertools
import json
import pickle

import numpy as np
import pytest
from click.testing import CliRunner
from tag_helpers import FILLERS, PEOPLE, SURNAMES, TOWNS, recordings, sentences, small

from recurra import Tagger, load
from recurra.cli import main
from recurra.data.texts.tag_schemes import broken_tags
from recurra.data.texts.tagged_lists import listed_tokens
from recurra.errors import ConfigError, DataError, RecurraWarning
from recurra.tasks.inputs.item_batches import padded_features


def right(found, actual):
    """The share of tags that are right."""
    hits = [np.array(one) == other for one, other in zip(found, actual, strict=True)]
    return np.concatenate(hits).mean()


@pytest.mark.parametrize("kind", ["names", "parts", "series"])
def test_each_kind_is_learnt(trained, kind):
    model = trained(kind)
    if kind == "series":
        contents, actual = recordings(20, seed=1)
    else:
        contents, *tags = sentences(40, seed=1)
        actual = tags[kind == "parts"]
    found = model.predict(contents)
    assert [len(each) for each in found] == [len(each) for each in contents]
    assert right(found, actual) > 0.93
    figures = model.evaluate(list(zip(contents, actual, strict=True)))
    assert figures["accuracy"] == pytest.approx(right(found, actual))
    assert model.score(contents, actual) == figures["score"]
    assert figures["score"] == figures["f1" if kind == "names" else "accuracy"]
    assert "f1" not in figures or kind == "names"


def test_the_score_of_names_is_the_f1_of_whole_names(trained):
    model = trained("names", max_steps=20)
    tokens, actual, _ = sentences(60, seed=2)
    ours, theirs = (set(spans(tags)) for tags in (model.predict(tokens), actual))
    assert 0.05 < model.score(tokens, actual) < 1
    f1 = 2 * len(ours & theirs) / (len(ours) + len(theirs))
    assert model.score(tokens, actual) == pytest.approx(f1)


def spans(sequences):
    """Item, kind, first and last place of each name of tags that keep to BIO."""
    for number, tags in enumerate(sequences):
        for first, tag in enumerate(tags):
            if tag[0] == "B":
                last = first
                while tags[last + 1 : last + 2] == [f"I-{tag[2:]}"]:
                    last += 1
                yield number, tag[2:], first, last


def test_probabilities_are_of_each_step_and_known_by_their_names(trained):
    model = trained("parts")
    tokens, _, parts = sentences(5, seed=3)
    for chances, tags, found in zip(
        model.predict_proba(tokens), parts, model.predict(tokens), strict=True
    ):
        assert chances.shape == (len(tags), len(model.classes_))
        np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
        assert model.classes_[chances.argmax(1)].tolist() == found


@pytest.mark.parametrize("crf", [True, False])
def test_tags_never_break_their_scheme(trained, crf):
    model = trained("names", max_steps=20, **({} if crf else {"crf": False}))
    generator = np.random.default_rng(0)
    words = [*PEOPLE, *SURNAMES, *TOWNS, *FILLERS]
    mixed = [generator.choice(words, size=n).tolist() for n in range(1, 30)]
    assert not [tags for tags in model.predict(mixed) if broken_tags(tags, "bio")]
    product = model._ready()
    assert product.nets[0].learnt == (crf,)
    if not crf:  # else the likeliest tag of each word alone isn't what is decoded
        items = listed_tokens(mixed, labels=False)
        inputs = padded_features([product.input.features(product.input.open(i)) for i in items])
        alone = product.scores(*inputs).argmax(-1).T.tolist()
        assert any(broken_tags(product.layers[0].decode(row), "bio") for row in alone)


@pytest.mark.parametrize("kind", ["names", "both", "series"])
def test_a_loaded_run_answers_the_same(trained, kind):
    model = trained(kind)
    contents = recordings(4, seed=3)[0] if kind == "series" else sentences(6, seed=3)[0]
    again = load(model.run.path)
    assert isinstance(again, Tagger)
    assert again.predict(contents) == model.predict(contents)
    assert again.predictions(contents) == model.predictions(contents)


def test_answers_do_not_depend_on_what_is_beside_them(trained):
    model = trained("names")
    tokens = sentences(12, seed=4)[0]
    for whole, each in zip(model.predict_proba(tokens), tokens, strict=True):
        np.testing.assert_allclose(model.predict_proba([each])[0], whole, atol=1e-6)


def test_layers_are_trained_together(trained):
    model = trained("both")
    tokens, names, parts = sentences(30, seed=5)
    found = model.predict(tokens)
    assert set(found) == {"ner", "pos"} == set(model.classes_)
    assert right(found["ner"], names) > 0.9
    assert right(found["pos"], parts) > 0.9
    figures = model.evaluate(model._paired(tokens, {"ner": names, "pos": parts}))
    assert figures["score"] == pytest.approx((figures["ner_f1"] + figures["pos_accuracy"]) / 2)
    with pytest.raises(DataError, match=r"item 0: has no tags of layer 'ner'; its layers are 'a'"):
        model.evaluate([(tokens[0], {"a": names[0], "pos": parts[0]})])
    learnt = {layer.name: layer.scheme for layer in model._ready().layers}
    assert learnt == {"ner": "bio", "pos": None}
    assert model._ready().nets[0].learnt == (True, False)


def test_texts_that_are_not_divided_are_tagged_with_their_words(trained):
    model = trained("names")
    (tokens,) = model.tokens(["Ann Li met Dan near New York."])
    assert tokens == ["Ann", "Li", "met", "Dan", "near", "New", "York", "."]
    (tags,) = model.predict(["Ann Li met Dan near New York."])
    assert tags[:7] == ["B-PER", "I-PER", "O", "B-PER", "O", "B-LOC", "I-LOC"]
    (row,) = model.predictions(["Ann Li met Dan near New York."])
    assert row["token"] == tokens
    assert row["tag"] == tags


def test_tokens_are_taken_as_they_are(trained):
    model = trained("names")
    assert model.tokens([["New York", "n't"]]) == [["New York", "n't"]]
    assert len(model.predict([["New York", "n't"]])[0]) == 2


def test_a_data_frame_has_a_row_for_each_token():
    pandas = pytest.importorskip("pandas")
    rows = {"sentence": np.repeat(np.arange(20), 2), "word": ["a", "cat"] * 20}
    frame = pandas.DataFrame({**rows, "tag": ["DET", "NOUN"] * 20})
    model = small(max_steps=2, hidden=4).fit(frame)
    assert model.validation["tags"] == 4
    assert [len(tags) for tags in model.predict(frame)] == [2] * 20
    frame.loc[5, "tag"] = None
    with pytest.raises(DataError, match="line 7: 'cat' has no tag"):
        small(max_steps=2, bad_share=0.0).fit(frame)


def test_words_that_training_lacks_have_a_figure_of_their_own(trained):
    model = trained("parts")
    figures = model.evaluate([(["Ann", "met", "Zed"], ["PROPN", "VERB", "X"])])
    assert figures["unknown_share"] == pytest.approx(1 / 3)
    assert figures["unknown_accuracy"] == 0  # of a tag that training lacks
    assert figures["accuracy"] == pytest.approx(2 / 3)
    assert any("'X'" in remark for remark in figures.remarks)


def test_tags_of_another_scheme_are_measured_in_that_of_the_model(trained):
    model = trained("names")
    tokens, tags = ["Ann", "Li", "met", "Bob"], ["B-PER", "E-PER", "O", "S-PER"]
    figures = model.evaluate([(tokens, tags)])
    assert figures["accuracy"] == right(model.predict([tokens]), [["B-PER", "I-PER", "O", "B-PER"]])


def test_an_item_that_cannot_be_read_stops_no_other(trained):
    model = trained("names")
    given = [["Ann", "met"], [], ["the", " "], "met Bob"]
    with pytest.warns(RecurraWarning, match="2 of 4 sequences can't be read"):
        found = model.predict(given)
    assert [each is None for each in found] == [False, True, True, False]
    rows = model.predictions(given)
    assert ["error" in row for row in rows] == [False, True, True, False]
    assert "item 1 (from 0): has no token" in rows[1]["error"]
    with pytest.raises(DataError, match="No sequence can be read"):
        model.predict([[]])


def test_weights_are_refused():
    tokens, _, parts = sentences(4)
    with pytest.raises(ConfigError, match=r"sample_weight is given.*several times"):
        small(max_steps=2).fit(tokens, parts, sample_weight=[1.0, 2.0, 1.0, 1.0])


GOOD = (["a", "b"], ["X", "Y"])


@pytest.mark.parametrize(
    ("tokens", "tags", "parts"),
    [
        ([GOOD[0]] * 12, [["X", "X"]] * 12, "one tag alone"),
        ([GOOD[0]] * 12, [GOOD[1]] * 11, "12 sequences and 11 labels"),
        ([*[GOOD[0]] * 3, []], [*[GOOD[1]] * 3, []], r"item 3 \(from 0\): has no token"),
        ([GOOD[0]] * 4, [*[GOOD[1]] * 3, ["X"]], "item 3 .*2 tokens and 1 tags"),
        ([GOOD[0]] * 4, [*[GOOD[1]] * 3, ["X", None]], "item 3 .*each token needs one"),
        ([GOOD[0]] * 4, [*[GOOD[1]] * 3, "XY"], "item 3 .*give a list"),
        (
            [GOOD[0]] * 4,
            [*[{"a": GOOD[1], "b": GOOD[1]}] * 3, {"a": GOOD[1]}],
            "item 3: has one layer of tags, and a, b are needed",
        ),
    ],
)
def test_data_that_cannot_be_used_is_named(tokens, tags, parts):
    with pytest.raises(DataError, match=parts):
        small(max_steps=2, bad_share=0.0).fit(tokens, tags)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"tokens": "characters"}, "leave it out"),
        ({"pooling": "mean"}, "leave it out"),
        ({"weight_column": "weight"}, "weighs all steps alike"),
        ({"input": "text", "pitch": 2}, "it is for sound"),
        ({"input": "text", "window": 8}, "trained on whole"),
        ({"input": "sound"}, "reads series or text"),
        ({"label_column": "upos,upos"}, "several different ones"),
        ({"crf": "yes"}, "crf = 'yes'"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(settings, parts):
    with pytest.raises(ConfigError, match=parts):
        Tagger(**settings)


def test_the_same_seed_gives_the_same_bits_and_a_resumed_run_those_of_the_whole(tmp_path):
    tokens, names, _ = sentences(48)
    how = {"max_steps": 6, "validate_every": 2, "schedule": "constant"}
    runs = [small(**how).fit(tokens, names) for _ in range(2)]
    part = small(**{**how, "max_steps": 3}).fit(tokens, names, out=tmp_path / "run")
    again = Tagger.resuming(part.run.path, {"max_steps": 6})
    again.fit(tokens, names, out=tmp_path / "run", resume=True)
    weights = [run.run.load_model() for run in (*runs, again)]
    for name, whole in weights[0].items():
        assert all((whole == other[name]).all() for other in weights[1:]), name
    assert (weights[0]["fields.0.transitions"] != 0).any()


@pytest.mark.parametrize("kind", ["names", "series"])
def test_any_chunks_give_the_tags_of_the_whole(trained, kind):
    settings = {"subsampling": 2, "crf": True} if kind == "series" else {}
    model = trained(kind, bidirectional=False, **settings)
    contents = recordings(2, seed=8)[0] if kind == "series" else sentences(4, seed=8)[0]
    generator = np.random.default_rng(0)
    name = model._ready().layers[0].name
    for whole in contents:
        session, found = model.session(lag=len(whole)), []
        cuts = [0, *sorted(generator.integers(0, len(whole), 3)), len(whole)]
        for first, last in itertools.pairwise(cuts):
            found += session.feed(whole[first:last])
            again = model.session(lag=len(whole))
            again.restore(session.save())
            session = again
        found += session.finish()
        assert [answer.step for answer in found] == list(range(len(whole)))
        assert [answer.tags[name] for answer in found] == model.predict([whole])[0]
        chances = np.array([answer.probabilities[name] for answer in found])
        np.testing.assert_allclose(chances, model.predict_proba([whole])[0], atol=1e-4)


def test_a_stream_answers_after_every_step_and_keeps_to_the_scheme(trained):
    model = trained("names", bidirectional=False)
    for tokens in sentences(10, seed=9)[0]:
        session = model.session()
        found = [answer for token in tokens for answer in session.feed([token])]
        assert len(found) == len(tokens)
        assert session.finish() == []
        assert not broken_tags([answer.tags["tag"] for answer in found], "bio")


def test_a_model_of_both_directions_has_no_stream(trained):
    with pytest.raises(ConfigError, match="can't be streamed"):
        trained("names").session()


def test_several_networks_answer_by_their_mean(trained):
    model = trained("names", ensemble=2, max_steps=20)
    tokens = sentences(4, seed=6)[0]
    product = model._ready()
    one, two = (net.fields[0].transitions for net in product.nets)
    np.testing.assert_allclose(
        product.field(0).transitions.detach(), ((one + two) / 2).detach(), rtol=1e-6
    )
    assert load(model.run.path).predict(tokens) == model.predict(tokens)


def test_report_and_card_show_tags_and_mistakes(tmp_path):
    tokens, names, parts = sentences(100)
    path = tmp_path / "run"
    small(max_steps=20).fit(tokens, {"ner": names, "pos": parts}, out=path)
    report = (path / "report.html").read_text()
    for part in ("Confusion matrix: pos", "Most confused tags: ner", "Hardest items", ", not B-"):
        assert part in report, part
    card = (path / "README.md").read_text()
    assert "F1 of segments" in card
    assert "| LOC |" in card
    assert "mean of right tags and of F1 over the layers" in card


def test_searches_of_scikit_learn_take_it():
    pytest.importorskip("sklearn")
    from sklearn.base import clone
    from sklearn.model_selection import GridSearchCV

    tokens, names, _ = sentences(24)
    model = small(max_steps=2, hidden=4)
    assert clone(model).get_params() == model.get_params()
    search = GridSearchCV(model, {"layers": [1]}, cv=2).fit(tokens, names)
    assert len(search.predict(tokens[:3])) == 3


def test_it_is_pickled_and_copied_in_memory(trained):
    model = trained("names")
    tokens = sentences(4, seed=7)[0]
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert twin.predict(tokens) == model.predict(tokens)


def test_long_series_are_trained_on_in_windows(tmp_path):
    generator = np.random.default_rng(0)
    values, tags = generator.normal(size=(1500, 2)), np.arange(1500) // 40 % 2
    values[:, 1] += 2 * tags
    model = small(input="series", max_steps=30, bidirectional=False)
    with pytest.warns(RecurraWarning, match=r"steps are trained on in windows of 512"):
        model.fit(values, tags)
    assert model.classes_.tolist() == [0, 1]
    found = model.predict(values)
    assert len(found) == 1500
    assert model.score(values, tags) == pytest.approx(np.mean(found == tags))
    assert model.score(values, tags) > 0.85
    assert model.validation["tags"] == 150  # the last tenth
    assert 0 < model.validation["event_f1"] <= 1
    assert 0.5 < model.validation["frame_f1"] <= 1


@pytest.mark.parametrize("window", [0, 30])
def test_a_field_learns_from_series_some_of_whose_steps_have_no_label(window):
    series, labels = recordings(60)
    for number, own in enumerate(labels):
        own[number % len(own)] = own[-1] = None
    model = small(input="series", crf=True, window=window).fit(series, labels)
    assert model.validation["score"] > 0.93


def test_the_command_line_trains_evaluates_and_predicts(tmp_path):
    tokens, names, parts = sentences(40)
    lines = [
        "".join(f"{word}\t{part}\t{name}\n" for word, part, name in zip(*each, strict=True))
        for each in zip(tokens, parts, names, strict=True)
    ]
    (tmp_path / "a.conll").write_text("\n".join(lines))
    run = str(tmp_path / "run")
    words = ["train", "tag", str(tmp_path / "a.conll"), "--out", run, "--label-column", "2,3"]
    sizes = ["--hidden", "8", "--embedding", "8", "--channels", "4", "--max-steps", "4"]
    result = CliRunner().invoke(main, [*words, *sizes])
    assert result.exit_code == 0, result.output
    result = CliRunner().invoke(main, ["evaluate", run, str(tmp_path / "a.conll"), "--json"])
    assert {"2_accuracy", "3_f1"} <= json.loads(result.stdout).keys()
    (tmp_path / "new.txt").write_text("Ann met Bob.\n\nNew York\n")
    written = {}
    for form in ("csv", "jsonl", "conll"):
        out = tmp_path / f"out.{form}"
        result = CliRunner().invoke(
            main, ["predict", run, str(tmp_path / "new.txt"), "-o", str(out)]
        )
        assert result.exit_code == 0, result.output
        written[form] = out.read_text().splitlines()
    assert written["csv"][0] == "item,step,token,2,2_probability,3,3_probability"
    assert written["csv"][5].startswith("new.txt:3,1,New,")
    row = json.loads(written["jsonl"][0])
    assert row["token"] == ["Ann", "met", "Bob", "."]
    tagged = [line.split("\t") for line in written["conll"]]
    assert [cells[0] for cells in tagged] == ["Ann", "met", "Bob", ".", "", "New", "York", ""]
    assert [cells[1] for cells in tagged[:4]] == row["2"]


def test_series_keep_their_scheme_where_labels_are_missing(tmp_path):
    series, labels = recordings(40)
    for own in labels:
        tags = [
            "O" if tag == "idle" else f"{'I' if tag == before else 'B'}-{tag}"
            for before, tag in zip([None, *own], own, strict=False)
        ]
        own[:] = [
            None if n % 9 == 0 or (tag == "O" and n % 5) else tag for n, tag in enumerate(tags)
        ]
    model = small(input="series").fit(series, labels, out=tmp_path / "run")
    (layer,) = model._ready().layers
    assert (layer.scheme, "O" in layer.tags) == ("bio", True)
    assert layer.encode(["B-up", "", "I-up"])[1] < 0
    logged = map(json.loads, (tmp_path / "run/metrics.jsonl").read_text().splitlines())
    best = max(row["validation"]["score"] for row in logged if "validation" in row)
    assert 0 < best < 1
    assert model.validation["f1"] == pytest.approx(best)
