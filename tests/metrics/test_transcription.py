"""Error rates: against a slow edit distance, jiwer, examples, and what has no rate elsewhere."""

import builtins
from collections import Counter

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import DataError, MissingExtra
from recurra.metrics.transcription import (
    EditCounts,
    confusions,
    error_rates,
    right_characters,
    worst_transcripts,
)

TEXTS = st.text(st.sampled_from("ab \u00e9"), max_size=7)
PAIRS = st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5)


def distance(first, second):
    """Levenshtein's, row by row."""
    row = list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        above, row[0] = row[0], i
        for j, b in enumerate(second, start=1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def spaced(text):
    return " ".join(text.split())


@given(PAIRS)
def test_errors_are_the_edit_distance(pairs):
    references, hypotheses = zip(*pairs, strict=True)
    rates = error_rates(references, hypotheses)
    for unit, split, counts in (
        ("character", list, rates.characters),
        ("word", str.split, rates.words),
    ):
        sides = [(split(spaced(a)), split(spaced(b))) for a, b in pairs]
        errors, lengths = rates.items[unit]
        assert errors.tolist() == [distance(a, b) for a, b in sides]
        assert lengths.tolist() == [len(a) for a, _ in sides]
        assert (counts.errors, counts.length) == (errors.sum(), lengths.sum())
        written = sum(len(b) for _, b in sides)
        assert counts.hits + counts.substitutions + counts.insertions == written
        assert counts.rate == errors.sum() / max(lengths.sum(), 1)
    assert rates.exact == np.mean([spaced(a) == spaced(b) for a, b in pairs])


def test_rates_are_those_of_jiwer():
    references = ["hello world", "the cat sat on the mat", "a"]
    hypotheses = ["hello duck", "the cat on mat mat", "a b"]
    rates = error_rates(references, hypotheses)
    assert rates.wer == pytest.approx(jiwer.wer(references, hypotheses))
    assert rates.cer == pytest.approx(jiwer.cer(references, hypotheses))


def test_kitten_and_sitting():
    rates = error_rates(["kitten"], ["sitting"])
    assert rates.characters == EditCounts(4, 2, 0, 1)
    assert (rates.cer, rates.wer, rates.exact) == (3 / 6, 1, 0)


def test_an_empty_reference_counts_what_is_written_for_it():
    rates = error_rates(["", "ab"], ["xy", "ab"])
    assert (rates.cer, rates.wer) == (2 / 2, 1 / 1)
    assert rates.items["character"][0].tolist() == [2, 0]
    alone = error_rates(["", " "], ["xyz", ""])
    assert (alone.cer, alone.wer, alone.exact) == (3, 1, 0.5)
    assert error_rates([""], [""]).cer == 0


def test_spaces_are_one_and_case_counts():
    assert error_rates([" a  b\n"], ["a b"]).cer == 0
    assert error_rates(["A"], ["a"]).cer == 1


@pytest.mark.parametrize("compare", [error_rates, confusions, worst_transcripts])
def test_lists_of_one_length_are_needed(compare):
    for pair, message in (
        ((["a"], ["a", "b"]), "1 references and 2 hypotheses"),
        (([], []), "0 references and 0 hypotheses"),
        (("ab", ["a", "b"]), "one of them is a text"),
    ):
        with pytest.raises(DataError, match=message):
            compare(*pair)


@given(PAIRS)
def test_confusions_are_all_the_errors(pairs):
    references, hypotheses = zip(*pairs, strict=True)
    counts = error_rates(references, hypotheses).characters
    found = Counter()
    for one in confusions(references, hypotheses, n=1000):
        found[one.kind] += one.count
        assert one.reference != one.hypothesis
        assert (one.reference == "") == (one.kind == "inserted")
        assert (one.hypothesis == "") == (one.kind == "deleted")
    expected = {
        "substituted": counts.substitutions,
        "deleted": counts.deletions,
        "inserted": counts.insertions,
    }
    assert found == Counter(expected)


def test_the_most_frequent_confusions_come_first():
    found = confusions(["hood", "food", "good", "cat"], ["hoed", "foed", "goo", "cart"], n=2)
    assert [(c.reference, c.hypothesis, c.count) for c in found] == [("o", "e", 2), ("d", "", 1)]


def test_the_worst_come_first_and_what_is_right_does_not_come():
    references = ["abcd", "ab", "x", "abcdefgh", "right"]
    hypotheses = ["abcx", "ax", "", "abcdxxxx", "right"]
    found = worst_transcripts(references, hypotheses, n=3)
    assert [(one.index, one.errors, one.rate) for one in found] == [
        (2, 1, 1.0),
        (3, 4, 0.5),
        (1, 1, 0.5),
    ]
    assert (found[0].reference, found[0].hypothesis) == ("x", "")
    assert len(worst_transcripts(references, hypotheses)) == 4


def test_without_jiwer(monkeypatch):
    real = builtins.__import__

    def absent(name, *rest, **named):
        if name == "jiwer":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtra, match=r"error rates needs jiwer.*recurra\[transcribe\]"):
        error_rates(["a"], ["a"])


@pytest.mark.parametrize("hypothesis", ["a cat", " a  cat ", "acat", "", "  ", "a bat s", "tac a"])
def test_right_characters_are_the_hits_of_the_rates(hypothesis):
    right = right_characters("a cat", hypothesis)
    assert len(right) == len(hypothesis)
    assert sum(right) == error_rates(["a cat"], [hypothesis]).characters.hits
    written = [each for each, flag in zip(hypothesis, right, strict=True) if flag]
    letters = iter("a cat")
    assert all(each in letters for each in written)  # in order
