"""Alphabets: characters to tokens and back, and what they lack."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.alphabet import Alphabet
from recurra.data.text_form import TextForm
from recurra.errors import ConfigError, DataError


@given(st.lists(st.text(max_size=6), min_size=1).filter(any))
def test_texts_come_back(texts):
    alphabet = Alphabet.of(texts)
    assert alphabet.characters == tuple(sorted(set("".join(texts))))
    assert len(alphabet) == len(alphabet.characters) + 1
    for text in texts:
        tokens = alphabet.encode(text)
        assert tokens.dtype == np.int64
        assert not len(tokens) or 1 <= tokens.min() <= tokens.max() < len(alphabet)
        assert alphabet.decode(tokens) == text
        assert not alphabet.unknown_in(text)


def test_the_order_is_that_of_the_characters():
    assert Alphabet("cab").encode("abc").tolist() == [2, 3, 1]
    assert Alphabet("cab") == Alphabet(["c", "a", "b"]) != Alphabet("abc")
    assert len({Alphabet("ab"), Alphabet("ab"), Alphabet("ba")}) == 2
    assert Alphabet.blank == 0


def test_rare_characters_may_be_left_out():
    assert Alphabet.of(["aab", "ac"], min_count=2).characters == ("a",)
    with pytest.raises(DataError, match="no character that comes 9 times or more"):
        Alphabet.of(["aab"], min_count=9)


def test_what_is_outside_is_named_and_counted():
    alphabet = Alphabet("ab ")
    assert list(alphabet.unknown_in(["a\u00e9b?", "??"]).items()) == [("?", 3), ("\u00e9", 1)]
    with pytest.raises(
        DataError, match=r"'a\u00e9' has characters outside .* '\u00e9' \(U\+00E9\)"
    ):
        alphabet.encode("a\u00e9")
    with pytest.raises(DataError, match="and 16 more"):
        alphabet.encode("cdefghijklmnopqrstuvwxyz01")


@pytest.mark.parametrize("tokens", [[0], [1, 4], [-1]])
def test_tokens_of_no_character(tokens):
    with pytest.raises(DataError, match=r"tokens 1 to 3 \(0 is the blank"):
        Alphabet("abc").decode(tokens)


@pytest.mark.parametrize(
    ("characters", "message"),
    [
        ("", "alphabet is empty"),
        ("abca", r"'a' \(U\+0061\) more than once"),
        (["a", "bc"], "'bc': each entry is one character"),
        (["a", ""], "'': each entry"),
    ],
)
def test_wrong_alphabets(characters, message):
    with pytest.raises(ConfigError, match=message):
        Alphabet(characters)


def test_an_alphabet_that_a_user_wrote_is_in_the_form_of_the_texts():
    assert Alphabet.given("e\u0301a ", TextForm()).characters == ("\u00e9", "a", " ")
    lower = TextForm(case="lower", punctuation="remove")
    assert Alphabet.given("ab' \u2019", lower).characters == tuple("ab' \u2019")
    with pytest.raises(ConfigError, match=r"'A' \(U\+0041\), '!' .*case = lower"):
        Alphabet.given("aA!", lower)
