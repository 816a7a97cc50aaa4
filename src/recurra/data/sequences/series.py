"""Series: the numbers of one sequence, with the times and labels of its steps."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["Floats", "Series", "Times", "channel_names", "label_text"]

Floats = np.ndarray[Any, np.dtype[np.float32]]
"""Values (T, C), NaN where one is missing."""

Times = np.ndarray[Any, np.dtype[np.float64]]
"""Times (T,), strictly increasing."""

_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """Values of one sequence (T, C), T and C at least 1; NaN where a value is missing.

    times: of each step, in any unit; None where steps are at equal distances.
    labels: one for each step, "" where it has none; None where the sequence has one as a whole.
    channels: the name of each channel.

    Raises DataError for a sequence without steps or channels, with infinite values or no value at
    all, for times that don't increase, and for labels or names of another number.

    >>> series = Series.of([[1.0, 2.0], [3.0, float("nan")]], channels=("x", "y"))
    >>> series.steps, series.channels, series.has_missing
    (2, ('x', 'y'), True)
    """

    values: Floats
    times: Times | None
    labels: tuple[str, ...] | None
    channels: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32:
            raise DataError(
                f"values are {self.values.dtype} of shape {self.values.shape}; give float32 "
                "(steps, channels)."
            )
        steps, channels = self.values.shape
        if not steps or not channels:
            raise DataError(f"has {steps} steps of {channels} channels; give at least one of both.")
        if len(self.channels) != channels or len(set(self.channels)) != channels:
            raise DataError(
                f"has {channels} channels, and their names are {', '.join(self.channels)}; give "
                "each its own."
            )
        _check_values(self.values, self.channels)
        _check_times(self.times, steps)
        if self.labels is not None and len(self.labels) != steps:
            raise DataError(
                f"has {steps} steps and {len(self.labels)} labels of steps; give one for each."
            )

    @classmethod
    def of(
        cls,
        values: Any,
        *,
        times: Any = None,
        labels: Sequence[str] | None = None,
        channels: Sequence[str] = (),
    ) -> "Series":
        """A series of values (T, C) or (T,) of any type of numbers; without names they are counted.

        DataError as for a Series, and where a value is too large for 32 bits.
        """
        whole = np.asarray(values, np.float64)
        whole = whole[:, None] if whole.ndim == 1 else whole
        names = tuple(channels) or channel_names(whole.shape[-1])
        _check_values(whole, names)
        stamps = None if times is None else np.asarray(times, np.float64)
        return cls(
            whole.astype(np.float32), stamps, None if labels is None else tuple(labels), names
        )

    @property
    def steps(self) -> int:
        """The number of steps."""
        return len(self.values)

    @property
    def has_missing(self) -> bool:
        """Whether any value is missing."""
        return bool(np.isnan(self.values).any())

    def cut(self, first: int, stop: int, *, counted: int = 0) -> "Series":
        """Steps `first` to `stop`, of which the first `counted` have no label.

        DataError where all their values are missing.

        >>> Series.of([1.0, 2.0, 3.0], labels=["a", "b", "c"]).cut(1, 3, counted=1).labels
        ('', 'c')
        """
        labels = None if self.labels is None else self.labels[first:stop]
        if labels is not None and counted:
            labels = ("",) * min(counted, len(labels)) + labels[counted:]
        times = None if self.times is None else self.times[first:stop]
        return Series(self.values[first:stop], times, labels, self.channels)

    def __len__(self) -> int:
        return self.steps

    def __repr__(self) -> str:
        """Its size and the SHA-256 of all it holds, by which `digest_items` tells data apart."""
        parts = [self.values.tobytes(), b"" if self.times is None else self.times.tobytes()]
        parts.append(repr((self.values.shape, self.labels, self.channels)).encode())
        digest = hashlib.sha256(b"".join(parts)).hexdigest()
        return f"Series({self.steps} steps of {len(self.channels)} channels, sha256 {digest})"


def channel_names(count: int) -> tuple[str, ...]:
    """Names of channels that have none of their own.

    >>> channel_names(2)
    ('channel 1', 'channel 2')
    """
    return tuple(f"channel {number}" for number in range(1, count + 1))


def label_text(value: Any) -> str | None:
    """A label as text: whole numbers without a point; None where it is missing.

    >>> label_text(3.0), label_text(" walk "), label_text(float("nan")), label_text("?")
    ('3', 'walk', None, None)
    """
    value = value.item() if isinstance(value, np.generic) else value
    if value is None or value != value:
        return None
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    text = " ".join(str(value).split())
    return None if text.lower() in ("", "?", "nan") else text


def _check_values(values: np.ndarray[Any, Any], names: Sequence[str]) -> None:
    """Refuse what isn't NaN or a finite number of 32 bits, and values that are all missing."""
    if values.ndim != 2 or not values.size:
        return
    wrong = np.argwhere(np.abs(values) > _LARGEST)
    if len(wrong):
        step, channel = wrong[0]
        raise DataError(
            f"step {step + 1} of {names[channel]!r} is {values[step, channel]:g}; values are "
            "finite numbers of 32 bits, or NaN where they are missing."
        )
    if np.isnan(values).all():
        raise DataError("all its values are missing; leave it out.")


def _check_times(times: Times | None, steps: int) -> None:
    if times is None:
        return
    if times.shape != (steps,) or times.dtype != np.float64:
        raise DataError(
            f"has {steps} steps, and times are {times.dtype} of shape {times.shape}; give float64 "
            f"({steps},)."
        )
    wrong = np.flatnonzero(~np.isfinite(times))
    if len(wrong):
        raise DataError(f"step {wrong[0] + 1} has the time {times[wrong[0]]}; times are finite.")
    wrong = np.flatnonzero(np.diff(times) <= 0)
    if len(wrong):
        step = int(wrong[0])
        raise DataError(
            f"step {step + 2} has the time {times[step + 1]:.15g}, and the step before it "
            f"{times[step]:.15g}; times increase: sort the steps, and keep one of each time."
        )
