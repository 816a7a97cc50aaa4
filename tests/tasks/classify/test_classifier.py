"""Classification from data in memory: learns, keeps, loads, answers."""

import copy
import json
import math
import pickle
from collections import Counter

import numpy as np
import pytest
import torch
from classify_helpers import examples, small
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra import Classifier, load
from recurra.cli import main
from recurra.data.transcripts.chosen_rows import hold_out_of_classes
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError, RecurraWarning

KINDS = ("series", "text", "sound", "ink", "image")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_learnt(trained, kind):
    model = trained(kind)
    contents, labels = examples(kind, 60, seed=1)
    assert model.score(contents, labels) >= 0.9
    found = model.predict(contents)
    assert np.mean(found == labels) == pytest.approx(model.score(contents, labels))
    chances = model.predict_proba(contents)
    assert chances.shape == (60, len(model.classes_))
    np.testing.assert_allclose(chances.sum(1), 1, rtol=1e-6)
    assert (model.classes_[chances.argmax(1)] == found).all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_loaded_run_answers_the_same(trained, kind):
    model = trained(kind)
    contents, labels = examples(kind, 12, seed=2)
    again = load(model.run.path)
    assert isinstance(again, Classifier)
    assert (again.predict_proba(contents) == model.predict_proba(contents)).all()
    assert again.evaluate(list(zip(contents, labels, strict=True))) == model.evaluate(
        list(zip(contents, labels, strict=True))
    )


def test_answers_do_not_depend_on_what_is_beside_them(trained):
    model = trained("series")
    contents, _ = examples("series", 20, seed=3)
    together = model.predict_proba(contents)
    alone = np.concatenate([model.predict_proba([each]) for each in contents])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_same_seed_gives_the_same_bits_and_a_resumed_run_those_of_the_whole(tmp_path):
    data = examples("series", 48)
    how = {"max_steps": 12, "validate_every": 4, "schedule": "constant"}
    runs = [small("series", **how).fit(*data) for _ in range(2)]
    part = small("series", **{**how, "max_steps": 6}).fit(*data, out=tmp_path / "run")
    again = Classifier.resuming(part.run.path, {"max_steps": 12})
    again.fit(*data, out=tmp_path / "run", resume=True)
    weights = [run.run.load_model() for run in (*runs, again)]
    for name, whole in weights[0].items():
        assert all(torch.equal(whole, other[name]) for other in weights[1:]), name


def test_classes_that_are_whole_numbers_come_back_as_such():
    contents, labels = examples("series", 48)
    numbers = [{"slow": 10, "fast": 9, "mixed": -1}[label] for label in labels]
    model = small("series", max_steps=4).fit(contents, numbers)
    assert model.classes_.tolist() == [-1, 9, 10]
    assert model.predict(contents[:3]).dtype == np.int64


@pytest.mark.parametrize("layout", ["steps,channels", "channels,steps"])
def test_both_orders_of_axes_are_recognised(trained, layout):
    contents, labels = examples("series", 48)
    turned = [each.T if layout == "channels,steps" else each for each in contents]
    with pytest.warns(RecurraWarning, match="the axis that differs is time"):
        model = small("series", max_steps=4).fit(turned, labels)
    assert model.run.config["context"]["layout"] == layout
    square = turned[0][:, :2] if layout == "channels,steps" else turned[0][:2]
    assert model.predict_proba([square]).shape == (1, 3)  # of which axis is which the run knows


def test_a_sequence_that_cannot_be_read_stops_no_other(trained):
    model = trained("series")
    contents, _ = examples("series", 5, seed=4)
    contents[2] = np.full((7, 2), np.inf)
    with pytest.warns(RecurraWarning, match="1 of 5 sequences can't be read: "):
        found = model.predict(contents)
    assert found[2] is None
    assert all(isinstance(found[n], str) for n in (0, 1, 3, 4))
    with pytest.warns(RecurraWarning, match="can't be read"):
        chances = model.predict_proba(contents)
    assert np.isnan(chances).all(1).tolist() == [False, False, True, False, False]
    good = [contents[n] for n in (0, 1, 3, 4)]
    np.testing.assert_allclose(chances[[0, 1, 3, 4]], model.predict_proba(good), atol=1e-6)
    rows = model.predictions(contents)
    assert "error" in rows[2]
    assert rows[3]["prediction"] == found[3]
    with pytest.raises(DataError, match="No sequence can be read"):
        model.predict([contents[2]])


def test_several_labels_of_an_item():
    generator = np.random.default_rng(0)
    contents, labels = [], []
    for _ in range(160):
        chosen = [name for name in ("up", "down") if generator.random() < 0.5]
        wave = generator.normal(size=(20, 2)) * 0.1
        wave[:, 0] += np.linspace(-1, 1, 20) * ("up" in chosen)
        wave[:, 1] -= np.linspace(-1, 1, 20) * ("down" in chosen)
        contents.append(wave)
        labels.append(chosen)
    model = small("series", several=True, max_steps=120).fit(contents[:120], labels[:120])
    figures = model.evaluate(list(zip(contents[120:], labels[120:], strict=True)))
    assert figures["accuracy"] > 0.8
    assert figures["micro_f1"] > 0.9
    chances = model.predict_proba(contents[120:])
    for row, text in zip(chances, model.predict(contents[120:]), strict=True):
        wanted = [n for n, p in zip(model.classes_, row, strict=True) if p >= 0.5]
        assert text == "|".join(wanted)


def test_rare_classes_count_as_much_where_they_are_to():
    contents, labels = examples("series", 90)
    few = [n for n, label in enumerate(labels) if label != "mixed" or n % 9 == 2]
    model = small("series", class_weights="balanced", max_steps=2)
    model.fit([contents[n] for n in few], [labels[n] for n in few])
    weights = dict(zip(model.classes_, model.run.config["context"]["class_weights"], strict=True))
    assert weights["mixed"] > 2 * weights["slow"] == pytest.approx(2 * weights["fast"], rel=0.1)


def test_a_model_of_one_direction_says_when_enough_is_read(trained):
    model = trained("series", bidirectional=False, pooling="last")
    contents, labels = examples("series", 40, seed=5)
    figures = model.evaluate(list(zip(contents, labels, strict=True)))
    assert 0 < figures["early_read"] <= 1
    assert figures["early_accuracy"] > figures["accuracy"] - 0.15
    product = model._ready()
    opened = [product.input.open(item) for item in _items(contents)]
    for table, whole in zip(product.along(opened), model.predict_proba(contents), strict=True):
        np.testing.assert_allclose(table[-1], whole, atol=1e-5)
    again = load(model.run.path)
    assert again._ready().rule == product.rule


def _items(contents):
    from recurra.data.sequences.sequence_sources import read_sequences

    return read_sequences(contents, texts=False, layout="steps,channels").items


def test_labels_that_training_lacks_are_errors_and_told(trained):
    model = trained("series")
    contents, labels = examples("series", 9, seed=6)
    figures = model.evaluate(list(zip(contents, [*labels[:8], "new"], strict=True)))
    assert figures["accuracy"] <= 8 / 9
    assert any("'new'" in remark for remark in figures.remarks)


def test_probabilities_are_calibrated_on_the_held_out_part(trained):
    model = trained("text")
    assert model._ready().temperature.value > 0
    assert math.isfinite(model.validation["ece"])


def test_report_and_card_show_classes_and_mistakes(trained):
    path = trained("series").run.path
    report = (path / "report.html").read_text()
    for part in ("Confusion matrix", "Most confused classes", "slow", "of the items right"):
        assert part in report, part
    card = (path / "README.md").read_text()
    assert "precision" in card
    assert "pipeline_tag" not in card
    texts = (trained("text").run.path / "README.md").read_text()
    assert 'pipeline_tag: "text-classification"' in texts


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (([np.zeros((5, 1))] * 4, ["a"] * 4), "one class alone"),
        (([np.zeros((5, 1))] * 4, ["a"] * 3), "4 sequences and 3 labels"),
        (([np.zeros((5, 1)), np.zeros((6, 2))] * 4, ["a", "b"] * 4), "channel"),
        (([np.zeros((0, 1))] * 4, ["a", "b"] * 2), "give at least one of both"),
        (([], []), "no"),
    ],
)
def test_data_that_cannot_be_used_is_named(given, parts):
    with pytest.raises(DataError, match=parts):
        Classifier(input="series", max_steps=2).fit(*given)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        ({"input": "series", "tokens": "characters"}, "it is for text"),
        ({"several": True, "label_smoothing": 0.1}, "a question of its own"),
        ({"separator": ","}, "several = false"),
        ({"window": 8}, "whole items"),
        ({"pooling": "median"}, "pooling"),
    ],
)
def test_settings_that_contradict_one_another_are_refused(settings, parts):
    with pytest.raises(ConfigError, match=parts):
        Classifier(**settings)


def test_the_command_line_trains_evaluates_and_predicts(tmp_path):
    contents, labels = examples("text", 60)
    rows = "".join(f"{text},{label}\n" for text, label in zip(contents, labels, strict=True))
    (tmp_path / "texts.csv").write_text("text,label\n" + rows)
    (tmp_path / "new.csv").write_text("text\nthe film was lovely\n\na sad story\n")
    small_words = ["--hidden", "8", "--embedding", "8", "--channels", "4", "--max-steps", "4"]
    run = str(tmp_path / "run")
    words = ["train", "classify", str(tmp_path / "texts.csv"), "--out", run, *small_words]
    result = CliRunner().invoke(main, words)
    assert result.exit_code == 0, result.output
    assert "accuracy" in result.stdout
    result = CliRunner().invoke(main, ["evaluate", run, str(tmp_path / "texts.csv"), "--json"])
    assert json.loads(result.stdout)["items"] == 60
    out = tmp_path / "answers.csv"
    result = CliRunner().invoke(main, ["predict", run, str(tmp_path / "new.csv"), "-o", str(out)])
    assert result.exit_code == 0, result.output
    header, *lines = out.read_text().splitlines()
    assert header.startswith("item,prediction,bad,good")
    assert len(lines) == 2
    result = CliRunner().invoke(main, ["predict", run, str(tmp_path / "absent.csv")])
    assert result.exit_code == 2
    assert "no such file" in result.stderr


@pytest.mark.parametrize("pooling", ["last", "mean", "max", "attention"])
def test_any_chunks_give_the_answers_of_the_whole(trained, pooling):
    model = trained("series", bidirectional=False, pooling=pooling)
    contents, _ = examples("series", 3, seed=8)
    generator = np.random.default_rng(0)
    for whole in contents:
        wanted = model.predict_proba([whole])[0]
        session, found = model.session(), []
        for chunk in np.split(whole, np.sort(generator.integers(0, len(whole), 4))):
            found += session.feed(chunk.astype(np.float32))
            again = model.session()
            again.restore(session.save())
            session = again
        found += session.finish()
        assert len(found) == len(whole)
        np.testing.assert_allclose(found[-1].probabilities, wanted, atol=1e-5)
        assert found[-1].prediction == model.predict([whole])[0]
        steps = [answer.stopped for answer in found]
        table = np.array([answer.probabilities for answer in found])
        rule = model._ready().rule
        stop = rule.stop(table)
        assert steps == [
            n >= stop and max(table[stop - 1]) >= rule.threshold for n in range(1, len(whole) + 1)
        ]


@pytest.mark.parametrize(("kind", "pooling"), [("series", "attention"), ("sound", "max")])
@given(
    cuts=st.lists(st.floats(0, 1), min_size=1, max_size=5),
    saves=st.sets(st.integers(0, 6)),
    number=st.integers(0, 3),
)
@settings(max_examples=12, deadline=None)
def test_a_stream_saved_anywhere_gives_the_same_answers(
    trained, kind, pooling, cuts, saves, number
):
    """Each state is restored into a session that has read something else."""
    model = trained(kind, bidirectional=False, pooling=pooling)
    content = examples(kind, 4, seed=8)[0][number]
    own = {"rate": 11025} if kind == "sound" else {}
    values = content.samples if own else content.astype(np.float32)
    chunks = np.split(values, sorted(int(cut * len(values)) for cut in cuts))
    whole, session = model.session(**own), model.session(**own)
    for place, chunk in enumerate(chunks):
        expected = shown(whole.feed(chunk))
        assert shown(session.feed(chunk)) == expected
        if place in saves:
            saved, session = session.save(), model.session()
            session.feed(values)
            session.restore(saved)
    assert shown(session.finish()) == shown(whole.finish())


def shown(answers):
    return [(each.prediction, each.probabilities.tolist(), each.stopped) for each in answers]


@pytest.mark.parametrize("kind", ["series", "text"])
def test_a_model_of_both_directions_has_no_stream(trained, kind):
    with pytest.raises(ConfigError, match="can't be streamed"):
        trained(kind).session()


def test_words_are_streamed_and_characters_are_not(trained):
    model = trained("text", bidirectional=False, pooling="mean")
    session = model.session()
    found = [*session.feed(["the", "film"]), *session.feed(["was", "awful"]), *session.finish()]
    wanted = model.predict_proba(["the film was awful"])[0]
    np.testing.assert_allclose(found[-1].probabilities, wanted, atol=1e-5)
    with pytest.raises(DataError, match="takes a list of words"):
        session.feed("film")
    characters = small("text", bidirectional=False, tokens="characters", max_steps=2)
    with pytest.raises(ConfigError, match="reads characters of whole texts"):
        characters.fit(*examples("text", 16)).session()


def test_each_class_is_held_out_of_and_kept():
    items = [Item(f"{n}", "series", label) for n, label in enumerate("a" * 50 + "b" * 20 + "c")]
    parts = hold_out_of_classes(items, 0.2, seed=3)
    held = Counter(item.text for item in parts.held)
    assert held["a"] in (10, 11)
    assert held["b"] in (4, 5)
    assert held["c"] == 0
    assert sorted(int(item.name) for item in (*parts.train, *parts.held)) == list(range(71))
    assert hold_out_of_classes(items, 0.2, seed=3).held == parts.held
    others = [hold_out_of_classes(items, 0.2, seed=n).held for n in range(4, 8)]
    assert any(other != parts.held for other in others)
    few = [Item(f"{n}", "series", "ab"[n % 2]) for n in range(4)]
    assert len(hold_out_of_classes(few, 0.1).held) == 1
    with pytest.raises(DataError, match="two or more"):
        hold_out_of_classes(few[:1], 0.1)


def test_attention_is_shown_behind_the_words_that_count(trained):
    model = trained("text")
    product = model._ready()
    content = product.input.open(Item("1", "text", None, data="the film was really awful"))
    weights = product.attention(content)
    assert len(weights) == 5
    assert max(weights) == 1
    assert weights.index(1) == 4
    assert trained("series", pooling="mean")._ready().attention(None) is None


def test_searches_and_scores_of_scikit_learn_take_it():
    pytest.importorskip("sklearn")
    from sklearn.base import clone, is_classifier
    from sklearn.model_selection import GridSearchCV, cross_val_score

    contents, labels = examples("series", 45)
    model = small("series", max_steps=6)
    assert is_classifier(model)
    assert clone(model).get_params() == model.get_params()
    assert len(cross_val_score(model, contents, labels, cv=2)) == 2
    search = GridSearchCV(model, {"hidden": [4, 6]}, cv=2).fit(contents, labels)
    assert search.best_params_["hidden"] in (4, 6)
    assert search.predict(contents[:3]).shape == (3,)


def test_it_is_pickled_and_copied_in_memory(trained):
    model = trained("series")
    contents, _ = examples("series", 5, seed=9)
    for twin in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert (twin.predict_proba(contents) == model.predict_proba(contents)).all()


@pytest.mark.slow
def test_processes_of_scikit_learn_train_side_by_side():
    model_selection = pytest.importorskip("sklearn.model_selection")
    contents, labels = examples("series", 45)
    alone, both = (
        model_selection.cross_val_score(
            small("series", max_steps=6), contents, labels, cv=2, n_jobs=n
        )
        for n in (1, 2)
    )
    assert alone.tolist() == both.tolist()


def test_settings_of_another_kind_than_the_data_show_are_refused_before_training():
    contents, labels = examples("series", 12)
    with pytest.raises(ConfigError, match=r"tokens = 'characters' with input = 'series'"):
        Classifier(tokens="characters", max_steps=2).fit(contents, labels)
    with pytest.raises(ConfigError, match=r"height = 32 with input = 'series'; it is for image"):
        Classifier(height=32, max_steps=2).fit(contents, labels)
