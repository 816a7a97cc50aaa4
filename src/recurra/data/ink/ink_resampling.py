"""Strokes resampled at even steps along their path, and a row of features for each sample.

Both take points piece by piece and give the same bits however these were cut: sums run in the
order of the points, and everything else is elementwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.data.ink.ink import Floats, Points
from recurra.errors import DataError

__all__ = ["MAX_ROWS", "PathResampler", "Rows", "resampled"]

MAX_ROWS = 100_000
"""The most samples of one call; a line of text has some hundreds."""

_MEAN_OVER = 8.0
"""Letter heights of pen path over which a causal mean of y forgets, to a share of 1 / e."""


@dataclass
class PathResampler:
    """Gives points at whole multiples of `spacing` along a stroke, and its end.

    The end is a sample if it is more than half a step past the last, so a stroke shorter than
    that is one sample, as is a dot.
    """

    spacing: float
    last: list[float] = field(default_factory=list)
    length: float = 0.0
    taken: int = 0

    def feed(self, points: Points) -> Points:
        """The new samples after further points (n, columns) of the stroke."""
        if not len(points):
            return points
        if not self.last:
            self.last, self.taken = points[0].tolist(), 1
            first: Points = np.concatenate([points[:1], self.feed(points[1:])])
            return first
        path = np.concatenate([np.array([self.last]), points])
        x, y = np.diff(path[:, :2], axis=0).T
        steps = np.sqrt(x * x + y * y)
        along: Points = np.cumsum(np.concatenate([np.array([self.length]), steps]))
        targets = self._targets(float(along[-1]))
        after = np.searchsorted(along, targets)
        start, step = along[after - 1], along[after] - along[after - 1]
        share = ((targets - start) / step)[:, None]
        self.last, self.length = path[-1].tolist(), float(along[-1])
        self.taken += len(targets)
        samples: Points = path[after - 1] + share * (path[after] - path[after - 1])
        return samples

    def _targets(self, length: float) -> Points:
        """The places of the samples due by this length of path."""
        count = length / self.spacing - self.taken + 2
        if count > MAX_ROWS:
            raise DataError(
                f"the ink is {length:.6g} letter heights long, more than {MAX_ROWS:,} samples; is "
                "the unit right, and is it one line of text?"
            )
        numbers = np.arange(self.taken, self.taken + max(int(count), 0), dtype=np.float64)
        targets: Points = numbers * self.spacing
        due: Points = targets[targets <= length]
        return due

    def finish(self) -> Points:
        """The stroke's end where it is a sample, (0 or 1, columns); the next stroke may start."""
        rest = self.length - self.spacing * (self.taken - 1)
        end = [self.last] if self.last and rest > self.spacing / 2 else []
        samples = np.array(end, dtype=np.float64).reshape(len(end), len(self.last))
        self.last, self.length, self.taken = [], 0.0, 0
        return samples


def resampled(stroke: Points, spacing: float) -> Points:
    """A whole stroke as samples (n, columns), n at least 1."""
    resampler = PathResampler(spacing)
    return np.concatenate([resampler.feed(stroke), resampler.finish()])


@dataclass
class Rows:
    """Turns samples into rows of features; a row waits for the sample after it or the pen-up.

    Args:
        spacing: the step between samples.
        running: y is given relative to a causal mean of y, not to 0.
        pressure, time: the columns of these in samples, or None.
    """

    spacing: float
    running: bool = False
    pressure: int | None = None
    time: int | None = None
    before: list[float] = field(default_factory=list)  # the last sample that has its row
    waiting: list[float] = field(default_factory=list)
    inside: bool = False  # `before` belongs to the stroke of `waiting`
    mean: float | None = None

    def feed(self, samples: Points, *, pen_up: bool) -> Floats:
        """The rows that are due after further samples (n, columns) of the stroke."""
        waiting = np.array([self.waiting] if self.waiting else [])
        path = np.concatenate([waiting.reshape(-1, samples.shape[1]), samples])
        due = len(path) if pen_up else max(len(path) - 1, 0)
        rows = self._rows(path, due, pen_up) if due else np.empty((0, self.width), np.float32)
        if due:
            self.before, self.inside = path[due - 1].tolist(), not pen_up
        self.waiting = [] if due == len(path) else path[-1].tolist()
        return rows

    @property
    def width(self) -> int:
        """The number of features in a row."""
        return 9 + (self.pressure is not None) + (self.time is not None)

    def _rows(self, path: Points, due: int, pen_up: bool) -> Floats:
        origin = np.array([self.before]) if self.before else path[:1]
        moves = np.diff(np.concatenate([origin, path]), axis=0)  # into each sample
        into, out = moves[:due, :2], moves[1:, :2]
        starts = np.zeros(due)
        ends = np.zeros(due)
        if not self.inside:
            starts[0] = 1
            into = np.concatenate([out[:1] if len(out) else np.zeros((1, 2)), into[1:]])
        if pen_up:
            ends[-1] = 1
            out = np.concatenate([out, into[-1:]])
        columns = [*_squashed(moves[:due, :2]).T, starts, ends, *_shape(into, out)]
        columns.append(self._height(path[:due, 1]))
        if self.pressure is not None:
            columns.append(path[:due, self.pressure])
        if self.time is not None:
            columns.append(_squashed(np.maximum(moves[:due, self.time], 0.0)))
        return np.stack(columns, axis=1).astype(np.float32)

    def _height(self, y: Points) -> Points:
        """Height above the baseline, or above a mean that forgets along the path; upwards."""
        if not self.running:
            return -y
        share, heights = min(self.spacing / _MEAN_OVER, 1.0), []
        mean = float(y[0]) if self.mean is None else self.mean
        for value in y.tolist():
            mean += share * (value - mean)
            heights.append(mean - value)
        self.mean = mean
        return np.array(heights)

    def state(self) -> dict[str, Any]:
        """What the next rows depend on, as JSON values."""
        names = ("before", "waiting", "inside", "mean")
        return {name: getattr(self, name) for name in names}


def _squashed(values: Points) -> Points:
    """Values drawn into -1..1 without saturating soon: v / (1 + |v|)."""
    squashed: Points = values / (1.0 + np.abs(values))
    return squashed


def _unit(vectors: Points) -> tuple[Points, Points]:
    """x and y of vectors of length 1; of 0 where they have none."""
    x, y = vectors[:, 0], vectors[:, 1]
    length = np.sqrt(x * x + y * y)
    length = np.where(length > 0, length, 1.0)
    return x / length, y / length


def _shape(into: Points, out: Points) -> Sequence[Points]:
    """Direction (cos, sin) at each sample, and the turn there (sin, 1 - cos)."""
    (ax, ay), (bx, by) = _unit(into), _unit(out)
    cos, sin = _unit(np.stack([ax + bx, ay + by], axis=1))
    back = (cos == 0) & (sin == 0)  # turned on the spot
    still = (ax == 0) & (ay == 0) & (bx == 0) & (by == 0)
    turn = np.where(still, 0.0, 1.0 - (ax * bx + ay * by))
    return [np.where(back, bx, cos), np.where(back, by, sin), ax * by - ay * bx, turn]
