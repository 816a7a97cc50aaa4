"""Cubic Bézier curves fitted to strokes, and features of these: few rows, each a piece of a letter.

After Carbune et al. (2020), "Fast multi-language LSTM-based online handwriting recognition",
International Journal on Document Analysis and Recognition 23. The ends of a curve are points of the
stroke here, so curves join; the paper leaves them free.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recurra.data.ink.ink import Floats, Ink, Points
from recurra.data.ink.ink_features import InkFeatures
from recurra.data.ink.ink_resampling import resampled
from recurra.errors import ConfigError

__all__ = ["BezierFeatures", "Curve", "fit_curves"]

_ROUNDS = 8
"""Improvements of a curve before its piece is split; a smooth piece takes one or two."""

_ALONG = 0.02
"""Weight of distances along a curve beside 1 of those across it, which keeps steps short."""

_TURNS = 2 * np.pi
"""A piece that turns more than that on the whole, either way, is split without improvements, which
would take twice as long for no fewer curves."""

_STEP = 0.1
"""Letter heights between the points that curves are fitted to: as even for slow pens as for fast
ones, and close enough that a curve can't swing out between them."""

_NAMES = ("dx", "dy", "from_start", "from_end", "angle_start", "angle_end", "pen_down")
_TIMES = ("time_1", "time_2", "time_3")


class Curve(NamedTuple):
    """A cubic Bézier curve (4, 2), the places s in 0..1 of the points it fits, and its error.

    The error is the largest distance of a point from the curve at its s.
    """

    control: Points
    places: Points
    error: float

    def at(self, s: Points) -> Points:
        """The curve's points (N, 2) at places s (N,)."""
        return _basis(s) @ self.control


def fit_curves(points: Points, max_error: float) -> list[Curve]:
    """Curves along the points (N, 2) of a stroke, each at most `max_error` away from its points.

    Where one curve is worse it is split at the point farthest from it; both parts share that.

    >>> x, y = np.clip(np.arange(21.0), 0, 10), np.clip(np.arange(21.0) - 10, 0, 10)
    >>> len(fit_curves(np.stack([x, y], axis=1), max_error=0.1))
    2
    """
    curves, waiting = [], [points]
    while waiting:
        piece = waiting.pop()
        curve = _fitted(piece, max_error)
        if curve.error <= max_error or len(piece) < 3:
            curves.append(curve)
            continue
        away = _distances(curve.at(curve.places), piece)
        worst = 1 + int(away[1:-1].argmax())
        waiting += [piece[worst:], piece[: worst + 1]]
    return curves


def _basis(s: Points) -> Points:
    r = 1.0 - s
    return np.stack([r * r * r, 3 * s * r * r, 3 * s * s * r, s * s * s], axis=1)


def _distances(a: Points, b: Points) -> Points:
    distances: Points = np.hypot(*(a - b).T)
    return distances


def _fitted(points: Points, good: float) -> Curve:
    """The curve through the first and last point with least squares to the others."""
    along = np.concatenate([[0.0], np.cumsum(_distances(points[1:], points[:-1]))])
    curve = _least_squares(points, along / along[-1] if along[-1] > 0 else along)
    best = curve
    for _ in range(_ROUNDS if _turning(points) < _TURNS else 0):
        if best.error <= good:
            break
        curve = _improved(curve, points)
        best = min(best, curve, key=lambda c: c.error)
    return best


def _turning(points: Points) -> float:
    """The sum of the turns, either way, along the points."""
    dx, dy = np.diff(points, axis=0).T
    cross, dot = dx[:-1] * dy[1:] - dy[:-1] * dx[1:], dx[:-1] * dx[1:] + dy[:-1] * dy[1:]
    return float(np.abs(np.arctan2(cross, dot)).sum())


def _least_squares(points: Points, places: Points) -> Curve:
    basis = _basis(places)
    ends = points[[0, -1]]
    rest = points - basis[:, [0, 3]] @ ends
    line = np.stack([ends[0] + (ends[1] - ends[0]) * share for share in (1 / 3, 2 / 3)])
    # Solved for the offset from a straight line: the smallest where points are too few for more.
    inner = line + np.linalg.lstsq(basis[:, 1:3], rest - basis[:, 1:3] @ line, rcond=1e-9)[0]
    control = np.concatenate([ends[:1], inner, ends[1:]])
    return Curve(control, places, float(_distances(basis @ control, points).max()))


def _improved(curve: Curve, points: Points) -> Curve:
    """Least squares of the distances across the curve, at places moved to the nearest.

    Distances along it hardly count, as places slide there: so a few rounds do for a smooth piece,
    where plain alternation of places and controls takes dozens.
    """
    places = _nearest(curve, points)
    basis, speed = _basis(places), _speed(curve, places)
    away = points - basis @ curve.control
    along = speed / np.maximum(np.hypot(*speed.T), 1e-9)[:, None]
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)
    rows, errors = [], []
    for way, weight in ((across, 1.0), (along, _ALONG)):
        rows.append(weight * np.concatenate([basis[:, 1:2] * way, basis[:, 2:3] * way], axis=1))
        errors.append(weight * (way * away).sum(axis=1))
    moves = np.linalg.lstsq(np.concatenate(rows), np.concatenate(errors), rcond=1e-9)[0]
    control = curve.control.copy()
    control[1:3] += moves.reshape(2, 2)
    return Curve(control, places, float(_distances(basis @ control, points).max()))


def _speed(curve: Curve, s: Points) -> Points:
    r = 1.0 - s
    speed: Points = np.stack([r * r, 2 * s * r, s * s], axis=1) @ (
        3 * np.diff(curve.control, axis=0)
    )
    return speed


def _nearest(curve: Curve, points: Points) -> Points:
    """One Newton step of each point's place towards the nearest on the curve, kept in order."""
    s = curve.places
    speed = _speed(curve, s)
    bend = np.stack([1.0 - s, s], axis=1) @ (6 * np.diff(curve.control, n=2, axis=0))
    away = curve.at(s) - points
    slope = (speed * speed).sum(axis=1) + (away * bend).sum(axis=1)
    step = (away * speed).sum(axis=1) / np.where(slope > 1e-12, slope, np.inf)
    moved = np.maximum.accumulate(np.clip(s - step, 0.0, 1.0))
    moved[0], moved[-1] = 0.0, 1.0
    return moved


@dataclass(frozen=True)
class BezierFeatures:
    """Settings of features by curves, plain JSON values; one row for each curve and each pen-up.

    A row is: offset to the curve's end (dx, dy, squashed by v / (1 + |v|)); the distances of the
    control points from the start and the end, as shares of the offset's length (squashed too); the
    angles in radians between the offset and the first and last leg; 1 for pen down, 0 for the
    straight way of a pen-up; then, with `time`, the coefficients of s, s² and s³ of the time along
    the curve, in `time_unit`.

    Args:
        max_error: the largest distance of a point from its curve, in letter heights.
        slope, slant, y_up, time, time_unit: as for `InkFeatures`.

    >>> how = BezierFeatures()
    >>> how.features(Ink((np.array([[0.0, 0.0], [0.0, 30.0]]), np.array([[9.0, 0.0]])))).shape
    (3, 7)
    """

    max_error: float = 0.05
    slope: bool = True
    slant: bool = True
    time: bool = False
    time_unit: float | None = None
    y_up: bool = False

    def __post_init__(self) -> None:
        if not 0.001 <= self.max_error <= 1:
            raise ConfigError(
                f"max_error={self.max_error}; give a share of the letter height from 0.001 to 1."
            )
        self._normalisation()

    def _normalisation(self) -> InkFeatures:
        return InkFeatures(
            slope=self.slope,
            slant=self.slant,
            time=self.time,
            time_unit=self.time_unit,
            y_up=self.y_up,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each feature, in the order of a row."""
        return _NAMES + (_TIMES if self.time else ())

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.names)

    def features(self, ink: Ink) -> Floats:
        """The rows (T, width) of an ink; DataError as for `InkFeatures.features`."""
        rows: list[list[float]] = []
        before: Points | None = None
        for path in self._normalisation().normalised(ink):
            stroke = resampled(path, _STEP)
            if before is not None:
                rows.append(self._jump(before, stroke[0]))
            rows += self._of_stroke(stroke)
            before = stroke[-1]
        return np.array(rows, dtype=np.float32)

    def _jump(self, start: Points, end: Points) -> list[float]:
        dx, dy = _squashed(end[:2] - start[:2])
        third = _squashed(np.array(1 / 3))
        times = [max(float(end[2] - start[2]), 0.0), 0.0, 0.0] if self.time else []
        return [float(dx), float(dy), float(third), float(third), 0.0, 0.0, 0.0, *times]

    def _of_stroke(self, stroke: Points) -> list[list[float]]:
        rows, first = [], 0
        for curve in fit_curves(stroke[:, :2], self.max_error):
            last = first + len(curve.places) - 1
            times = _times(curve.places, stroke[first : last + 1, 2]) if self.time else []
            rows.append([*_shape(curve.control), 1.0, *times])
            first = last
        return rows


def _squashed(values: Points) -> Points:
    squashed: Points = values / (1.0 + np.abs(values))
    return squashed


def _shape(control: Points) -> list[float]:
    """Offset, distances of the control points, and their angles to the offset."""
    chord = control[3] - control[0]
    legs = control[1] - control[0], control[3] - control[2]
    length = max(float(np.hypot(*chord)), 1e-6)
    distances = [float(_squashed(np.hypot(*leg) / length)) for leg in legs]
    return [*map(float, _squashed(chord)), *distances, *(_angle(chord, leg) for leg in legs)]


def _angle(a: Points, b: Points) -> float:
    """The angle from a to b, -pi..pi; 0 where one has no length."""
    return float(np.arctan2(a[0] * b[1] - a[1] * b[0], a[0] * b[0] + a[1] * b[1]))


def _times(places: Points, times: Points) -> list[float]:
    """The coefficients of s, s² and s³ of a cubic through 0 that gives the time at each place."""
    powers = np.stack([places, places**2, places**3], axis=1)
    found: list[float] = np.linalg.lstsq(powers, times - times[0], rcond=1e-6)[0].tolist()
    return found
