"""Lossless tokens: texts come back, in every kind and script; sub-words, dropout, vocabularies."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.texts.bpe_dropout import DroppedMerges
from recurra.data.texts.lossless_tokens import LosslessTokens
from recurra.data.texts.token_vocabulary import TokenVocabulary
from recurra.errors import ConfigError, DataError

TEXTS = [
    "Hello, world (again)!",
    "the lower the lowest , don&apos;t",
    "我爱你们。 我们 爱 你",
    "▁ marks ▂▁ of ▁blocks▁",
] * 5
KINDS = ["subwords", "words", "characters", "spaces"]
MODEL = LosslessTokens.of("subwords", TEXTS, size=80).model
UNICODE = st.text(
    st.one_of(st.sampled_from("▁▂&a;# \t\u2028İ"), st.characters(exclude_categories=["Cs"]))
)


def tokens_of(kind, lower=False, form="NFC"):
    return LosslessTokens(kind, lower, form, MODEL if kind == "subwords" else None)


@pytest.mark.parametrize("kind", KINDS)
@given(text=UNICODE, lower=st.booleans(), form=st.sampled_from(["NFC", "NFKC", "none"]))
def test_a_text_comes_back(kind, text, lower, form):
    tokens = tokens_of(kind, lower, form)
    found = tokens.split(text)
    assert tokens.join(found) == tokens.normal(text)
    assert all(found)
    if form == "none" and not lower:
        assert tokens.normal(text) == " ".join(text.split())


@given(text=UNICODE, dropout=st.sampled_from([0.1, 0.5, 1.0]))
def test_a_text_comes_back_with_dropout(text, dropout):
    tokens = tokens_of("subwords")
    found = tokens.split(text, dropout=dropout, generator=np.random.default_rng(0))
    assert tokens.join(found) == tokens.normal(text)
    if dropout == 1:
        assert all(len(token) == 1 for token in found)


@given(st.lists(st.sampled_from(["▁", "▂", "▁a", "b", "▂▁", " "])))
def test_what_a_model_makes_up_can_be_joined(tokens):
    for kind in KINDS:
        text = tokens_of(kind).join(tokens)
        assert kind == "spaces" or text == " ".join(text.split())


WORDS = {
    "Hello, world": ["▁Hello", ",", "▁world"],
    "hello , world": ["▁hello", "▁,", "▁world"],
    "don't  pay 1,000.5": ["▁don't", "▁pay", "▁1,000.5"],
    "a &apos;s": ["▁a", "▁&apos;", "s"],
    "▁x ▂": ["▁▂▁", "x", "▁▂▂"],
    "我爱 x\u200by": ["▁我", "爱", "▁x", "\u200b", "y"],
    " ": [],
}


@pytest.mark.parametrize("text", WORDS)
def test_words_have_a_mark_where_a_space_is(text):
    assert tokens_of("words").split(text) == WORDS[text]


def test_other_kinds():
    assert tokens_of("spaces").split(" HH AH0  ,x") == ["HH", "AH0", ",x"]
    assert tokens_of("characters", lower=True).split(" A  e\u0301") == ["a", " ", "é"]
    assert tokens_of("words", lower=True, form="NFKC").split("ﬁNE") == ["▁fine"]


def test_subwords_are_pieces_of_words_and_of_runs_without_spaces():
    tokens = tokens_of("subwords")
    assert tokens.split("the lowest, the") == ["▁the", "▁lowest", ",", "▁the"]
    assert "我们" in "".join(tokens_of("subwords").split("我们"))
    chinese = LosslessTokens.of("subwords", ["我们 我们的"] * 9, size=30)
    assert chinese.split("我们的") == ["▁我们", "的"] or chinese.split("我们的") == ["▁我们的"]
    assert tokens.split("🙂 zQ")[-1] == "Q", "a character that training lacks keeps its text"


def test_the_json_gives_the_same_tokens():
    first = LosslessTokens.of("subwords", TEXTS, size=60, lower=True)
    again = LosslessTokens(**json.loads(json.dumps(asdict(first))))
    assert again == first
    assert again.split(TEXTS[0]) == first.split(TEXTS[0])
    assert LosslessTokens.of("words", TEXTS).model is None


def test_the_size_limits_the_pieces():
    small, large = (LosslessTokens.of("subwords", TEXTS, size=size) for size in (50, 90))
    assert len(small.pieces) < 50 <= len(large.pieces) < 90
    assert {piece for text in TEXTS for piece in small.split(text)} <= {
        *small.pieces,
        *"".join(TEXTS),
    }


def test_without_dropout_the_merges_are_those_of_tokenizers():
    tokens, generator = tokens_of("subwords"), np.random.default_rng(0)
    merges = DroppedMerges(MODEL)
    for text in TEXTS[:4]:
        words = tokens_of("words").split(text)
        pieces = [piece for word in words for piece in merges.split(word, 0, generator)]
        assert "".join(pieces) == "".join(words)
        if "我" not in text:  # runs are one word of sub-words
            assert pieces == tokens.split(text)


def test_dropout_is_drawn_from_the_generator():
    merges = DroppedMerges(MODEL)

    def drawn(seed, dropout):
        generator = np.random.default_rng(seed)
        return [merges.split("▁lowest", dropout, generator) for _ in range(200)]

    assert drawn(0, 0.2) == drawn(0, 0.2) != drawn(1, 0.2)
    whole = [np.mean([len(pieces) == 1 for pieces in drawn(0, chance)]) for chance in (0, 0.1, 0.5)]
    assert whole[0] == 1 > whole[1] > whole[2]
    # A first merge that is left out may come at the next round: six merges of one word, in order.
    assert 0.3 < whole[1] < 0.9


def test_tokens_that_cannot_be():
    with pytest.raises(ConfigError, match=r"'bytes' without a model.*subwords, words, characters"):
        LosslessTokens("bytes")
    with pytest.raises(ConfigError, match="sub-words alone have a model"):
        LosslessTokens("words", model="{}")
    with pytest.raises(ConfigError, match="form = 'NFX'"):
        LosslessTokens("words", form="NFX")
    with pytest.raises(DataError, match=r"'\\ud83d' at character 2"):
        tokens_of("words").split("x\ud83d")
    with pytest.raises(ConfigError, match="needs a generator"):
        tokens_of("subwords").split("x", dropout=0.1)
    with pytest.raises(ConfigError, match=r"dropout = 1.5 of merges; it is a chance from 0 to 1"):
        tokens_of("subwords").split("x", dropout=1.5, generator=np.random.default_rng(0))


def test_a_vocabulary_decodes_what_it_encodes():
    vocabulary = TokenVocabulary.of([["b", "a", "b"], ["c"]], size=4)
    assert vocabulary.tokens == ("b", "a")
    assert vocabulary.decode([2, 3, 1, 2]) == ["b", "a", "<unk>", "b"]
    assert vocabulary.decode([1], unknown="▁<unk>") == ["▁<unk>"]
    assert vocabulary.decode([3, 0, 2]) == ["a"]
    assert vocabulary.decode(vocabulary.encode(["a", "b"])) == ["a", "b"]


def test_tokens_that_a_vocabulary_lacks_are_copied():
    vocabulary = TokenVocabulary.of([["a", "b"]])
    numbers, copied = vocabulary.encode_copies(["x", "a", "y", "x"])
    assert (numbers.tolist(), copied) == ([4, 2, 5, 4], ("x", "y"))
    target, same = vocabulary.encode_copies(["y", "z", "b"], copied)
    assert (target.tolist(), same) == ([5, 1, 3], copied)
    assert vocabulary.decode(target, copied=copied) == ["y", "<unk>", "b"]


def test_tokens_that_are_always_kept():
    vocabulary = TokenVocabulary.of([["a", "a", "b"]], min_count=2, always=["q", "a"])
    assert vocabulary.tokens == ("a", "q")
    assert vocabulary.counts == (2, 0)
    pieces = tokens_of("subwords").pieces
    whole = TokenVocabulary.of([tokens_of("subwords").split(t) for t in TEXTS], always=pieces)
    drawn = tokens_of("subwords").split(TEXTS[0], dropout=1, generator=np.random.default_rng(0))
    assert 1 not in whole.encode(drawn)
