"""BLEU and chrF against their formulas written out; signatures; ranges of lengths."""

import importlib.util
import math
from collections import Counter

import pytest

from recurra.errors import ConfigError, DataError, MissingExtra
from recurra.metrics.length_bins import score_by_length
from recurra.metrics.translation_quality import translation_scores

REFERENCES = [
    ["the cat sat on the mat", "there was a cat on the mat ."],
    ["a man in an orange hat", "a man with a hat that is orange"],
    ["two dogs play in the snow"],
    ["she sells shells by the shore of the sea"],
] * 5
HYPOTHESES = [
    "the the cat on the mat",
    "a man in a hat that is red",
    "two dogs play in snow today",
    "she sells shells by the sea",
] * 5


def ngrams(tokens, order):
    return Counter(tuple(tokens[n : n + order]) for n in range(len(tokens) - order + 1))


def slow_bleu(references, hypotheses):
    """Papineni's, with clipped counts and the reference length nearest to the output's."""
    right, total, ours, theirs = [0] * 4, [0] * 4, 0, 0
    for row, text in zip(references, hypotheses, strict=True):
        tokens, each = text.split(), [reference.split() for reference in row]
        ours += len(tokens)
        theirs += min(map(len, each), key=lambda length: (abs(length - len(tokens)), length))
        for order in range(4):
            counts, most = ngrams(tokens, order + 1), Counter()
            for reference in each:
                most |= ngrams(reference, order + 1)
            right[order] += sum((counts & most).values())
            total[order] += sum(counts.values())
    logs = [math.log(a / b) for a, b in zip(right, total, strict=True)]
    return 100 * math.exp(sum(logs) / 4) * min(1, math.exp(1 - theirs / ours))


def slow_chrf(references, hypotheses):
    """F2 of n-grams of 1 to 6 characters without spaces, from precisions and recalls' means."""
    counts = [[0, 0, 0] for _ in range(6)]
    for reference, text in zip(references, hypotheses, strict=True):
        a, b = ("".join(each.split()) for each in (reference, text))
        for order, row in enumerate(counts, start=1):
            theirs, ours = ngrams(a, order), ngrams(b, order)
            parts = sum(theirs.values()), sum(ours.values()), sum((theirs & ours).values())
            row[:] = [x + y for x, y in zip(row, parts, strict=True)]
    precision = sum(both / ours for _, ours, both in counts) / 6
    recall = sum(both / theirs for theirs, _, both in counts) / 6
    return 100 * 5 * precision * recall / (4 * precision + recall)


def test_bleu_is_its_formula():
    score = translation_scores(REFERENCES, HYPOTHESES, tokenised=True)["bleu"]
    assert score.score == pytest.approx(slow_bleu(REFERENCES, HYPOTHESES))
    assert score.name == "BLEU"
    assert score.details.startswith("88.5/77.3/55.6/35.7 (BP = 0.891")
    low, high = score.interval
    assert 50 < low < score.score < high < 60
    assert str(score).startswith(f"BLEU = {score.score:.2f} (95 % from {low:.2f} to {high:.2f}) nr")


def test_chrf_is_its_formula():
    first = [row[0] for row in REFERENCES]
    score = translation_scores([[text] for text in first], HYPOTHESES, draws=0)["chrf"]
    assert score.score == pytest.approx(slow_chrf(first, HYPOTHESES))
    assert (score.name, score.interval) == ("chrF2", None)


def test_signatures_say_how():
    def signatures(references, **options):
        found = translation_scores(references, ["a b"] * len(references), draws=0, **options)
        return {name: score.signature.rpartition("|version:")[0] for name, score in found.items()}

    assert signatures([["a"]]) == {
        "bleu": "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp",
        "chrf": "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no",
    }
    lower = signatures([["a", "b"], ["c", " "]], tokenised=True, lower=True)
    assert lower["bleu"] == "nrefs:var|case:lc|eff:no|tok:none|smooth:exp"
    assert "nrefs:2|" in signatures([["a", "b"]])["chrf"]


def test_options_change_what_counts():
    def bleu(reference, text, **options):
        return translation_scores([[reference]], [text], draws=0, **options)["bleu"].score

    assert bleu("One, two three.", "One , two three .") == pytest.approx(100)
    assert bleu("One, two three.", "One , two three .", tokenised=True) < 50
    assert bleu("A B C D", "a b c d", lower=True) == pytest.approx(100)
    assert bleu("A B C D", "a b c d") == 0


def test_all_wrong_and_equal_draws():
    wrong = translation_scores([["a b c d e"]] * 2, ["v w x y z"] * 2)
    assert wrong["chrf"].score == 0
    assert wrong["chrf"].interval == (0, 0)
    again = [translation_scores(REFERENCES, HYPOTHESES, draws=50) for _ in range(2)]
    assert again[0] == again[1]


def test_what_cannot_be_scored():
    for references, hypotheses, message in (
        ([["a"]], ["a", "b"], "1 lists of references and 2 hypotheses"),
        ([], [], "0 lists of references and 0 hypotheses"),
        (["a"], ["a"], "one list for each hypothesis"),
        ([["a"], ["", " "]], ["a", "b"], r"Item 1 \(from 0\) has no reference"),
    ):
        with pytest.raises(DataError, match=message):
            translation_scores(references, hypotheses)
    with pytest.raises(ConfigError, match="draws = -1"):
        translation_scores([["a"]], ["a"], draws=-1)


def test_without_sacrebleu(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"BLEU and chrF needs sacrebleu.*recurra\[translate\]"):
        translation_scores([["a"]], ["a"])


def test_lengths_are_in_ranges_of_about_as_many():
    lengths = list(range(1, 11)) * 3
    found = score_by_length(lengths, lambda places: max(lengths[place] for place in places), bins=5)
    assert [(each.low, each.high, each.items, each.score) for each in found] == [
        (low, low + 1, 6, low + 1) for low in (1, 3, 5, 7, 9)
    ]
    skewed = score_by_length([4] * 90 + [7] * 10, len)
    assert [(each.name, each.items) for each in skewed] == [("4", 90), ("7", 10)]
    places = [
        place for each in score_by_length([3, 1, 2], lambda p: p, bins=2) for place in each.score
    ]
    assert sorted(places) == [0, 1, 2]
    assert score_by_length([], len) == []
    with pytest.raises(ConfigError, match="bins = 0"):
        score_by_length([1], len, bins=0)
