"""Streams of text: the surprisals of the whole text, whatever the chunks; saved and restored."""

import functools
import io
import itertools

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import recurra
from recurra.data.vocabulary import build_vocabulary
from recurra.errors import RunError
from recurra.tasks.language import LanguageConfig, LanguageModel, TextSession
from recurra.tasks.language.model import LanguageNet
from recurra.tasks.task import Ensemble

LEVELS = ["char", "byte", "word"]
SOME = "the cat sat\n on\ta  mat\r\n\n, é\u2009ok"


@functools.cache
def parts(level, cell="lstm", ensemble=1):
    """A network with larger weights than it starts with, and its vocabulary."""
    vocabulary = build_vocabulary(level, SOME)
    torch.manual_seed(1)
    config = LanguageConfig(level=level, cell=cell, hidden=5, layers=2, dropout=0.5)
    nets = [LanguageNet(config, len(vocabulary)) for _ in range(ensemble)]
    for parameter in (p for net in nets for p in net.parameters()):
        parameter.data.mul_(4)
    whole = nets[0] if ensemble == 1 else Ensemble(nets, lambda outputs: sum(outputs) / ensemble)
    return whole, vocabulary


def lines(level, text):
    """Text with its line ends as Python reads files; bytes as they are."""
    return text if level == "byte" else io.StringIO(text, newline=None).read()


def session(level, **how):
    return TextSession(*parts(level, **how))


def in_one_go(level, text, **how):
    """The surprisal of each token but the first, from the model's logits of the whole text."""
    model, vocabulary = parts(level, **how)
    tokens = vocabulary.prompt(lines(level, text))
    with torch.no_grad():
        logits, _ = model.eval()(tokens.view(-1, 1), None)
    return torch.nn.functional.cross_entropy(logits[:-1, 0], tokens[1:], reduction="none")


def fed(live, chunks):
    return [value for chunk in chunks for value in live.feed(chunk)]


def assert_same(found, expected):
    torch.testing.assert_close(torch.tensor(found), expected, atol=1e-5, rtol=1e-5)


TEXTS = st.text(st.sampled_from(SOME), min_size=1, max_size=60)


def cut(text, places):
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return ["", *(text[a:b] for a, b in itertools.pairwise(ends))]


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=60, deadline=None)
@given(text=TEXTS, places=st.lists(st.integers(0, 60), max_size=12))
@example(text=" \t cat\n\n the\t \n", places=list(range(60)))
@example(text="\t ", places=[1])
@example(text="cat", places=[])
@example(text="a\r\ncat\r\r\nsat\r", places=list(range(60)))
def test_any_chunking_gives_the_surprisals_of_the_whole_text(level, text, places):
    live = session(level)
    found = fed(live, cut(text, places)) + live.finish()
    if level == "word" and not text.strip() and "\n" not in lines(level, text):
        assert found == []  # there is no token
    else:
        assert_same(found, in_one_go(level, text))


@pytest.mark.parametrize("how", [{"cell": "gru"}, {"cell": "qrnn_ifo"}, {"ensemble": 2}])
def test_every_kind_of_model_is_streamed(how):
    live = session("char", **how)
    assert_same(fed(live, SOME), in_one_go("char", SOME, **how))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("ensemble", [1, 2])
@settings(max_examples=25, deadline=None)
@given(text=TEXTS, place=st.integers(0, 60))
@example(text="the cat", place=5)
def test_a_session_restored_in_the_middle_continues_to_the_same_bits(level, ensemble, text, place):
    first, second = text[: place % len(text)], text[place % len(text) :]
    live, other = session(level, ensemble=ensemble), session(level, ensemble=ensemble)
    live.feed(first)
    saved = live.save()
    other.feed("a mat ")  # what was read before is forgotten
    other.restore(saved)
    assert other.save() == saved
    assert live.feed(second) + live.finish() == other.feed(second) + other.finish()


def test_a_word_waits_for_its_end():
    live = session("word")
    assert fed(live, ["the c", "a", "t"]) == []
    (cat,) = live.feed("\tsa")
    assert_same([cat, *live.finish()], in_one_go("word", "the cat sa"))


@pytest.mark.parametrize(("level", "unknown"), [("char", 2), ("byte", 0), ("word", 1)])
def test_what_a_model_does_not_know_is_counted(level, unknown):
    live, other = session(level), session(level)
    found = live.feed("the ca€t ") + live.feed("sat Z") + live.finish()
    assert_same(found, in_one_go(level, "the ca€t sat Z"))
    assert live.unknown == unknown + (level == "word")
    other.restore(live.save())
    assert other.unknown == live.unknown


def test_a_session_is_restored_by_its_own_model_alone(run):
    model = LanguageModel.load(run)
    live = model.session()
    live.feed("the 3 cats sat ")
    again = recurra.load(run).session()
    again.restore(live.save())
    assert again.feed("on mat") + again.finish() == live.feed("on mat") + live.finish()
    with pytest.raises(RunError, match="saved by another model"):
        session("char").restore(live.save())


def test_an_option_that_a_session_does_not_have_is_refused(run):
    model = LanguageModel.load(run)
    with pytest.raises(TypeError, match=r"session\(\) got an unexpected keyword argument 'chunk'"):
        model.session(chunk=5)
    with pytest.raises(TypeError, match=r"it is a setting: LanguageModel\(seed=\.\.\.\)"):
        model.session(seed=5)


def test_a_session_measures_what_evaluate_does(run, text_file):
    model = LanguageModel.load(run)
    text = text_file.read_text()[:400]
    live = model.session()
    found = live.feed(text) + live.finish()
    tokens = model._task.vocabulary.prompt(text)
    assert len(found) == len(tokens) - 1
    if model.config.level != "word":  # where evaluate ends the last line
        assert sum(found) / len(found) == pytest.approx(model.evaluate([text])["nats"], rel=1e-5)
