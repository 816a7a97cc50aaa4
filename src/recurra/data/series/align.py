"""Observations in order of series and time, on the grid of their frequency."""

from dataclasses import dataclass

import numpy as np

from recurra.data.series.frequency import Frequency, infer_frequency
from recurra.data.series.grid import Stamps, Steps
from recurra.data.tables.observations import Observations
from recurra.data.tables.table import Codes
from recurra.data.tables.timestamps import show
from recurra.errors import DataError

__all__ = ["Arranged", "arrange"]

_MOST_FILLED = 50
"""A panel is at most so many times as long as its table, and a million rows: what is beyond is
rather a mistyped year than a gap."""


@dataclass(frozen=True, eq=False)
class Arranged:
    """Where each observation goes: `order` sorts them, `heads` are each series' first among the
    sorted, `slots` the rows of the sorted in the panel.
    """

    frequency: Frequency
    order: Codes
    heads: Codes
    slots: Codes
    offsets: Codes
    starts: Stamps


def arrange(found: Observations, given: Frequency | None) -> Arranged:
    """The places of all observations; the frequency is inferred unless it is given.

    Raises DataError where a series has a stamp twice, or one that is off the frequency's grid.
    """
    order = _sorted(found)
    codes, stamps = found.codes[order], found.stamps[order]
    _refuse_twice(found, order, codes, stamps)
    bounds = _bounds(found)
    heads = bounds[:-1]
    frequency = given or _inferred(found, stamps, bounds)
    if frequency.whole == (stamps.dtype.kind == "M"):
        kind, other = ("whole numbers", "dates") if frequency.whole else ("dates", "whole numbers")
        raise DataError(
            f"{found.name}: freq={frequency.name!r} is one of {kind}, and the stamps are {other}; "
            f"give {'a name such as h or D' if frequency.whole else 'freq=1'}, or leave it out."
        )
    starts = stamps[heads]
    positions = frequency.positions(stamps, starts[codes])
    _refuse_off_grid(found, order, positions, frequency, given)
    if given:
        _refuse_too_fine(found, order, heads, positions, given)
    lengths = positions[bounds[1:] - 1] + 1
    _refuse_chasms(found, order, positions, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Arranged(frequency, order, heads, offsets[codes] + positions, offsets, starts)


def _sorted(found: Observations) -> Codes:
    """Indices by series, then stamp."""
    codes, stamps = np.diff(found.codes), np.diff(found.stamps.view(np.int64))
    if ((codes > 0) | ((codes == 0) & (stamps >= 0))).all():
        return np.arange(len(found.codes))
    order = np.argsort(found.stamps)
    for shift in range(0, len(found.ids).bit_length(), 16):
        # numpy sorts 16 bits by radix: two or three times as fast as lexsort
        digits = (found.codes[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digits, kind="stable")]
    return order


def _bounds(found: Observations) -> Codes:
    """Where each series begins among the sorted observations, and where the last one ends."""
    return np.concatenate([[0], np.cumsum(np.bincount(found.codes))])


def _refuse_twice(found: Observations, order: Codes, codes: Codes, stamps: Stamps) -> None:
    twice = np.flatnonzero((codes[1:] == codes[:-1]) & (stamps[1:] == stamps[:-1]))
    if len(twice):
        first, second = sorted(found.rows[order[twice[0] : twice[0] + 2]])
        more = f" ({len(twice):,} such pairs in all)" if len(twice) > 1 else ""
        raise DataError(
            f"{found.name}: {found.row(first)} and {found.row(second)} are both series "
            f"{found.ids[codes[twice[0]]]!r} at {show(stamps[twice[0]])}{more}; a series has one "
            "row a stamp: drop one, or add them up."
        )


def _inferred(found: Observations, stamps: Stamps, bounds: Codes) -> Frequency:
    try:
        return infer_frequency(stamps, bounds)
    except DataError as error:
        longest = int(np.diff(bounds).argmax())
        begin = bounds[longest]
        some = ", ".join(
            show(stamp) for stamp in stamps[begin : min(begin + 4, bounds[longest + 1])]
        )
        raise DataError(
            f"{found.name}: {error} Series {found.ids[longest]!r} begins with {some}."
        ) from error


def _refuse_off_grid(
    found: Observations,
    order: Codes,
    positions: Steps,
    frequency: Frequency,
    given: Frequency | None,
) -> None:
    off = order[positions < 0]
    if len(off):
        index = off[np.argmin(found.rows[off])]
        remedy = _looks_like(found, order, given)
        more = f" (one of {len(off):,})" if len(off) > 1 else ""
        raise DataError(
            f"{found.where(index)} has the stamp {show(found.stamps[index])}{more}, which is not "
            f"on the grid of freq={frequency.name!r}{'' if given else ', as inferred'}; correct "
            f"it{remedy}."
        )


def _looks_like(found: Observations, order: Codes, given: Frequency | None) -> str:
    """What else to do than correct a stamp: another frequency where the stamps look like one."""
    if given is None:
        return ", or if another was meant, give freq"
    try:
        seen = infer_frequency(found.stamps[order], _bounds(found))
    except DataError:
        return ", or give another freq"
    if seen.name == given.name:
        return ""
    return f", or give another freq: the stamps look like {seen.name!r}"


def _refuse_too_fine(
    found: Observations, order: Codes, heads: Codes, positions: Steps, given: Frequency
) -> None:
    """DataError where all stamps fit a coarser frequency: gaps are seldom all of one kind."""
    within = np.ones(len(positions), dtype=bool)
    within[heads] = False
    steps = np.unique(np.diff(positions, prepend=0)[within])
    apart = int(np.gcd.reduce(steps))
    if within.sum() > 3 and apart > 1:
        raise DataError(
            f"{found.name}: freq={given.name!r} contradicts the stamps, which are all {apart:,} "
            f"such steps apart, or a multiple; add rows with empty values between"
            f"{_looks_like(found, order, given)}."
        )


def _refuse_chasms(found: Observations, order: Codes, positions: Steps, lengths: Steps) -> None:
    if lengths.sum() <= _MOST_FILLED * len(positions) + 1_000_000:
        return
    steps = np.diff(positions, prepend=0)
    index = order[int(steps.argmax())]
    raise DataError(
        f"{found.where(index)} has the stamp {show(found.stamps[index])}, {steps.max():,} steps "
        "after the one before; correct it, or give a coarser freq."
    )
