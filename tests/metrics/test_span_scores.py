"""Entities against seqeval, events against matchings by brute force and sed_eval's definition."""

import random

import numpy as np
import pytest

from recurra.data.texts.tag_schemes import segments_of
from recurra.errors import ConfigError, DataError
from recurra.metrics.span_scores import entity_scores, event_scores, runs_of

TAGS = ["O", "O", *(f"{letter}-{kind}" for letter in "BIES" for kind in ("PER", "LOC", "ORG"))]


def drawn_tags(count, tags, seed):
    generator = random.Random(seed)
    actual = [generator.choices(tags, k=generator.randint(1, 12)) for _ in range(count)]
    predicted = [
        [tag if generator.random() < 0.8 else generator.choice(tags) for tag in own]
        for own in actual
    ]
    return actual, predicted


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("tags", [TAGS, TAGS[:8]], ids=["bioes", "bio"])
def test_seqeval_agrees_on_valid_and_broken_tags(tags, seed):
    seqeval = pytest.importorskip("seqeval.metrics", reason="seqeval isn't installed")
    actual, predicted = drawn_tags(40, tags, seed)
    scores = entity_scores([*map(segments_of, actual)], [*map(segments_of, predicted)])
    found = scores.overall
    wanted = [
        getattr(seqeval, f"{name}_score")(actual, predicted)
        for name in ("precision", "recall", "f1")
    ]
    assert [found.precision, found.recall, found.f1] == pytest.approx(wanted, rel=1e-12)
    report = seqeval.classification_report(actual, predicted, output_dict=True)
    assert {"PER", "LOC"} <= scores.kinds.keys() <= report.keys()
    for kind, own in scores.kinds.items():
        other = report[kind]
        assert own.support == other["support"]
        assert own[:3] == pytest.approx([other["precision"], other["recall"], other["f1-score"]])
    assert scores.macro_f1 == pytest.approx(report["macro avg"]["f1-score"])
    assert scores.weighted_f1 == pytest.approx(report["weighted avg"]["f1-score"])


def test_undefined_figures_are_nan():
    none = entity_scores([[]], [[]])
    assert np.isnan([none.overall.precision, none.overall.f1, none.macro_f1]).all()
    missed = entity_scores([[("a", 0, 1)]], [[]])
    assert np.isnan(missed.overall.precision)
    assert (missed.overall.recall, missed.overall.f1, missed.overall.support) == (0, 0, 1)


def test_the_interval_is_that_of_sequences():
    spans = [[("a", 0, 2), ("b", 2, 3)]] * 30
    predicted = [own if n % 3 else [("a", 0, 1)] for n, own in enumerate(spans)]
    scores = entity_scores(spans, predicted)
    low, high = scores.interval(np.random.default_rng(0))
    assert scores.overall.f1 == pytest.approx(2 * 40 / (60 + 50))
    assert low < scores.overall.f1 < high
    assert entity_scores(spans, spans).interval(np.random.default_rng(0)) == (1, 1)
    assert scores.interval(np.random.default_rng(0), groups=["one"] * 30) is None


# -- events


def drawn_events(seed, steps=30):
    """Labels of steps, and the same with ends that moved and events that are others."""
    generator = np.random.default_rng(seed)
    labels = np.repeat(generator.integers(0, 3, steps), generator.integers(1, 5, steps))[:steps]
    moved = labels.copy()
    for at in generator.integers(1, steps, 10):
        moved[at] = moved[at - 1] if generator.random() < 0.8 else generator.integers(0, 3)
    return runs_of(labels.tolist(), 0), runs_of(moved.tolist(), 0)


def most_matches(actual, predicted, match):
    """The size of the largest matching, by trying all."""
    if not predicted:
        return 0
    first, rest = predicted[0], predicted[1:]
    best = most_matches(actual, rest, match)
    for one in actual:
        if one[0] == first[0] and match(one, first):
            others = [other for other in actual if other != one]
            best = max(best, 1 + most_matches(others, rest, match))
    return best


def overlap(one, other):
    first, second = ({*range(span[1], span[2])} for span in (one, other))
    return len(first & second) / len(first | second)


@pytest.mark.parametrize("least", [0.1, 0.3, 0.5, 0.9])
def test_overlapping_events_are_matched_as_often_as_can_be(least):
    total = 0
    for seed in range(40):
        actual, predicted = drawn_events(seed, 20)
        scores = event_scores([actual], [predicted], overlap=least)
        wanted = most_matches(actual, predicted, lambda a, b: overlap(a, b) >= least)
        assert scores.right.tolist() == [wanted]
        assert (scores.predicted[0], scores.actual[0]) == (len(predicted), len(actual))
        total += wanted
    assert total > 40


@pytest.mark.parametrize("onset", [0, 1, 2.5, 6])
def test_onsets_are_matched_as_often_as_can_be(onset):
    for seed in range(40):
        actual, predicted = drawn_events(seed, 20)
        scores = event_scores([actual], [predicted], onset=onset)
        wanted = most_matches(actual, predicted, lambda a, b: abs(a[1] - b[1]) <= onset)
        assert scores.right.tolist() == [wanted]


@pytest.mark.parametrize("collar", [0.25, 1.25])
def test_sed_eval_agrees(collar):
    sed_eval = pytest.importorskip("sed_eval", reason="sed_eval isn't installed: it needs librosa")
    events = [drawn_events(seed, 60) for seed in range(8)]
    other = sed_eval.sound_event.EventBasedMetrics(
        event_label_list=["1", "2"], t_collar=collar, evaluate_offset=False
    )
    for number, pair in enumerate(events):
        listed = [
            [
                {"event_label": str(k), "onset": float(a), "offset": float(b), "file": str(number)}
                for k, a, b in spans
            ]
            for spans in pair
        ]
        other.evaluate(*listed)
    scores = event_scores(*zip(*events, strict=True), onset=collar)
    wanted = other.results_overall_metrics()["f_measure"]
    assert scores.overall[:3] == pytest.approx(
        [wanted["precision"], wanted["recall"], wanted["f_measure"]]
    )
    each = other.results_class_wise_metrics()
    for kind in (1, 2):
        assert scores.kinds[kind].f1 == pytest.approx(each[str(kind)]["f_measure"]["f_measure"])


def test_an_event_is_not_counted_twice():
    """One that is cut in two is right once; the other part is too much."""
    scores = event_scores([[("a", 0, 10)]], [[("a", 0, 5), ("a", 5, 10)]])
    assert scores.overall[:2] == (0.5, 1)
    scores = event_scores([[("a", 0, 5), ("a", 6, 10)]], [[("a", 1, 10)]], overlap=0.3)
    assert scores.overall[:2] == (1, 0.5)


def test_runs():
    assert runs_of([2, 2, 0, 1, 1, 2], 0) == [(2, 0, 2), (1, 3, 5), (2, 5, 6)]
    assert runs_of([0, 0], 0) == runs_of([], 0) == []


def test_what_cant_be_is_refused():
    with pytest.raises(DataError, match="2 sequences of actual spans and 1 of predicted ones"):
        entity_scores([[], []], [[]])
    for options in ({"overlap": 0}, {"overlap": 1.5}, {"onset": -1}, {"onset": float("nan")}):
        with pytest.raises(ConfigError, match="overlap is above 0 and at most 1, onset 0"):
            event_scores([[]], [[]], **options)
