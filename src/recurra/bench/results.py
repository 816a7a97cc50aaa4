"""Measurements as values: a point of a grid, the spread of its rounds, a suite's rows."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from recurra.bench.catalogue import RECURRA, Grid, Ratio, Suite

__all__ = ["Point", "Result", "Row", "Spread", "Summary", "geometric_mean", "spread_of"]


@dataclass(frozen=True)
class Point:
    """What was measured: a layer, its work, and its sizes B, T and I = H."""

    layer: str
    work: str
    batch: int
    steps: int
    size: int


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of the rounds."""

    median: float
    lower: float
    upper: float


@dataclass(frozen=True)
class Row:
    """One point: the spread of each contender by its name, and the operations of one run."""

    point: Point
    spreads: Mapping[str, Spread]
    operations: float | None = None

    def ratio(self, ratio: Ratio) -> float:
        """The ratio of the medians."""
        return self.spreads[ratio.theirs].median / self.spreads[ratio.ours].median


@dataclass(frozen=True)
class Summary:
    """Geometric means and minima over the points of a layer's work, by the label of the ratio."""

    layer: str
    work: str
    means: Mapping[str, float]
    minima: Mapping[str, float]
    share: float | None


@dataclass(frozen=True)
class Result:
    """What a suite measured, between two measurements of the peak, in operations a second."""

    suite: Suite
    grid: Grid
    rows: Sequence[Row]
    peak_before: float
    peak_after: float

    def share(self, row: Row, contender: str = RECURRA) -> float | None:
        """The share of the peak, the higher of the two, that a contender reached."""
        if row.operations is None or not self.suite.has_share:
            return None
        peak = max(self.peak_before, self.peak_after)
        return row.operations / row.spreads[contender].median / peak

    def groups(self) -> dict[tuple[str, str], list[Row]]:
        """The rows of each layer and work, in the order measured."""
        groups: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            groups.setdefault((row.point.layer, row.point.work), []).append(row)
        return groups

    def summaries(self) -> list[Summary]:
        """A summary of each group."""
        return [self._summary(*key, rows) for key, rows in self.groups().items()]

    def _summary(self, layer: str, work: str, rows: Sequence[Row]) -> Summary:
        ratios = {r.label: [row.ratio(r) for row in rows] for r in self.suite.ratios}
        shares = [share for row in rows if (share := self.share(row)) is not None]
        return Summary(
            layer,
            work,
            means={label: geometric_mean(values) for label, values in ratios.items()},
            minima={label: min(values) for label, values in ratios.items()},
            share=geometric_mean(shares) if shares else None,
        )


def geometric_mean(values: Iterable[float]) -> float:
    """The mean for ratios: twice as fast and half as fast make 1.

    Example:
        >>> geometric_mean([2.0, 0.5])
        1.0
    """
    return math.exp(statistics.fmean(map(math.log, values)))


def spread_of(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value.

    Example:
        >>> spread_of([3.0, 1.0, 2.0])
        Spread(median=2.0, lower=1.5, upper=2.5)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper)
