"""The text of one InkML trace: numbers, differences and wildcards."""

import re
from dataclasses import dataclass

import numpy as np

from recurra.data.ink.ink import MAX_POINTS, Points
from recurra.errors import DataError

__all__ = ["decode_trace"]

_VALUE = re.compile(
    r"""\s*(?P<prefix>[!'"])?\s*
    (?P<value>[*?TF]|\#[0-9a-fA-F]+|[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)\s*""",
    re.VERBOSE,
)


_TRUTH = {"T": 1.0, "F": 0.0}


@dataclass
class _Channel:
    """One channel's last value, its first and second difference, and how the next is coded."""

    value: float = 0.0
    speed: float = 0.0
    gain: float = 0.0
    prefix: str = "!"
    started: bool = False

    def take(self, prefix: str | None, text: str) -> float:
        """The channel's value at the next point."""
        if text == "?":
            return np.nan
        self.prefix = "!" if text in _TRUTH else prefix or self.prefix
        if not self.started and (text == "*" or self.prefix != "!"):
            raise DataError(
                f"starts with {self.prefix if text != '*' else ''}{text}; the first value of a "
                "channel must be a number without ' or \"."
            )
        self.started = True
        return self._moved(None if text == "*" else _number(text))

    def _moved(self, coded: float | None) -> float:
        """The value after one step; None repeats what was coded before."""
        before = self.value
        if self.prefix == '"':
            self.gain = self.gain if coded is None else coded
            self.speed += self.gain
            self.value += self.speed
            return self.value
        if self.prefix == "'":
            self.speed = self.speed if coded is None else coded
            self.value += self.speed
            return self.value
        self.value = self.value if coded is None else coded
        self.speed = self.value - before
        return self.value


def decode_trace(text: str, channels: int, regular: int) -> Points:
    r"""The values (points, channels) of a trace; NaN where a channel is not reported.

    Points are separated by commas. A value after ' is the difference to the one before, after "
    the difference of differences, after ! the value itself; a channel's prefix holds until the
    next. * repeats what was coded before, ? is not reported.

    Args:
        text: the trace.
        channels: how many channels a point may have.
        regular: how many come with every point; the others may be left out at its end.

    Raises:
        DataError: a character of another kind, too few or too many values, or a first value that
            is a difference.

    >>> decode_trace("10 20, '3 '-4, 3 -4, *, \"1 \"0", 2, 2).tolist()
    Traceback (most recent call last):
    recurra.errors.DataError: point 4 has 1 values, and 2 channels; separate points by commas.
    >>> decode_trace("10 20, '3 '-4, 3 -4, \"1 \"0", 2, 2).tolist()
    [[10.0, 20.0], [13.0, 16.0], [16.0, 12.0], [20.0, 8.0]]
    """
    texts = [part for part in text.split(",") if part.strip()]
    if len(texts) > MAX_POINTS:
        raise DataError(f"has {len(texts):,} points, and {MAX_POINTS:,} are allowed.")
    states = [_Channel() for _ in range(channels)]
    rows = [_point(part, i, states, regular) for i, part in enumerate(texts, 1)]
    return np.array(rows, dtype=np.float64).reshape(len(rows), channels)


def _point(text: str, number: int, states: list[_Channel], regular: int) -> list[float]:
    tokens, place = [], 0
    while place < len(text):
        found = _VALUE.match(text, place)
        if found is None:
            raise DataError(f"point {number}: {text[place:].strip()[:20]!r} is not a value.")
        tokens.append((found["prefix"], found["value"]))
        place = found.end()
    if not regular <= len(tokens) <= len(states):
        raise DataError(
            f"point {number} has {len(tokens)} values, and {regular} channels; separate points by "
            "commas."
        )
    values = [state.take(*token) for state, token in zip(states, tokens, strict=False)]
    return values + [np.nan] * (len(states) - len(values))


def _number(text: str) -> float:
    if text in _TRUTH:
        return _TRUTH[text]
    return float(int(text[1:], 16)) if text.startswith("#") else float(text)
