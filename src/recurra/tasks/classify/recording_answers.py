"""Answers to long recordings by windows: chances of every step, and intervals of one label."""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from recurra.data.sequences.series import Series
from recurra.data.sequences.step_windows import window_starts
from recurra.errors import DataError
from recurra.tasks.classify.decider import Decider

__all__ = ["LabelledInterval", "intervals_of", "step_probabilities"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


class LabelledInterval(NamedTuple):
    """Steps `start` to `end`, from 1 on, both inside, or their times where these are known; their
    label, and its mean probability.
    """

    start: float
    end: float
    label: str
    confidence: float


def step_probabilities(product: Decider, series: Series) -> Floats:
    """The mean probabilities (T, K) of the windows that each step is in.

    Where no window of a step has a value, those of the windows before.
    """
    config = product.config
    assert config.window_length is not None
    assert config.hop is not None
    spans, parts = [], []
    for first in window_starts(series.steps, config.window_length, config.hop):
        try:
            parts.append(series.cut(first, first + config.window_length))
        except DataError:  # all its values are missing
            continue
        spans.append(slice(first, first + config.window_length))
    total, count = np.zeros((series.steps, len(product.labels))), np.zeros((series.steps, 1))
    for span, chances in zip(spans, product.probabilities(parts), strict=True):
        total[span] += chances
        count[span] += 1
    seen = np.maximum.accumulate(np.where(count[:, 0] > 0, np.arange(len(count)), -1))
    seen = np.where(seen < 0, np.flatnonzero(count[:, 0])[0], seen)
    found: Floats = (total / np.maximum(count, 1))[seen]
    return found


def intervals_of(product: Decider, series: Series) -> list[LabelledInterval]:
    """The stretches of one likeliest label, in order; together they are the whole series."""
    chances = step_probabilities(product, series)
    best = chances.argmax(1)
    cuts = [0, *(np.flatnonzero(np.diff(best)) + 1).tolist(), series.steps]
    times = np.arange(1, series.steps + 1) if series.times is None else series.times
    return [
        LabelledInterval(
            times[first].item(),
            times[stop - 1].item(),
            product.labels.names[best[first]],
            float(chances[first:stop, best[first]].mean()),
        )
        for first, stop in itertools.pairwise(cuts)
    ]
