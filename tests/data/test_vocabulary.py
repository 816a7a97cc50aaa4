"""Vocabularies: there and back, what is unknown, and how text streams out."""

from collections import Counter

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.texts.tokeniser import Tokeniser
from recurra.data.vocabulary import (
    Bytes,
    Characters,
    Words,
    build_vocabulary,
    unknown_note,
    vocabulary_from,
)
from recurra.errors import ConfigError, DataError

TEXT = "the cat sat\n\non the  mat\n"


def decoded(vocabulary, ids):
    decoder = vocabulary.decoder()
    return "".join([*(decoder.feed(token) for token in ids.tolist()), decoder.flush()])


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_characters_and_bytes_come_back_as_they_went(text):
    for level in ("char", "byte"):
        vocabulary = build_vocabulary(level, text)
        assert decoded(vocabulary, vocabulary.encode(text)) == text


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_a_vocabulary_is_rebuilt_from_its_tokens(level):
    vocabulary = build_vocabulary(level, TEXT)
    again = vocabulary_from(level, vocabulary.tokens())
    assert len(again) == len(vocabulary)
    assert again.start == vocabulary.start
    assert torch.equal(again.encode(TEXT), vocabulary.encode(TEXT))


def test_characters_are_numbered_in_order():
    vocabulary = build_vocabulary("char", "hello")
    assert len(vocabulary) == 5
    assert vocabulary.encode("hole").tolist() == [2, 4, 3, 1]
    assert Characters("hello�").encode("hole").tolist() == [0, 3, 2, 1]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(max_size=9))
def test_characters_that_the_text_lacks_come_out_as_the_replacement_character(text, other):
    vocabulary = build_vocabulary("char", text)
    known = "".join(each if each in text else "�" for each in other)
    assert decoded(vocabulary, vocabulary.encode(other)) == known
    assert vocabulary.unknown_in(other) == Counter(c for c in other if c not in text and c != "�")


def test_unknown_words_are_counted():
    found = build_vocabulary("word", "a b c\n", max_words=4).unknown_in("a c d d <unk>\n")
    assert found == {"c": 1, "d": 2}


def test_words_and_characters_of_a_tokeniser():
    words = build_vocabulary("word", "No way!\nno\n", tokeniser=Tokeniser("words", lower=True))
    assert words.tokens() == ["<unk>", "<eos>", "no", "way", "!"]
    again = vocabulary_from("word", words.tokens(), Tokeniser("words", lower=True))
    assert again.encode("WAY, no!\n").tolist() == [3, 0, 2, 4, 1]
    assert again.unknown_in("WAY, no!\n") == {",": 1}
    assert again.characters("no way!\n") == len("no way !\n")
    assert again.prompt("no!").tolist() == [2, 4]
    characters = build_vocabulary("char", "Ab\n", tokeniser=Tokeniser("characters", lower=True))
    assert characters.tokens() == ["�", "\n", "a", "b"]
    assert characters.encode("aAB!").tolist() == [2, 2, 3, 0]
    assert characters.unknown_in("aA!") == {"!": 1}


def test_a_note_names_five_and_counts_the_rest():
    vocabulary = build_vocabulary("char", "abc")
    note = unknown_note(vocabulary, "a1234567", "The text")
    assert "7 characters" in note
    assert "('1', '2', '3', '4', '5' and 2 more): 7 of its 8 tokens are" in note
    assert unknown_note(vocabulary, "abba", "The text") is None
    assert unknown_note(Bytes(), "é", "The text") is None


@pytest.mark.parametrize(
    ("level", "text", "number"), [("char", "\n", 1), ("byte", "a", 97), ("word", "the", 2)]
)
def test_a_token_is_found_by_its_text(level, text, number):
    assert build_vocabulary(level, TEXT).token(text) == number


@pytest.mark.parametrize(
    ("level", "text", "part"),
    [("char", "the", "not a token"), ("byte", "é", "level byte"), ("word", "catt", "mean 'cat'")],
)
def test_a_text_that_is_no_token_is_refused(level, text, part):
    with pytest.raises(ConfigError, match=part):
        build_vocabulary(level, TEXT).token(text)


def test_bytes_refuse_what_is_no_unicode():
    assert Bytes().encode("a\udcff").tolist() == [97, 255]
    with pytest.raises(DataError, match="ud800"):
        Bytes().encode("a\ud800")


def test_a_character_of_several_bytes_comes_out_whole():
    decoder = Bytes().decoder()
    assert [decoder.feed(byte) for byte in "é€".encode()] == ["", "é", "", "", "€"]


def test_half_a_character_at_the_end_is_marked():
    decoder = Bytes().decoder()
    assert decoder.feed(0xC3) + decoder.flush() == "\ufffd"


def test_words_are_split_on_white_space_with_eos_for_each_line():
    vocabulary = build_vocabulary("word", TEXT)
    ids = vocabulary.encode(TEXT)
    words = [vocabulary.tokens()[index] for index in ids.tolist()]
    assert words == ["the", "cat", "sat", "<eos>", "<eos>", "on", "the", "mat", "<eos>"]
    assert len(vocabulary) == len({*TEXT.split(), "<unk>", "<eos>"})


def test_a_last_line_without_an_end_has_its_eos():
    vocabulary = build_vocabulary("word", "a b")
    assert Counter(vocabulary.encode("a b").tolist())[vocabulary.start] == 1


def test_unknown_words_are_unk():
    vocabulary = build_vocabulary("word", TEXT)
    unknown = vocabulary.tokens().index("<unk>")
    assert vocabulary.encode("dog the").tolist()[0] == unknown


def test_rare_words_are_unk():
    vocabulary = build_vocabulary("word", "a a b <unk>\n", min_count=2)
    assert vocabulary.tokens() == ["<unk>", "<eos>", "a"]


def test_the_most_frequent_words_are_kept():
    vocabulary = build_vocabulary("word", "a b b c c c\n", max_words=4)
    assert vocabulary.tokens() == ["<unk>", "<eos>", "c", "b"]


@pytest.mark.parametrize("limits", [{"min_count": 3}, {"max_words": 2}, {"max_words": 1}])
def test_limits_that_keep_no_word_are_refused(limits):
    with pytest.raises(ConfigError, match=r"keep no word; the most frequent comes 2 times"):
        build_vocabulary("word", "a b b\n", **limits)


def test_words_come_out_with_single_spaces():
    vocabulary = build_vocabulary("word", TEXT)
    assert decoded(vocabulary, vocabulary.encode(TEXT)) == "the cat sat\n\non the mat\n"
    assert vocabulary.characters(TEXT) == len("the cat sat\n\non the mat\n")


def test_a_prompt_leaves_its_last_line_open():
    vocabulary = build_vocabulary("word", TEXT)
    assert vocabulary.prompt("the cat").tolist() == vocabulary.encode("the cat").tolist()[:-1]
    assert vocabulary.prompt("the cat\n").tolist() == vocabulary.encode("the cat\n").tolist()


@pytest.mark.parametrize("level", ["char", "byte", "word"])
def test_an_empty_prompt_starts_a_line(level):
    vocabulary = build_vocabulary(level, TEXT)
    assert decoded(vocabulary, vocabulary.prompt("")) == "\n"


def test_without_a_line_end_a_prompt_starts_anywhere():
    assert Characters("ba�").prompt("").tolist() == [0]
    assert build_vocabulary("char", "ba").prompt("").tolist() == [1]


def test_an_unknown_level_is_an_error():
    with pytest.raises(ConfigError, match="char, byte, word"):
        vocabulary_from("letter", [])


def test_words_need_no_order():
    assert Words(["no", "<eos>", "<unk>"]).encode("no way").tolist() == [0, 2, 1]
