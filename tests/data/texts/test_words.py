"""Words, characters and sub-words: what they are in many scripts, and where in the text."""

import json
import os
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.texts import subwords as subwords_module
from recurra.data.texts.subwords import Subwords
from recurra.data.texts.token_vocabulary import Spelling, TokenVocabulary
from recurra.data.texts.tokeniser import Tokeniser, lower_case
from recurra.data.texts.words import _ASSIGNED, split_characters, split_spaced, split_words
from recurra.errors import ConfigError, DataError, MissingExtra

WORDS = {
    "Don't pay 1,000.50 (now)!": ["Don't", "pay", "1,000.50", "(", "now", ")", "!"],
    "l’eau 'x' y'": ["l’eau", "'", "x", "'", "y", "'"],
    "mp3 3rd 1.2.3, 4.": ["mp", "3", "3", "rd", "1.2.3", ",", "4", "."],
    "a_b½ re-do...": ["a", "_", "b½", "re", "-", "do", ".", ".", "."],
    "Straße e\u0301te\u0301": ["Straße", "e\u0301te\u0301"],
    "हिन्दी में": ["हिन्दी", "में"],
    "می\u200cخواهم": ["می\u200cخواهم"],
    "我爱RNN。カタカナ": ["我", "爱", "RNN", "。", "カ", "タ", "カ", "ナ"],
    "𠮷野": ["𠮷", "野"],
    "นี่คือ": ["นี่", "คื", "อ"],
    "ok👍🏽❤\ufe0f": ["ok", "👍", "🏽", "❤\ufe0f"],
    "x\u200b\ufeffy\x00z\u2028w": ["x", "y", "z", "w"],
    " \t\u00a0\u3000\u200b": [],
}


@pytest.mark.parametrize("text", WORDS)
def test_words(text):
    assert [word.text for word in split_words(text)] == WORDS[text]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_words_and_characters_lie_where_they_say_and_leave_out_only_the_invisible(text):
    for found in (split_words(text), split_characters(text)):
        covered = 0
        for token in found:
            written = text[token.start : token.stop]
            assert token.text == (" " if written.isspace() else written)
            assert covered <= token.start < token.stop
            assert_invisible(text[covered : token.start])
            covered = token.stop
        assert_invisible(text[covered:])


def assert_invisible(text):
    assert all(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in text)


def test_words_between_white_space():
    assert [word.text for word in split_spaced(" do n't\u3000go. ")] == ["do", "n't", "go."]
    assert Tokeniser("spaced", lower=True).split("Do N'T")[1] == ("n't", 3, 6)


def test_characters_have_one_space_between_words():
    assert "".join(each.text for each in split_characters(" Ann\u00a0\n Li\u200b ")) == "Ann Li"


def test_all_marks_and_invisible_characters_of_unicode_are_looked_at():
    known = set(_ASSIGNED)
    rest = (unicodedata.category(chr(c)) for c in range(sys.maxunicode + 1) if c not in known)
    assert not {"Mn", "Mc", "Me", "Cc", "Cf"} & set(rest)


TEXTS = ["the lower the lowest", "new, newer (newest)", "İstanbul'da"] * 5


@pytest.mark.parametrize("kind", ["words", "subwords", "characters"])
@pytest.mark.parametrize("lower", [False, True])
def test_tokens_and_their_json(kind, lower):
    tokeniser = Tokeniser.of(kind, TEXTS, lower=lower, size=40)
    again = Tokeniser(**json.loads(json.dumps(vars_of(tokeniser))))
    text = "The LOWER İ new — fox"
    found = tokeniser.split(text)
    assert found == again.split(text)
    assert tokeniser == again
    for token in found:
        written = text[token.start : token.stop]
        plain = token.text.removeprefix("▁")
        assert plain in ("<unk>", "", lower_case(written) if lower else written)


def vars_of(tokeniser):
    return {"kind": tokeniser.kind, "lower": tokeniser.lower, "model": tokeniser.model}


@given(st.text())
def test_lower_case_keeps_the_length(text):
    assert len(lower_case(text)) == len(text)
    assert len(text.lower()) != len(text) or lower_case(text) == text.lower()


def test_tokenisers_that_cannot_be():
    with pytest.raises(ConfigError, match="tokens = 'bytes' without a model"):
        Tokeniser("bytes")
    with pytest.raises(ConfigError, match="sub-words alone have a model"):
        Tokeniser("words", model="{}")
    with pytest.raises(DataError, match=r"'\\ud83d' at character 2, which is not valid Unicode"):
        Tokeniser("words").split("x\ud83d")


def test_subwords_merge_what_is_frequent():
    pieces = Subwords.train(TEXTS, 60)
    assert [piece.text for piece in pieces.split("the lowest")] == ["▁the", "▁lowest"]
    assert [piece.text for piece in pieces.split("(the)")] == ["▁(", "▁the", "▁)"]
    found = pieces.split("<unk> the")
    assert (found[-1].text, found[-1].start, found[-1].stop) == ("▁the", 6, 9)
    pieces_of_it = ["<unk>"[p.start : p.stop] for p in pieces.split("<unk>")]
    assert "".join(pieces_of_it) == "<unk>" not in pieces_of_it
    assert pieces.split(" \n") == []


def test_subwords_have_at_most_their_size_and_all_characters():
    for size in (30, 60):
        vocabulary = json.loads(Subwords.train(TEXTS, size).to_json())["model"]["vocab"]
        assert len(vocabulary) <= size
        assert {"t", "h", "e", "▁"} <= vocabulary.keys()
    with pytest.raises(ConfigError, match="15 sub-words are too few; give a vocabulary of 17"):
        Subwords.train(TEXTS, 15)


def test_of_equally_rare_characters_the_same_ones_are_known():
    texts = ["".join(map(chr, range(0x4E00, 0x4E80))), *["the lower"] * 5]
    models = {Subwords.train(each, 40).to_json() for each in [texts, texts[::-1]] * 4}
    assert len(models) == 1
    known = json.loads(models.pop())["model"]["vocab"]
    assert {"\u4e00", "t", "▁"} <= known.keys()
    assert "\u4e7f" not in known


def test_subwords_are_the_same_in_every_process_and_order():
    script = (
        "from recurra.data.texts.subwords import Subwords\n"
        "texts = [f'{a}{b}{a} {b}{a}' for a in 'abcdefgh' for b in 'stuvwxyz']\n"
        "a, b = (Subwords.train(each, 90).to_json() for each in (texts, texts[::-1]))\n"
        "print(a if a == b else 'differ')"
    )
    found = set()
    for seed in ("1", "2", "3"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "RAYON_NUM_THREADS": seed}
        command = [sys.executable, "-c", script]
        found.add(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert len(found) == 1
    assert b'"merges"' in found.pop()


def test_subwords_need_their_package_and_their_own_json(monkeypatch):
    with pytest.raises(DataError, match=r"The sub-words can't be read .*train again"):
        Subwords("{}")
    monkeypatch.setattr(subwords_module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"Sub-words needs tokenizers.*recurra\[text\]"):
        Tokeniser.of("subwords", TEXTS)
    assert Tokeniser.of("words", TEXTS).split("a")


def test_a_vocabulary_is_sorted_by_count_and_limited():
    texts = [["b", "a", "b"], ["c", "a", "d"]]
    assert TokenVocabulary.of(texts) == TokenVocabulary(("a", "b", "c", "d"), (2, 2, 1, 1))
    assert TokenVocabulary.of(reversed(texts)) == TokenVocabulary.of(texts)
    assert TokenVocabulary.of(texts, min_count=2).tokens == ("a", "b")
    small = TokenVocabulary.of(texts, size=5)
    assert (len(small), small.tokens) == (5, ("a", "b", "c"))
    assert small.encode("abcd").tolist() == [2, 3, 4, 1]
    assert small.seen.tolist() == [0, 0, 2, 2, 1]
    assert "c" in small
    assert "d" not in small
    assert small.encode([]).shape == (0,)
    kept = json.loads(json.dumps({"tokens": small.tokens, "counts": small.counts}))
    assert TokenVocabulary(**kept) == small


def test_vocabularies_that_cannot_be():
    with pytest.raises(ConfigError, match=r"min_count = 3 .* none of the 2 .* comes 2 times"):
        TokenVocabulary.of([["a", "b", "a"]], min_count=3)
    with pytest.raises(ConfigError, match="vocabulary = 2 keep none"):
        TokenVocabulary.of([["a"]], size=2)
    with pytest.raises(DataError, match="2 tokens, 1 of them different, and 2 counts"):
        TokenVocabulary(("a", "a"), (1, 1))
    with pytest.raises(DataError, match="2 tokens, 2 of them different, and 1 counts"):
        TokenVocabulary(("a", "b"), (1,))


def test_spelling():
    spelling = Spelling.of(["abba", "bc"], min_count=2)
    assert spelling.letters == ("b",)
    spelling = Spelling.of(["abcdefghijklmnopqrstuvwxyz"])
    assert (len(spelling), spelling.width) == (30, 22)
    long = spelling.encode("abcdefghijklmnopqrstuvwxyz").tolist()
    assert long == [2, *range(4, 14), *range(20, 30), 3]
    assert spelling.encode("abcdefghijklmnopqrst").tolist() == [2, *range(4, 24), 3]
    assert spelling.encode("").tolist() == [2, 3, *[0] * 20]
    assert spelling.encode("aZ").tolist() == [2, 4, 1, 3, *[0] * 18]
