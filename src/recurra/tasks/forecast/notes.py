"""What a user is to know of the data, and training goes on all the same."""

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.errors import RecurraWarning

__all__ = ["FEWEST", "ForecastWarning", "named", "notes_on", "warn"]

_NAMED = 5

FEWEST = 3
"""So many values and all the same are a constant; of fewer nobody knows."""


class ForecastWarning(RecurraWarning):
    """Some series can't be forecast as well as the others, or intervals rest on too little; the
    message says which, or on how much.
    """


def warn(notes: Sequence[str]) -> None:
    """Issue each note as a ForecastWarning."""
    for note in notes:
        warnings.warn(note, ForecastWarning, stacklevel=3)


def notes_on(panel: Panel, horizon: int) -> list[str]:
    """Series that are all missing, constant, or shorter than the horizon, a sentence each."""
    series = np.repeat(np.arange(len(panel)), panel.lengths)
    seen = np.isfinite(panel.y)
    count = np.bincount(series[seen], minlength=len(panel))
    high, low = np.full(len(panel), -np.inf), np.full(len(panel), np.inf)
    np.maximum.at(high, series[seen], panel.y[seen])
    np.minimum.at(low, series[seen], panel.y[seen])
    found = {
        "have no value at all and are forecast as missing": count == 0,
        "are constant, and forecast as that constant": (count >= FEWEST) & (high == low),
        f"are shorter than the horizon ({horizon} steps), and are forecast by what the others "
        "taught": (panel.lengths <= horizon) & (count > 0) & ((high > low) | (count < FEWEST)),
    }
    return [f"{named(panel, which)} {what}." for what, which in found.items() if which.any()]


def named(panel: Panel, which: NDArray[np.bool_]) -> str:
    """The series of a mask in words: `2 series (a, b)`; of many the first few."""
    ids = [str(i) for i in panel.ids[which][:_NAMED]]
    more = ", ..." if which.sum() > _NAMED else ""
    return f"{which.sum()} series ({', '.join(ids)}{more})"
