"""Answers to long recordings by windows: chances of every step, and intervals of one label."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from recurra.data.audio.sound import Sound
from recurra.data.sequences.series import Series
from recurra.data.sequences.step_windows import window_starts
from recurra.data.transcripts.sound_windows import SOUND_STEP
from recurra.errors import DataError
from recurra.tasks.classify.decider import Decider

__all__ = ["LabelledInterval", "intervals_of", "step_probabilities"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


class LabelledInterval(NamedTuple):
    """Steps `start` to `end`, from 1 on, both inside, or their times where these are known, or the
    seconds of a recording; their label, and its mean probability.
    """

    start: float
    end: float
    label: str
    confidence: float


def step_probabilities(product: Decider, series: Series | Sound) -> Floats:
    """The mean probabilities (T, K) of the windows that each step is in; of sound each 10 ms.

    Where no window of a step has a value, those of the windows before.
    """
    steps = _steps(series)
    length, hop = product.config.cut_by(0, SOUND_STEP if isinstance(series, Sound) else None)
    spans, parts = [], []
    for first in window_starts(steps, length, hop):
        try:
            parts.append(_part(series, first, first + length))
        except DataError:  # all its values are missing
            continue
        spans.append(slice(first, first + length))
    total, count = np.zeros((steps, len(product.labels))), np.zeros((steps, 1))
    for span, chances in zip(spans, product.probabilities(parts), strict=True):
        total[span] += chances
        count[span] += 1
    seen = np.maximum.accumulate(np.where(count[:, 0] > 0, np.arange(len(count)), -1))
    seen = np.where(seen < 0, np.flatnonzero(count[:, 0])[0], seen)
    found: Floats = (total / np.maximum(count, 1))[seen]
    return found


def intervals_of(product: Decider, series: Series | Sound) -> list[LabelledInterval]:
    """The stretches of one likeliest label, in order; together they are the whole series."""
    chances = step_probabilities(product, series)
    best = chances.argmax(1)
    cuts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), len(best)]
    return [
        LabelledInterval(
            *_ends(series, first, stop),
            product.labels.names[best[first]],
            float(chances[first:stop, best[first]].mean()),
        )
        for first, stop in itertools.pairwise(cuts)
    ]


def _steps(content: Series | Sound) -> int:
    if isinstance(content, Series):
        return content.steps
    return max(1, round(content.seconds / SOUND_STEP))


def _part(content: Series | Sound, first: int, stop: int) -> Series | Sound:
    if isinstance(content, Series):
        return content.cut(first, stop)
    return content.part(first * SOUND_STEP, stop * SOUND_STEP)


def _ends(content: Series | Sound, first: int, stop: int) -> tuple[float, float]:
    """The place of the first of some steps, and that of the last; of sound its seconds."""
    if isinstance(content, Sound):
        return round(first * SOUND_STEP, 2), round(stop * SOUND_STEP, 2)
    times = np.arange(1, content.steps + 1) if content.times is None else content.times
    return times[first].item(), times[stop - 1].item()
