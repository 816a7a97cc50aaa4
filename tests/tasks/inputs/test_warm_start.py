"""Classifiers that start from another run: tokens, weights, settings, and when parts begin."""

import csv
import shutil

import numpy as np
import pytest
import torch
from classify_helpers import examples, small

import recurra
from recurra import Classifier, LanguageModel
from recurra.errors import ConfigError, DataError, RunError
from recurra.runs.run import Run
from recurra.tasks.starting_weights import set_part_rates
from recurra.training.optim import make_optimizer, set_learning_rate
from recurra.training.protocols import Silent

TEXTS, LABELS = examples("text", 80)
TEXTS = [f"{text.capitalize()}." for text in TEXTS]
NEW = ["Zebras bored us, the film was sad.", "A fine zebra!"]
TINY = {"hidden": 6, "embedding": 5, "batch_size": 2, "window": 8, "max_steps": 3}


def language(out, data=TEXTS, **settings):
    sizes = {**TINY, "learning_rate": 0.3, "texts": True, "cell": "gru", **settings}
    return LanguageModel(**sizes).fit(data, out=out)


@pytest.fixture(scope="module", params=["word", "char"])
def old(request, tmp_path_factory):
    """A language model of the texts."""
    return language(tmp_path_factory.mktemp(request.param) / "old", level=request.param)


def started(run, data=(TEXTS + NEW * 4, LABELS + ["bad", "good"] * 4), **settings):
    how = {"max_steps": 1, "unfreeze": 0.5, "validate_every": 1, **settings}
    return Classifier(start=str(run.run.path), **how).fit(*data)


def read(model, text):
    """The input of the layers, their outputs, and the tokens' numbers."""
    net, how = model._product.nets[0], model._product.input
    content = how.open(how_item(text))
    rows = torch.from_numpy(how.features(content)).unsqueeze(1)
    lengths = torch.tensor([len(rows)])
    with torch.no_grad():
        return net.front(rows, lengths)[0], net.encode(rows, lengths)[0], content


def how_item(text):
    return recurra.data.transcripts.item.Item("t", "text", None, format="memory", data=text)


def same_as_the_language_model(model, old, texts):
    for text in texts:
        ids = old.vocabulary.encode(text)
        ids = ids[: len(ids) - (old.config.level == "word")]
        with torch.no_grad():
            vectors = old.network.embedding(ids).unsqueeze(1)
            outputs, _ = old.network.recurrent(vectors)
        own, hidden, _ = read(model, text)
        assert torch.equal(own, vectors)
        torch.testing.assert_close(hidden[..., : outputs.shape[-1]], outputs)


def test_tokens_have_their_rows_and_texts_their_hidden_outputs(old):
    model = started(old)
    how = model._product.input
    assert len(how.vocabulary) > len(old.vocabulary)
    assert how.tokeniser.kind == {"word": "words", "char": "characters"}[old.config.level]
    same_as_the_language_model(model, old, [*TEXTS[:5], "The FILM was ∞ sad"])
    said = model.run.config["start"]
    assert f"Weights from {old.run.path}: copied recurrent.W_l0" in said
    assert "grown front.tokens.weight" in said
    assert "cell = 'gru'" not in said
    assert "hidden = 6" in said
    assert "embedding = 5" in said


def test_new_tokens_have_numbers_at_the_end(old):
    vocabulary = started(old)._product.input.vocabulary
    new = {"word": {"zebra", "zebras", "bored", "us", ",", "!"}, "char": set("bz,!")}
    tokens = [t for t in old.vocabulary.tokens() if t not in ("<unk>", "<eos>", "�", "\n")]
    assert list(vocabulary.tokens[: len(tokens)]) == tokens
    assert new[old.config.level] >= set(vocabulary.tokens[len(tokens) :]) > set()
    assert sum(vocabulary.counts) > 0


@pytest.mark.parametrize("level", ["word", "char"])
def test_a_language_model_of_plain_text_is_read_as_it_read(level, tmp_path):
    old = language(tmp_path / "old", "\n".join(TEXTS) + "\n", texts=False, level=level)
    model = started(old)
    kind = {"word": "spaced", "char": "characters"}[level]
    assert model._product.input.tokeniser.kind == kind
    assert not model.config.lower
    same_as_the_language_model(model, old, TEXTS[:5])


def test_several_layers_read_forwards_alone(tmp_path):
    old = language(tmp_path / "old", level="word", layers=2, cell="lstm")
    model = started(old)
    assert (model.config.layers, model.config.bidirectional, model.config.cell) == (
        2,
        False,
        "lstm",
    )
    same_as_the_language_model(model, old, TEXTS[:3])
    with pytest.raises(ConfigError, match="bidirectional = True, and the run to start from has"):
        started(old, bidirectional=True)


def test_parts_begin_to_learn_from_the_top_down(old):
    """Of four steps, the layers learn from the second on, the vectors of tokens from the third."""
    how = {"unfreeze": 0.25, "schedule": "constant", "valid_fraction": 0.0, "validate_every": None}
    model = started(old, **how, max_steps=4)
    rates = model._task.build()
    set_part_rates(rates, model.run.config["taken"], model.config)
    optimizer = make_optimizer(rates, model.config)
    expected = [
        (0.0, {"head"}),
        (0.25, {"head", "recurrent"}),
        (0.5, {"head", "recurrent", "front"}),
    ]
    for share, parts in expected:
        set_learning_rate(optimizer, 0.1, share)
        found = {
            name.split(".")[0]
            for group in optimizer.param_groups
            for name in group["param_names"]
            if group["lr"] == 0.1 and "_reverse" not in name and "pooling" not in name
        }
        assert found == parts
    set_part_rates(rates, list(rates.state_dict()), model.config)
    begin = {name.split(".")[0]: rate.begins for name, rate in rates.part_rates.items()}
    assert begin == {"head": 0.0, "pooling": 0.25, "recurrent": 0.5, "front": 0.75}
    before = Run.open(old.run.path).load_model()["recurrent.W_l0"]
    kept = started(old, **{**how, "unfreeze": 0.5}, max_steps=1)
    assert torch.equal(kept.run.load_model()["recurrent.W_l0"], before)
    trained = started(old, **{**how, "unfreeze": 0.5}, max_steps=2)
    weights = trained.run.load_model()
    assert not torch.equal(weights["recurrent.W_l0"], before)
    rows = weights["front.tokens.weight"], kept.run.load_model()["front.tokens.weight"]
    assert torch.equal(*rows)


def test_a_run_is_resumed_without_the_one_it_started_from(old, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(old.run.path, copy)
    how = {"start": str(copy), "unfreeze": 0.2, "validate_every": 2, "schedule": "constant"}
    how |= {"valid_fraction": 0.0, "validate_every": None}
    data = (TEXTS + NEW * 4, LABELS + ["bad", "good"] * 4)
    whole = Classifier(**how, max_steps=6).fit(*data)
    part = Classifier(**how, max_steps=6)
    part.fit(*data, out=tmp_path / "parts", progress=StopsAfter(2))
    assert part.results[0].stopped == "interrupted"
    shutil.rmtree(copy)
    again = Classifier.resuming(tmp_path / "parts", {})
    again.fit(*data, out=tmp_path / "parts", resume=True)
    expected, found = whole.run.load_model(), again.run.load_model()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_classifier_goes_on_with_the_words_of_another():
    old = small("text", max_steps=4).fit(TEXTS, LABELS)
    new = started(old, learning_rate=1e-30)
    assert len(new._product.input.vocabulary) > len(old._product.input.vocabulary)
    for text in examples("text", 5, seed=3)[0]:
        rows, outputs, _ = read(new, text)
        kept, expected, _ = read(old, text)
        assert torch.equal(rows, kept)
        assert torch.equal(outputs, expected)
    net, before = new._product.nets[0], old._product.nets[0]
    assert torch.equal(net.head.weight, before.head.weight)


def test_contradictions_are_refused(old, tmp_path):
    mistakes = [
        ({"hidden": 9}, "hidden = 9, and the run to start from has hidden = 6"),
        ({"cell": "lstm"}, "cell = 'lstm', and the run to start from has cell = 'gru'"),
        ({"tokens": "subwords"}, "tokens = 'subwords', and the run to start from has tokens = "),
        ({"lower": False}, "lower = False, and the run to start from has lower = True"),
    ]
    for settings, message in mistakes:
        with pytest.raises(ConfigError, match=message):
            started(old, **settings)
    with pytest.raises(ConfigError, match="reads text, and the data are series"):
        started(old, examples("series", 20))
    with pytest.raises(ConfigError, match=r"unfreeze = 0\.3 without start: only weights of"):
        small("text", unfreeze=0.3)
    run = Run.create(tmp_path / "other", {"task": "other", "settings": {}})
    run.save_model({"encoder.weight": torch.zeros(3, 2)})
    with pytest.raises(RunError, match="No weight of"):
        Classifier(start=str(run.path), max_steps=1).fit(TEXTS, LABELS)


def test_bytes_are_no_tokens(tmp_path):
    old = language(tmp_path / "old", "\n".join(TEXTS), texts=False, level="byte")
    with pytest.raises(ConfigError, match="a language model of level 'byte'; start from one of"):
        started(old)


def test_a_language_model_reads_texts_without_their_labels(tmp_path):
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("label", "review"), *zip(LABELS, TEXTS, strict=True)])
    lines = tmp_path / "lines.txt"
    lines.write_text("".join(f"{n % 2} {text}\n" for n, text in enumerate(TEXTS)))
    for data in (path, lines):
        model = language(tmp_path / "run", [data], level="word", valid_fraction=0)
        assert {"the", "film", "."} <= set(model.vocabulary.tokens())
        assert not {"good", "0", "1", "film."} & set(model.vocabulary.tokens())
        assert len(model._data.train.splitlines()) == len(TEXTS)
        shutil.rmtree(tmp_path / "run")
    assert model.generate("The film.", length=3)
    model = language(tmp_path / "run", list(TEXTS), level="word", valid_fraction=0)
    assert len(model._data.train.splitlines()) == len(TEXTS)
    with pytest.raises(DataError, match=r"together \('revews.csv' names no file\)"):
        language(tmp_path / "other", [path, "revews.csv"], level="word")
    with pytest.raises(ConfigError, match="texts = true without data"):
        LanguageModel(texts=True).fit()
    with pytest.raises(DataError, match="There is no text"):
        language(tmp_path / "other", [], level="word")
    with pytest.raises(ConfigError, match="texts = true with level = 'byte'"):
        LanguageModel(texts=True, level="byte")
    with pytest.raises(ConfigError, match="lower = False with texts = false"):
        LanguageModel(lower=False)


class StopsAfter(Silent):
    """Interrupts a training after a step."""

    def __init__(self, step):
        self.step = step

    def update(self, step, *values, **more):
        if step == self.step:
            raise KeyboardInterrupt


def vectors(path, words, size=4, header=True):
    rows = [[word, *(f"{n + k / 10:.1f}" for k in range(size))] for n, word in enumerate(words, 1)]
    head = [f"{len(rows)} {size}"] if header else []
    path.write_text("\n".join([*head, *(" ".join(row) for row in rows)]) + "\n")
    return str(path)


@pytest.mark.parametrize("frozen", [True, False])
def test_words_start_with_vectors_of_a_file(tmp_path, frozen):
    path = vectors(tmp_path / "words.vec", ["the", "film", "elsewhere", "fine"])
    how = {"vectors": path, "freeze_vectors": frozen, "max_steps": 2, "validate_every": 1}
    model = Classifier(**how, learning_rate=1e-6).fit(TEXTS, LABELS, out=tmp_path / "run")
    vocabulary, rows = (
        model._product.input.vocabulary,
        model.run.load_model()["front.tokens.weight"],
    )
    assert rows.shape == (len(vocabulary), 4)
    for number, word in ((1, "the"), (2, "film"), (4, "fine")):
        wanted = torch.tensor([number + k / 10 for k in range(4)])
        found = rows[vocabulary.encode([word])[0]]
        torch.testing.assert_close(found, wanted, atol=0 if frozen else 1e-4, rtol=0)
    assert bool(rows[vocabulary.encode(["was"])[0]].any()) != frozen
    count = len(vocabulary) - 2
    assert f"for 3 of {count} words" in model.run.config["start"]
    (tmp_path / "words.vec").unlink()
    again = recurra.load(tmp_path / "run")
    assert np.array_equal(again.predict_proba(TEXTS[:3]), model.predict_proba(TEXTS[:3]))


def test_vectors_that_do_not_fit(tmp_path):
    path = vectors(tmp_path / "words.vec", ["the", "film"])
    other = vectors(tmp_path / "other.vec", ["Das", "Haus"])
    bad = tmp_path / "bad.vec"
    bad.write_text("the 1 2 3\nfilm 1 x 3\n")
    mistakes = [
        ({"vectors": path, "embedding": 7}, ConfigError, "embedding = 7, and the vectors of .* 4"),
        ({"vectors": path, "tokens": "characters"}, ConfigError, "with tokens = 'characters'"),
        ({"freeze_vectors": True}, ConfigError, "freeze_vectors = true without vectors"),
        ({"vectors": other}, DataError, r"other\.vec: has a vector of none of the \d+ words"),
        ({"vectors": str(bad)}, DataError, r"bad\.vec, line 2: could not convert"),
        ({"vectors": str(tmp_path / "none.vec")}, DataError, "none.vec: no such file"),
    ]
    for settings, error, message in mistakes:
        with pytest.raises(error, match=message):
            Classifier(**settings, max_steps=1).fit(TEXTS, LABELS)


def test_names_are_read_as_characters_and_other_texts_as_words():
    ends = [f"{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(60)]
    names = [f"{('Al', 'Bo', 'Cy')[n % 3]}{end}" for n, end in enumerate(ends)]
    model = Classifier(max_steps=1, hidden=4).fit(names, ["a", "b"] * 30)
    assert model._product.input.tokeniser.kind == "characters"
    assert any("read as characters" in note for note in model._task.notes(model._data))
    answers = Classifier(max_steps=1, hidden=4).fit(["yes", "no"] * 30, ["a", "b"] * 30)
    assert answers._product.input.tokeniser.kind == "words"
