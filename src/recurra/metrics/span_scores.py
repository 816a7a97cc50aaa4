"""Precision, recall and F1 of spans: entities of texts, and events of series.

A span is a triple (kind, start, stop) of the steps start to stop - 1 of a sequence. A figure that
is undefined is NaN, where seqeval has 0.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.class_score import ClassScore, class_scores, mean_of_defined

__all__ = ["Span", "SpanScores", "entity_scores", "event_scores", "runs_of"]

Floats = np.ndarray[Any, np.dtype[np.float64]]
Span: TypeAlias = tuple[Hashable, int, int]
Match = Callable[[Span, Span], bool]


@dataclass(frozen=True, eq=False)
class SpanScores:
    """Figures of the spans of N sequences.

    overall: of all spans together (micro); support is the number of actual ones.
    kinds: of each kind, in the order of their names. macro_f1: the mean over them;
    weighted_f1: the same by support.
    right, predicted, actual: how many each sequence has, (N,).
    """

    overall: ClassScore
    kinds: Mapping[Hashable, ClassScore]
    macro_f1: float
    weighted_f1: float
    right: Floats
    predicted: Floats
    actual: Floats

    def interval(
        self,
        generator: np.random.Generator,
        *,
        level: float = 0.95,
        groups: Sequence[Hashable] | None = None,
    ) -> tuple[float, float] | None:
        """The interval of the overall F1 by resampled sequences; see `bootstrap_interval`."""
        return bootstrap_interval(
            2 * self.right, self.predicted + self.actual, generator, level=level, groups=groups
        )


def entity_scores(
    actual: Sequence[Sequence[Span]], predicted: Sequence[Sequence[Span]]
) -> SpanScores:
    """Compare spans that are right where kind, start and stop are.

    The definition of conlleval and of seqeval's default (H. Nakayama, "seqeval: a Python framework
    for sequence labeling evaluation", 2018). DataError for another number of sequences.

    >>> scores = entity_scores([[("PER", 0, 2), ("LOC", 3, 4)]], [[("PER", 0, 2), ("ORG", 3, 4)]])
    >>> scores.overall
    ClassScore(precision=0.5, recall=0.5, f1=0.5, support=2.0)
    """
    return _scores(actual, predicted, lambda one, other: one == other)


def event_scores(
    actual: Sequence[Sequence[Span]],
    predicted: Sequence[Sequence[Span]],
    *,
    overlap: float = 0.5,
    onset: float | None = None,
) -> SpanScores:
    """Compare spans that are right where the kind is, and they overlap or begin together.

    overlap: the least intersection over union of steps, above 0: the segmental F1 of C. Lea et al.,
        "Temporal convolutional networks for action segmentation and detection", CVPR 2017 (whose
        F1@50 it is by default).
    onset: the number of steps by which starts may differ; given, overlaps don't matter. It is the
        event-based measure of A. Mesaros, T. Heittola and T. Virtanen, "Metrics for polyphonic
        sound event detection", 2016, without offsets.

    An actual and a predicted span are one another's at most once, and as many as can be are. The
    spans of a sequence and kind must not overlap. ConfigError for thresholds that can't be.

    >>> scores = event_scores([[("a", 0, 10)]], [[("a", 2, 10), ("a", 20, 22)]])
    >>> scores.overall.precision, scores.overall.recall
    (0.5, 1.0)
    """
    if not 0 < overlap <= 1 or (onset is not None and not onset >= 0):
        raise ConfigError(
            f"overlap = {overlap:g} and onset = {onset}; overlap is above 0 and at most 1, onset 0 "
            "or more steps."
        )
    if onset is not None:
        return _scores(actual, predicted, lambda one, other: abs(one[1] - other[1]) <= onset, onset)
    return _scores(actual, predicted, lambda one, other: _overlap(one, other) >= overlap)


def runs_of(labels: Sequence[Hashable], background: Hashable) -> list[Span]:
    """The events of a label for each step (T,): maximal runs of one other than `background`.

    >>> runs_of(["-", "a", "a", "b", "-"], "-")
    [('a', 1, 3), ('b', 3, 4)]
    """
    starts = [n for n, label in enumerate(labels) if not n or label != labels[n - 1]]
    stops = [*starts[1:], len(labels)]
    runs = ((labels[start], start, stop) for start, stop in zip(starts, stops, strict=False))
    return [run for run in runs if run[0] != background]


def _scores(
    actual: Sequence[Sequence[Span]],
    predicted: Sequence[Sequence[Span]],
    match: Match,
    slack: float = 0,
) -> SpanScores:
    if len(actual) != len(predicted):
        raise DataError(
            f"{len(actual):,} sequences of actual spans and {len(predicted):,} of predicted ones; "
            "give as many of both."
        )
    pairs = zip(actual, predicted, strict=True)
    right = [_right(own, given, match, slack) for own, given in pairs]
    columns = (right, *([_kinds(own) for own in spans] for spans in (predicted, actual)))
    totals = [sum(column, Counter[Hashable]()) for column in columns]
    kinds = sorted({*totals[1], *totals[2]}, key=str)
    table = np.array([[total[kind] for kind in kinds] for total in totals], float)
    each = class_scores(*table)
    f1s, supports = np.array([one.f1 for one in each]), table[2]
    counts = [np.array([one.total() for one in column], float) for column in columns]
    (overall,) = class_scores(*(np.array([count.sum()]) for count in counts))
    return SpanScores(
        overall,
        dict(zip(kinds, each, strict=True)),
        macro_f1=mean_of_defined(f1s),
        weighted_f1=float(f1s @ supports / supports.sum()) if supports.sum() else float("nan"),
        right=counts[0],
        predicted=counts[1],
        actual=counts[2],
    )


def _kinds(spans: Sequence[Span]) -> Counter[Hashable]:
    return Counter(kind for kind, _, _ in spans)


def _right(
    actual: Sequence[Span], predicted: Sequence[Span], match: Match, slack: float
) -> Counter[Hashable]:
    """By kind, how many predicted spans have an actual one of their own.

    Both are taken in order of their starts, each with the first that is left. Since spans of a kind
    are disjoint, so that only neighbours compete for one, no other choice gives more. Spans that
    are apart by more than `slack` steps aren't tried.
    """
    found = Counter[Hashable]()
    left: dict[Hashable, deque[Span]] = {}
    for span in sorted(actual, key=_start):
        left.setdefault(span[0], deque()).append(span)
    for span in sorted(predicted, key=_start):
        own = left.get(span[0], deque[Span]())
        while own and own[0][2] <= span[1] and own[0][1] + slack < span[1]:
            own.popleft()
        place = _place(own, span, match, slack)
        if place is not None:
            del own[place]
            found[span[0]] += 1
    return found


def _place(left: Sequence[Span], span: Span, match: Match, slack: float) -> int | None:
    """The place of the first span that is left and matches, None without."""
    for place, one in enumerate(left):
        if one[1] > span[2] + slack:
            break
        if match(one, span):
            return place
    return None


def _start(span: Span) -> tuple[int, int]:
    return span[1], span[2]


def _overlap(one: Span, other: Span) -> float:
    """Steps in both by steps in either."""
    shared = min(one[2], other[2]) - max(one[1], other[1])
    return max(shared, 0) / (max(one[2], other[2]) - min(one[1], other[1])) if shared > 0 else 0.0
