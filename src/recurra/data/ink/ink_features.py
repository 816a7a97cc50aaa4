"""Features of pen strokes for a recogniser: one row for each step along the path of the pen.

The set follows the literature on small to middling data: direction and curvature as cosines and
sines, height above the baseline and a small picture around the point as in NPen++ (Jaeger, Manke,
Reichert and Waibel 2001, "Online handwriting recognition: the NPen++ recognizer"), which Graves et
al. (2009, "A novel connectionist system for unconstrained handwriting recognition") take up;
offsets and pen-up flags at even steps as in Carbune et al. (2020, "Fast multi-language LSTM-based
online handwriting recognition"). A pen-up is one row, with the offset of the jump, not a path
through the air: the way back to a t-bar would else take dozens of rows of blanks for CTC.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recurra.data.ink.ink import Floats, Ink, Points
from recurra.data.ink.ink_normalisation import InkFrame, frame_of
from recurra.data.ink.ink_resampling import MAX_ROWS, Rows, resampled
from recurra.data.ink.ink_surroundings import CELLS, surroundings
from recurra.errors import ConfigError, DataError

__all__ = ["InkFeatures"]

_NAMES = ("dx", "dy", "start", "end", "cos", "sin", "turn_sin", "turn_cos", "height")


@dataclass(frozen=True)
class InkFeatures:
    """Settings of the features, all plain JSON values; `features` computes them.

    A row is: offset from the sample before (dx, dy, squashed by v / (1 + |v|)), flags for the first
    and last sample of a stroke, direction (cos, sin), turn (sin, 1 - cos), height above the
    baseline; then pressure, time since the sample before (squashed) and nine cells of
    surroundings, as far as they are asked for.

    Args:
        spacing: the step between samples in letter heights.
        size: "ink" estimates letter height, baseline, slope and slant from the whole ink; "fixed"
            takes `unit`, and height is relative to a running mean: the only one that streams.
        unit: the letter height in the ink's own units (the training median of `core_height`,
            say), for "fixed" alone.
        slope, slant: level the baseline; set letters upright. Of the whole ink, so "ink" alone.
        surroundings: pen path in a grid of 3 x 3 cells around each sample; "ink" alone.
        pressure, time: use these columns; ink without them is refused.
        pressure_unit: the pressure that becomes 1; None: the ink's own largest.
        time_unit: the time that counts as 1 step; None: the ink's own mean.
        y_up: the ink's y axis points upwards.

    >>> how = InkFeatures(spacing=0.5, surroundings=False)
    >>> how.features(Ink((np.array([[0.0, 0.0], [0.0, 30.0]]),))).shape
    (3, 9)
    """

    spacing: float = 0.2
    size: str = "ink"
    unit: float | None = None
    slope: bool = True
    slant: bool = True
    surroundings: bool = True
    pressure: bool = False
    time: bool = False
    pressure_unit: float | None = None
    time_unit: float | None = None
    y_up: bool = False

    def __post_init__(self) -> None:
        if not 0.01 <= self.spacing <= 10:
            raise ConfigError(f"spacing={self.spacing}; give letter heights from 0.01 to 10.")
        if self.size not in ("ink", "fixed"):
            raise ConfigError(f"size={self.size!r}; give 'ink' or 'fixed'.")
        for name in ("unit", "pressure_unit", "time_unit"):
            value = getattr(self, name)
            if value is not None and not 0 < value < np.inf:
                raise ConfigError(f"{name}={value}; give a number above 0, or None.")
        if (self.unit is not None) != (self.size == "fixed"):
            raise ConfigError(
                f"size={self.size!r} with unit={self.unit}; 'fixed' needs the letter height as "
                "unit, and 'ink' estimates it."
            )
        self._check_causal()

    def _check_causal(self) -> None:
        whole = [name for name in ("slope", "slant", "surroundings") if getattr(self, name)]
        if self.size == "fixed" and whole:
            raise ConfigError(
                f"size='fixed' with {', '.join(whole)}, which need the whole ink; switch them off, "
                "as InkFeatures.causal(unit) does, or use size='ink'."
            )
        for name in ("pressure", "time"):
            unit = getattr(self, f"{name}_unit")
            if self.size == "fixed" and getattr(self, name) and unit is None:
                raise ConfigError(
                    f"size='fixed' with {name}=True needs {name}_unit, since the ink's own is "
                    "known at its end only."
                )

    @classmethod
    def causal(cls, unit: float, *, spacing: float = 0.2, y_up: bool = False) -> "InkFeatures":
        """Settings for streams, with a fixed letter height in the ink's own units."""
        return cls(spacing, "fixed", unit, False, False, False, y_up=y_up)

    @property
    def names(self) -> tuple[str, ...]:
        """The name of each feature, in the order of a row."""
        extra = [name for name in ("pressure", "time") if getattr(self, name)]
        return (*_NAMES, *extra, *(CELLS if self.surroundings else ()))

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.names)

    def features(self, ink: Ink) -> Floats:
        """The rows (T, width) of an ink, T the number of samples, at least one for each stroke.

        Raises DataError where pressure or time is asked for and absent, or the ink is too long or
        spread too far for one line of text.
        """
        strokes = self.normalised(ink)
        samples = [resampled(stroke, self.spacing) for stroke in strokes]
        if sum(map(len, samples)) > MAX_ROWS:
            raise DataError(
                f"the ink gives {sum(map(len, samples)):,} rows, and {MAX_ROWS:,} are allowed; is "
                "it one line of text?"
            )
        rows = self.rows()
        table = np.concatenate([rows.feed(s, pen_up=True) for s in samples])
        if self.surroundings:
            around = surroundings(np.concatenate(samples)[:, :2], self.spacing)
            table = np.concatenate([table, around], axis=1)
        return table

    def normalised(self, ink: Ink) -> list[Points]:
        """Strokes in letter heights, y downwards, with the columns used, before resampling."""
        columns = self._columns(ink.columns)
        strokes = [_flipped(s[:, columns], self.y_up) for s in ink.strokes]
        if self.size == "fixed":
            return [self.scaled(stroke) for stroke in strokes]
        plain = Ink(tuple(stroke[:, :2] for stroke in strokes))
        frame = frame_of(plain, slope=self.slope, slant=self.slant)
        strokes = [frame.normalise(stroke) for stroke in strokes]
        return [self._in_own_units(stroke, strokes) for stroke in strokes]

    def scaled(self, points: Points) -> Points:
        """Points with a fixed unit, pressure and time in theirs."""
        frame = InkFrame(self.unit or 1.0)
        units = [getattr(self, f"{c}_unit") for c in ("pressure", "time") if getattr(self, c)]
        scaled = frame.normalise(points)
        scaled[:, 2:] /= np.array(units)
        return scaled

    def _in_own_units(self, stroke: Points, strokes: Sequence[Points]) -> Points:
        scaled, place = stroke.copy(), 2
        if self.pressure:
            top = self.pressure_unit or float(max(s[:, place].max() for s in strokes))
            scaled[:, place] /= top if top > 0 else 1.0
            place += 1
        if self.time:
            scaled[:, place] /= self.time_unit or _time_of_a_step(strokes, place, self.spacing)
        return scaled

    def _columns(self, columns: tuple[str, ...]) -> list[int]:
        """The places in `columns` of x, y and what else is used."""
        for name in ("pressure", "time"):
            if getattr(self, name) and name not in columns:
                raise DataError(
                    f"the ink has no {name} ({', '.join(columns)}), and the features use it; "
                    f"give ink with {name}, or train with {name}=False."
                )
        used = [name for name in ("pressure", "time") if getattr(self, name)]
        return [0, 1, *(columns.index(name) for name in used)]

    def rows(self) -> Rows:
        """Makes rows from samples in these units."""
        pressure = 2 if self.pressure else None
        time = 2 + self.pressure if self.time else None
        return Rows(self.spacing, self.size == "fixed", pressure, time)

    def prepared(self, points: Points, columns: tuple[str, ...]) -> Points:
        """Points of a stream as `normalised` gives them for a whole ink, with a fixed unit."""
        return self.scaled(_flipped(points[:, self._columns(columns)], self.y_up))


def _flipped(points: Points, y_up: bool) -> Points:
    return points * np.array([1.0, -1.0] + [1.0] * (points.shape[1] - 2)) if y_up else points


def _time_of_a_step(strokes: Sequence[Points], place: int, spacing: float) -> float:
    """The mean time that the pen takes from one sample to the next; 1 where it can't be known."""
    lengths = [np.sqrt(np.square(np.diff(s[:, :2], axis=0)).sum(axis=1)).sum() for s in strokes]
    times = [s[-1, place] - s[0, place] for s in strokes]
    steps = float(sum(lengths)) / spacing
    return float(sum(times)) / steps if steps > 0 and sum(times) > 0 else 1.0
