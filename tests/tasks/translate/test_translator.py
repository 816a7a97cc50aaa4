"""Translator: data of all forms to texts, from Python and from the command line."""

import copy
import json
import pickle
import random

import numpy as np
import pytest
from click.testing import CliRunner

import recurra
from recurra.cli import main
from recurra.errors import ConfigError, DataError, RecurraWarning
from recurra.tasks.translate.back_translation import drawn_pairs
from recurra.tasks.translate.text_side import level_of

SMALL = {"hidden": 32, "embedding": 24, "layers": 1, "dropout": 0.1, "batch_size": 32}


def words(count, seed=0):
    draw = random.Random(seed)
    return ["".join(draw.choices("abcde", k=draw.randint(2, 6))) for _ in range(count)]


@pytest.fixture(scope="session")
def reverser(tmp_path_factory):
    """A translator that has learnt to write words backwards."""
    texts = words(1500)
    out = tmp_path_factory.mktemp("translate") / "run"
    model = recurra.Translator(max_steps=260, learning_rate=0.01, **SMALL)
    return model.fit(texts, [text[::-1] for text in texts], out=out)


def command(*given, input=None):
    result = CliRunner().invoke(main, [str(word) for word in given], input=input)
    assert result.exit_code == 0, f"{result.output}\n{result.exception!r}"
    return result.stdout


def test_it_learns_what_can_be_learnt(reverser):
    assert reverser.validation["exact"] > 0.9
    fresh = words(60, seed=7)
    found = reverser.translate(fresh, beam=3)
    assert sum(a == b[::-1] for a, b in zip(found, fresh, strict=True)) > 50
    assert reverser.score(fresh, [word[::-1] for word in fresh]) > 0.8


def test_results_have_scores_tokens_and_attention(reverser):
    (results,) = reverser.search(["abcd"], beam=4, nbest=3, length_penalty=0.0)
    assert [one.score for one in results] == sorted((o.score for o in results), reverse=True)
    best = results[0]
    assert (best.text, best.tokens, best.source_tokens) == ("dcba", tuple("dcba"), tuple("abcd"))
    assert best.log_probability == pytest.approx(sum(best.token_log_probs))
    assert len(best.token_log_probs) == 5  # with the end
    assert [sum(row) for row in best.attention] == pytest.approx([1] * 4, abs=1e-5)
    assert best.alignment == [(3, 0), (2, 1), (1, 2), (0, 3)]


def test_prefixes_and_phrases_are_kept(reverser):
    found = reverser.search(["abcd", "abcd"], prefixes=["e", ""], phrases=[[], ["ee"]])
    assert found[0][0].text.startswith("e")
    assert "ee" in found[1][0].text


def test_samples_follow_the_probabilities(reverser):
    (drawn,) = reverser.sample(["abc"], samples=50, seed=1)
    (again,) = reverser.sample(["abc"], samples=50, seed=1)
    assert [one.text for one in drawn] == [one.text for one in again]
    assert sum(one.text == "cba" for one in drawn) > 25


def test_a_run_is_loaded_and_copied(reverser):
    fresh = words(9, seed=3)
    expected = reverser.translate(fresh)
    assert recurra.load(reverser.run.path).translate(fresh) == expected
    assert copy.deepcopy(reverser).translate(fresh) == expected
    assert pickle.loads(pickle.dumps(reverser)).translate(fresh) == expected


def test_empty_and_unknown_texts(reverser):
    with pytest.warns(RecurraWarning, match=r"2 tokens of the sources \('x'\) are unknown"):
        found = reverser.translate(["", "axx"])
    assert found[0] == ""


def test_the_command_writes_a_line_for_each_source(reverser, tmp_path):
    file, run = tmp_path / "new.txt", reverser.run.path
    file.write_text("abc\n\ncba\n")
    assert command("translate", run, file) == "cba\n\nabc\n"
    assert command("translate", run, "-", input="abc\nbb\n") == "cba\nbb\n"
    command("translate", run, file, "-o", tmp_path / "out.txt")
    assert (tmp_path / "out.txt").read_text() == "cba\n\nabc\n"
    scored = command("translate", run, file, "--nbest", 2).splitlines()
    assert [line.split("\t")[0] for line in scored] == ["1", "1", "3", "3"]
    rows = [json.loads(line) for line in command("translate", run, file, "--json").splitlines()]
    assert rows[0]["results"][0]["alignment"] == [[2, 0], [1, 1], [0, 2]]
    assert rows[1] == {"source": "", "results": []}
    assert command("translate", run, file, "--prefix", "e").startswith("e")
    assert len(command("translate", run, file, "--sample", "--seed", 3).splitlines()) == 3


def test_evaluate_takes_parallel_files(reverser, tmp_path):
    fresh = words(40, seed=5)
    (tmp_path / "a").write_text("\n".join(fresh) + "\n")
    (tmp_path / "b").write_text("\n".join(word[::-1] for word in fresh) + "\n")
    shown = command("evaluate", reverser.run.path, tmp_path / "a", tmp_path / "b", "--json")
    numbers = json.loads(shown)
    assert numbers["exact"] == reverser.evaluate([tmp_path / "a", tmp_path / "b"])["exact"] > 0.8
    assert "greedy" in command(
        "evaluate", reverser.run.path, tmp_path / "a", tmp_path / "b", "--beams"
    )


def test_a_resumed_training_has_the_same_bits(tmp_path):
    texts = words(120)
    pairs = list(zip(texts, [text[::-1] for text in texts], strict=True))
    settings = {**SMALL, "schedule": "constant"}
    whole = recurra.Translator(epochs=4, **settings).fit(pairs, out=tmp_path / "whole")
    recurra.Translator(epochs=2, **settings).fit(pairs, out=tmp_path / "parts")
    parts = recurra.Translator(epochs=4, **settings)
    parts.fit(pairs, out=tmp_path / "parts", resume=True)
    fresh = words(20, seed=9)
    assert [o[0].log_probability for o in parts.search(fresh)] == [
        o[0].log_probability for o in whole.search(fresh)
    ]


@pytest.mark.parametrize(
    "settings",
    [
        {"model": "ctc", "stretch": 2},
        {"copy": True, "coverage": 0.5, "source_tokens": "words"},
        {"attention": "none", "cell": "lstm"},
        {"attention": "monotonic", "input_feeding": True},
        {"attention": "dot", "heads": 2, "ensemble": 2},
        {"share_vocabulary": True, "tie_embeddings": "all", "word_dropout": 0.2},
        {"source_tokens": "subwords", "target_tokens": "subwords", "subword_dropout": 0.2},
        {"scheduled_sampling": 0.5, "lower": True},
    ],
    ids=lambda settings: ",".join(settings),
)
def test_every_model_trains_translates_and_is_loaded(settings, tmp_path):
    texts = words(60)
    model = recurra.Translator(hidden=8, embedding=8, max_steps=3, batch_size=16, **settings)
    model.fit(texts, [text[::-1] for text in texts], out=tmp_path / "run")
    found = model.search(texts[:5], beam=3)
    assert [len(one) for one in found] == [1] * 5
    again = recurra.load(tmp_path / "run").search(texts[:5], beam=3)
    assert [one[0].text for one in again] == [one[0].text for one in found]


def test_a_decoder_without_attention_has_no_weights_to_draw(tmp_path):
    texts = words(60)
    model = recurra.Translator(
        attention="none", hidden=16, embedding=8, max_steps=60, learning_rate=0.01
    )
    model.fit(texts, [text[::-1] for text in texts], out=tmp_path / "run")
    (best,) = model.search(["ab"], least_length=2)[0]
    assert len(best.tokens) >= 2
    assert best.attention == ()
    assert best.alignment == []
    assert (tmp_path / "run" / "report.html").exists()


def test_words_that_training_lacks_are_copied():
    draw = random.Random(0)
    names = ["".join(draw.choices("bcdfgklmnprst", k=5)) for _ in range(400)]
    pairs = [(f"my name is {name}", f"hello {name} !") for name in names]
    model = recurra.Translator(
        copy=True,
        source_tokens="words",
        target_tokens="words",
        vocabulary=12,
        max_steps=200,
        learning_rate=0.01,
        **SMALL,
    )
    model.fit(pairs)
    with pytest.warns(RecurraWarning, match="can be copied"):
        assert model.translate(["my name is qwxyz"]) == ["hello qwxyz !"]


def test_any_of_several_targets_is_right(reverser):
    assert reverser.evaluate([("abcd", ["zz", "dcba"])])["exact"] == 1
    assert reverser.evaluate([("abcd", ["zz", "dcbb"])])["exact"] == 0


def test_results_may_be_as_long_for_their_source_as_targets_are(tmp_path):
    """Of commands, a source of two tokens may have become eighty."""
    pairs = [("run", "GO " * 40), ("stop", "HALT"), ("run twice", "GO " * 80)] * 40
    recurra.Translator(max_steps=1, **SMALL).fit(pairs, out=tmp_path / "run")
    model = recurra.load(tmp_path / "run")
    product = model._ready()
    assert product.ratio == (80 - 10) / 2
    product.nets[0].head.bias.data[0] = -1e9  # never an end
    (best,) = model.search(["run"], beam=1)[0]
    assert (len(best.tokens), best.finished) == (35 + 10, False)


def test_sub_words_that_dropout_alone_shows_are_known():
    texts = words(200)
    model = recurra.Translator(
        source_tokens="subwords",
        target_tokens="subwords",
        subword_dropout=0.3,
        max_steps=1,
        **SMALL,
    )
    model.fit(texts, texts)
    product = model._ready()
    generator = np.random.default_rng(0)
    for text in texts:
        assert 1 not in product.source.side(text, 0.5, generator).ids


def test_an_aligner_refuses_what_its_search_lacks():
    texts = words(40)
    model = recurra.Translator(model="ctc", hidden=8, embedding=8, max_steps=1).fit(texts, texts)
    with pytest.raises(ConfigError, match="no_repeat is of decoders"):
        model.translate(["ab"], no_repeat=2)
    with pytest.raises(ConfigError, match="prefixes is of decoders"):
        model.search(["ab"], prefixes=["a"])
    with pytest.raises(ConfigError, match="draws no samples"):
        model.sample(["ab"])


@pytest.mark.parametrize("settings", [{}, {"model": "ctc"}, {"attention": "none"}, {"copy": True}])
def test_an_inspection_follows_the_loss_through_the_network(settings):
    texts = words(60)
    model = recurra.Translator(hidden=8, embedding=8, max_steps=1, **settings).fit(texts, texts)
    found, _ = model.inspect(rows=3, steps=5, out=None)
    names = " ".join(found.inputs)
    assert "encoder" in names
    assert ("decoder" in names) == ("model" not in settings)


@pytest.mark.parametrize(
    ("texts", "other", "level"),
    [
        (["ein hund läuft", "zwei katzen"] * 5, ["a dog runs", "two cats"] * 5, "subwords"),
        (["hund", "katze"] * 5, ["dog", "cat"] * 5, "characters"),
        (["HH AH0", "W ER1"] * 50, ["hi", "we"] * 50, "spaces"),
        (["2 May 1999", "3 June 2001"] * 2, ["1999-05-02", "2001-06-03"] * 2, "characters"),
        (["jump twice and walk"] * 30, ["JUMP JUMP WALK"] * 30, "spaces"),
    ],
)
def test_what_texts_are_divided_into(texts, other, level):
    assert level_of(texts, other) == level


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "ctc", "copy": True}, "copy = True with model = 'ctc', which doesn't have it"),
        ({"stretch": 4}, "stretch = 4 with model = 'attention'"),
        ({"attention": "none", "coverage": 0.1}, "there is no attention"),
        ({"heads": 2}, "only 'dot' has several"),
        ({"tie_embeddings": "all"}, "give share_vocabulary = true as well"),
        ({"window": 5}, "whole items are trained on"),
        (
            {"share_vocabulary": True, "source_tokens": "words", "target_tokens": "characters"},
            "one vocabulary has one kind of token",
        ),
        ({"valid": "a,b", "valid_fraction": 0.2}, "leave valid_fraction out"),
    ],
)
def test_settings_that_contradict_one_another(settings, message):
    with pytest.raises(ConfigError, match=message):
        recurra.Translator(**settings)


def test_bad_requests(reverser):
    for given, message in (
        ({"beam": 0}, "beam = 0"),
        ({"beam": 2, "nbest": 3}, "nbest = 3 with beam = 2"),
    ):
        with pytest.raises(ConfigError, match=message):
            reverser.search(["ab"], **given)
    with pytest.raises(DataError, match="1 prefixes for 2 sources"):
        reverser.search(["ab", "ba"], prefixes=["a"])
    with pytest.raises(DataError, match="'xa' can't be written: no target of the training has 'x'"):
        reverser.search(["ab"], prefixes=["xa"])
    with pytest.raises(DataError, match="2 sources and 1 targets"):
        recurra.Translator().fit(["a", "b"], ["a"])
    with pytest.raises(DataError, match="No data to train on"):
        recurra.Translator().fit()


def test_parallel_files_of_different_lengths(tmp_path):
    (tmp_path / "a").write_text("one\ntwo\nthree\n")
    (tmp_path / "b").write_text("eins\nzwei\n")
    result = CliRunner().invoke(
        main, ["train", "translate", f"{tmp_path}/a", f"{tmp_path}/b", "--out", f"{tmp_path}/run"]
    )
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert f"{tmp_path}/a" in result.output.replace("\n", "")


def test_targets_without_sources_are_trained_on_with_drawn_ones(reverser, tmp_path):
    more = words(40, seed=9)
    (tmp_path / "more.txt").write_text("\n".join([*more, ""]))
    texts = words(60, seed=8)
    settings = {"monolingual": str(tmp_path / "more.txt"), "backwards": str(reverser.run.path)}
    model = recurra.Translator(max_steps=2, **settings, **SMALL)
    with pytest.warns(RecurraWarning, match="40 pairs have a source that .*run drew for a target"):
        model.fit(texts, [text[::-1] for text in texts], out=tmp_path / "run")
    pairs = drawn_pairs(tmp_path / "more.txt", reverser.run.path, 0)
    assert [pair.target for pair in pairs] == more
    assert sum(pair.source == pair.target[::-1] for pair in pairs) > 20
    assert pairs == drawn_pairs(tmp_path / "more.txt", reverser.run.path, 0)
    assert pairs != drawn_pairs(tmp_path / "more.txt", reverser.run.path, 1)
    sources = json.loads((tmp_path / "run" / "config.json").read_text())["settings"]
    assert sources["monolingual"] == str(tmp_path / "more.txt")


def test_drawn_sources_that_cannot_be(reverser, tmp_path):
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(ConfigError, match=r"monolingual = 'a\.txt' with backwards = None"):
        recurra.Translator(monolingual="a.txt")
    with pytest.raises(DataError, match="no line has a text"):
        drawn_pairs(tmp_path / "empty.txt", reverser.run.path, 0)
    (tmp_path / "book.txt").write_text("to be or not to be, that is the question\n" * 20)
    language = recurra.LanguageModel(max_steps=1, hidden=4, window=8, batch_size=2)
    language.fit(tmp_path / "book.txt", out=tmp_path / "language")
    with pytest.raises(ConfigError, match="is a run of language; name one that translates"):
        drawn_pairs(tmp_path / "book.txt", tmp_path / "language", 0)


def test_a_run_to_start_from_has_the_sizes_and_the_tokens(reverser, tmp_path):
    start = str(reverser.run.path)
    texts = ["abxy", "yxba", "abab"] * 10
    model = recurra.Translator(start=start, max_steps=1, batch_size=8)
    with pytest.warns(RecurraWarning) as told:
        model.fit(texts, [text[::-1] for text in texts], out=tmp_path / "run")
    said = " ".join(str(each.message) for each in told)
    assert "40 tokens of the sources ('x', 'y') are unknown to the model" in said
    assert "40 tokens of the targets ('y', 'x') are unknown to the model" in said
    assert (model.config.hidden, model.config.embedding, model.config.layers) == (32, 24, 1)
    assert "drawn" not in json.dumps(json.loads((tmp_path / "run/config.json").read_text()))
    with pytest.raises(ConfigError, match=r"min_count = 3, and the run to start from has min_coun"):
        recurra.Translator(start=start, min_count=3).fit(texts, texts)


def test_a_file_of_utf_8_is_not_garbled_by_another_encoding(tmp_path):
    (tmp_path / "a.de").write_text("läuft\n" * 30, encoding="latin-1")
    (tmp_path / "a.fr").write_text("café\n" * 30, encoding="utf-8")
    files = [tmp_path / "a.de", tmp_path / "a.fr"]
    with pytest.raises(DataError, match=r"a\.fr: is UTF-8, and encoding = 'latin-1' would garble"):
        recurra.Translator(encoding="latin-1", max_steps=1, **SMALL).fit(files)
    model = recurra.Translator(encoding="latin-1,utf-8", max_steps=1, **SMALL).fit(files)
    assert "é" in model._ready().target.vocabulary.tokens


def test_unknown_tokens_are_told_where_results_are_judged(reverser):
    evaluation = reverser.evaluate([("abxz", "zxba")])
    assert any("2 tokens of the sources" in remark for remark in evaluation.remarks)
