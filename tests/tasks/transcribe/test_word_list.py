"""A lexicon from a file: what can't be spelled is said, and so is what it rules out."""

import warnings

import pytest

from recurra.data.alphabet import Alphabet
from recurra.errors import DataError, RecurraWarning
from recurra.tasks.transcribe.word_list import lexicon_of, ruled_out

ALPHABET = Alphabet(" abcA.,'")


@pytest.fixture
def words(tmp_path):
    (tmp_path / "words.txt").write_text("ab\ncab\nxyz\n")
    return str(tmp_path / "words.txt")


def test_words_that_cannot_be_spelled_are_said(words):
    with pytest.warns(RecurraWarning, match=r"words\.txt: 1 of 3 words have characters .*: xyz\."):
        lexicon = lexicon_of(words, ALPHABET)
    for text, allowed in {"ab cab": True, "Ab, 'cab'.": True, "abc": False, "": True}.items():
        assert lexicon.allows(ALPHABET.encode(text).tolist()) == allowed


def test_what_it_rules_out_is_counted(words):
    found = ruled_out(words, ALPHABET, ["ab abc cab.", "abc zz", "Ab"])
    assert found.startswith("3 of the transcripts' 6 words are not in ")
    assert ": abc, zz. Add them" in found


def test_nothing_is_said_where_all_words_can_come_out(words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ruled_out(words, ALPHABET, ["ab cab", "'ab'"]) is None


def test_a_lexicon_of_nothing_that_can_be_spelled_is_an_error(tmp_path):
    (tmp_path / "w.txt").write_text("xyz\n")
    with pytest.raises(DataError, match="None of the lexicon's 1 words"):
        lexicon_of(str(tmp_path / "w.txt"), ALPHABET)
