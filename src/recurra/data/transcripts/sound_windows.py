"""Long recordings of sound as windows, each with the label of most of it."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from recurra.data.audio.sound import Sound, read_sound, sound_facts
from recurra.data.sequences.step_windows import window_columns, window_starts
from recurra.data.transcripts.item import Item
from recurra.data.transcripts.manifest_spans import recording_name, spanned
from recurra.errors import DataError

__all__ = ["SOUND_STEP", "sound_windows"]

SOUND_STEP = 0.01
"""Seconds that a place in a recording is told by."""

_LABELLED = 0.5
"""The share of a window that must have labels."""
_ROUNDING, _LATE = 1e-6, 0.01
"""Of shares, and seconds that a part may end after its recording."""


def sound_windows(items: Sequence[Item], length: int, hop: int) -> list[Item]:
    """Windows of recordings, so many steps of 10 ms long and apart, as items with a span.

    Items of one recording are its labelled parts; one without a span labels the whole. A window
    that is labelled for less than half of it is left out. A recording that can't be read, and a
    part that ends after its recording, stay items, so that whoever opens them says why.

    DataError for samples in memory whose rate isn't known.
    """
    recordings = defaultdict[Any, list[Item]](list)
    for item in items:
        recordings[item.path or id(item.data)].append(item)
    found = list[Item]()
    for parts in recordings.values():
        seconds = _seconds(parts[0])
        inside = [part for part in parts if (part.span or (0, 0))[1] <= seconds + _LATE]
        found += [part for part in parts if part not in inside]
        if inside:
            found += _windows(inside, seconds, length, hop)
    return found


def _seconds(item: Item) -> float:
    """The length of a recording, less than any where it can't be read."""
    if isinstance(item.data, Sound):
        return item.data.seconds
    if item.path is None:
        raise DataError(
            f"{item.name}: its rate isn't known, so it can't be cut by seconds; give a Sound."
        )
    try:
        known = sound_facts(item.path).seconds
        return read_sound(item.path).seconds if known is None else known
    except DataError:
        return -1.0


def _windows(parts: Sequence[Item], seconds: float, length: int, hop: int) -> Iterable[Item]:
    steps = max(1, round(seconds / SOUND_STEP))
    whole = recording_name(parts[0])
    for first in window_starts(steps, length, hop):
        start, end = first * SOUND_STEP, min((first + length) * SOUND_STEP, seconds)
        best, share = _label(parts, start, end, seconds)
        if share > _LABELLED - _ROUNDING:
            columns = {**best.columns, **window_columns(whole, first, min(length, steps))}
            window = dataclasses.replace(best, name=whole, columns=columns)
            yield spanned(window, (start, end))


def _label(parts: Sequence[Item], start: float, end: float, seconds: float) -> tuple[Item, float]:
    """The part whose label has most of a window, and the share of it that has any label."""
    covered = defaultdict[str | None, float](float)
    for part in parts:
        begin, stop = part.span or (0.0, seconds)
        covered[part.text] += max(0.0, min(end, stop) - max(start, begin))
    usual = max(covered, key=lambda text: covered[text])
    best = next(part for part in parts if part.text == usual)
    return best, sum(covered.values()) / (end - start)
