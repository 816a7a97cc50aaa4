"""Short outputs with several references: against a slow search for the nearest."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.errors import DataError
from recurra.metrics.short_outputs import output_scores

TEXTS = st.lists(st.sampled_from(["AH", "B", "K", "T"]), min_size=1, max_size=5).map(" ".join)
ITEMS = st.lists(st.tuples(st.lists(TEXTS, min_size=1, max_size=3), TEXTS), min_size=1, max_size=5)


def distance(first, second):
    """Levenshtein's, by recursion on the last units."""
    if not first or not second:
        return len(first) + len(second)
    kept = distance(first[:-1], second[:-1]) + (first[-1] != second[-1])
    return min(kept, distance(first[:-1], second) + 1, distance(first, second[:-1]) + 1)


@given(ITEMS)
def test_the_nearest_reference_counts(items):
    references, hypotheses = zip(*items, strict=True)
    scores = output_scores(references, hypotheses)
    errors = lengths = 0
    for number, (row, text) in enumerate(items):
        each = [distance(reference.split(), text.split()) for reference in row]
        place = each.index(min(each))
        assert scores.nearest[number] == place
        assert scores.tokens[0][number] == each[place]
        errors, lengths = errors + each[place], lengths + len(row[place].split())
    assert scores.token_error_rate == pytest.approx(errors / lengths)
    exact = np.mean([text in row for row, text in items])
    assert scores.exact == pytest.approx(exact)
    assert scores.word_error_rate == pytest.approx(1 - exact)


def test_spaces_do_not_count_and_characters_do():
    scores = output_scores([["1999-12-31", " 31  12 1999"]] * 2, ["31 12 1999 ", "1999-12-30"])
    assert scores.right.tolist() == [True, False]
    assert scores.nearest.tolist() == [1, 0]
    assert [rows.tolist() for rows in scores.tokens] == [[0, 1], [3, 1]]
    assert [rows.tolist() for rows in scores.characters] == [[0, 1], [10, 10]]
    assert (scores.exact, scores.character_error_rate) == (0.5, 1 / 20)


def test_intervals_hold_the_figures():
    references = [["K AE T"], ["D AO G", "D AA G"]] * 100
    hypotheses = ["K AE T", "D AH G"] * 60 + ["K AE T", "D AA G"] * 40
    scores = output_scores(references, hypotheses)
    found = scores.intervals(np.random.default_rng(0))
    assert found.keys() == {"exact", "token_error_rate", "character_error_rate"}
    for name, (low, high) in found.items():
        assert low < getattr(scores, name) < high
        assert high - low < 0.2


def test_what_cannot_be_compared():
    with pytest.raises(DataError, match=r"Item 0 \(from 0\) has no reference"):
        output_scores([[]], ["a"])
    assert output_scores([["a"]], [""]).token_error_rate == 1
