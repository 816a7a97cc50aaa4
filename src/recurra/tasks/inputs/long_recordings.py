"""Long recordings in pieces, cut where they are quietest, in memory that doesn't grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from recurra.data.audio.resampler import Samples
from recurra.data.audio.sound import Sound

__all__ = ["LONGEST", "cut", "quiet_cut"]

LONGEST, SHORTEST = 40.0, 20.0
"""Seconds of a piece, at most and at least: what is longer than the first is cut."""

_WINDOW = 0.3
"""Seconds whose mean power is the loudness of a place."""


def cut(blocks: Iterable[Samples], rate: int) -> Iterator[tuple[float, Sound]]:
    """The pieces of a recording that comes in blocks, each with its offset in seconds."""
    held, offset = np.zeros(0, np.float32), 0
    for block in blocks:
        held = np.concatenate([held, block])
        while len(held) > LONGEST * rate:
            place = quiet_cut(held, rate)
            yield offset / rate, Sound(held[:place], rate)
            held, offset = held[place:], offset + place
    if len(held) or not offset:
        yield offset / rate, Sound(held, rate)


def quiet_cut(samples: Samples, rate: int) -> int:
    """The middle of the quietest window between the shortest and the longest piece.

    >>> samples = np.ones(45 * 100, np.float32)
    >>> samples[3000:3060] = 0
    >>> 3000 <= quiet_cut(samples, 100) <= 3060
    True
    """
    first, last = round(SHORTEST * rate), round(LONGEST * rate)
    width = max(1, round(_WINDOW * rate))
    power = np.concatenate([[0.0], np.cumsum(np.square(samples[first:last], dtype=np.float64))])
    return first + int(np.argmin(power[width:] - power[:-width])) + width // 2
