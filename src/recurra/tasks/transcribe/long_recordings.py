"""Long recordings in pieces, cut where they are quietest, in memory that doesn't grow."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from recurra.data.audio.sound import Samples, Sound, sound_blocks, sound_facts
from recurra.data.transcripts.item import Item
from recurra.tasks.inputs import Input, SoundInput

__all__ = ["LONGEST", "pieces_of", "quiet_cut"]

LONGEST, SHORTEST = 40.0, 20.0
"""Seconds of a piece, at most and at least: what is longer than the first is cut."""

_WINDOW = 0.3
"""Seconds whose mean power is the loudness of a place."""


def pieces_of(how: Input, item: Item) -> Iterator[tuple[float, object]]:
    """The content of an item with its offset in seconds: one, or the pieces of a long recording."""
    if not isinstance(how, SoundInput):
        yield 0.0, how.open(item)
        return
    rate = how.log_mel.rate
    if item.data is None and item.path is not None:
        seconds = sound_facts(item.path).seconds
        if seconds is None or seconds > LONGEST:
            yield from _cut(sound_blocks(item.path, rate), rate)
            return
    sound = how.open(item)
    yield from _cut(iter([sound.samples]), rate) if sound.seconds > LONGEST else [(0.0, sound)]


def _cut(blocks: Iterator[Samples], rate: int) -> Iterator[tuple[float, Sound]]:
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
