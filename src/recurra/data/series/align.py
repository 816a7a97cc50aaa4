"""Alignment of observations: sorted by series and time, on the grid of their frequency."""

from dataclasses import dataclass

import numpy as np

from recurra.data.series.frequency import Frequency, infer_frequency
from recurra.data.series.grid import Stamps, Steps
from recurra.data.tables.columns import show_stamp
from recurra.data.tables.observations import Observations
from recurra.data.tables.table import Ints
from recurra.errors import DataError

__all__ = ["Alignment", "align"]

_MOST_FILLED = 50
"""Limit of a panel's length, in multiples of its table's, beside a million rows: a longer one is
more likely a mistyped year than a gap."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """The place of each observation in a panel.

    `order` sorts the observations, `heads` (N,) are the first of each series among the sorted,
    `slots` the rows of the sorted in the panel, whose series n begins at row offsets[n] and stamp
    starts[n].
    """

    frequency: Frequency
    order: Ints
    heads: Ints
    slots: Ints
    offsets: Ints
    starts: Stamps


def align(observations: Observations, frequency: Frequency | None) -> Alignment:
    """The places of all observations; without a frequency it is inferred.

    Raises DataError where a series has a stamp twice, or one that is off the frequency's grid.
    """
    order = _sorted(observations)
    codes, stamps = observations.codes[order], observations.stamps[order]
    _refuse_doubles(observations, order, codes, stamps)
    bounds = _bounds(observations)
    heads = bounds[:-1]
    grid = frequency or _inferred(observations, stamps, bounds)
    _refuse_other_kind(observations, grid)
    starts = stamps[heads]
    positions = grid.positions(stamps, starts[codes])
    _refuse_off_grid(observations, order, positions, grid, frequency)
    if frequency:
        _refuse_too_fine(observations, order, heads, positions, frequency)
    lengths = positions[bounds[1:] - 1] + 1
    _refuse_chasms(observations, order, positions, lengths)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return Alignment(grid, order, heads, offsets[codes] + positions, offsets, starts)


def _sorted(observations: Observations) -> Ints:
    """Indices by series, then stamp."""
    codes, stamps = observations.codes, observations.stamps
    code_steps, stamp_steps = np.diff(codes), np.diff(stamps.view(np.int64))
    if ((code_steps > 0) | ((code_steps == 0) & (stamp_steps >= 0))).all():
        return np.arange(len(codes))
    order = np.argsort(stamps)
    for shift in range(0, len(observations.ids).bit_length(), 16):
        # numpy sorts 16 bits by radix: two or three times as fast as lexsort
        digits = (codes[order] >> shift).astype(np.uint16)
        order = order[np.argsort(digits, kind="stable")]
    return order


def _bounds(observations: Observations) -> Ints:
    """The beginning of each series among the sorted observations, and the end of the last."""
    return np.concatenate([[0], np.cumsum(np.bincount(observations.codes))])


def _refuse_doubles(observations: Observations, order: Ints, codes: Ints, stamps: Stamps) -> None:
    doubles = np.flatnonzero((codes[1:] == codes[:-1]) & (stamps[1:] == stamps[:-1]))
    if len(doubles):
        first, second = sorted(observations.rows[order[doubles[0] : doubles[0] + 2]])
        more = f" ({len(doubles):,} such pairs in all)" if len(doubles) > 1 else ""
        raise DataError(
            f"{observations.name}: {observations.row(first)} and {observations.row(second)} are "
            f"both series {observations.ids[codes[doubles[0]]]!r} at "
            f"{show_stamp(stamps[doubles[0]])}{more}; a series has one row a stamp: drop one, or "
            "add them up."
        )


def _inferred(observations: Observations, stamps: Stamps, bounds: Ints) -> Frequency:
    try:
        return infer_frequency(stamps, bounds)
    except DataError as error:
        longest = int(np.diff(bounds).argmax())
        begin, end = bounds[longest], bounds[longest + 1]
        some = ", ".join(show_stamp(stamp) for stamp in stamps[begin : min(begin + 4, end)])
        raise DataError(
            f"{observations.name}: {error} Series {observations.ids[longest]!r} begins with {some}."
        ) from error


def _refuse_other_kind(observations: Observations, frequency: Frequency) -> None:
    """DataError where one of stamps and frequency is of dates, the other of whole numbers."""
    if frequency.whole == (observations.stamps.dtype.kind == "M"):
        kind, other = ("whole numbers", "dates") if frequency.whole else ("dates", "whole numbers")
        example = "a name such as h or D" if frequency.whole else "freq=1"
        raise DataError(
            f"{observations.name}: freq={frequency.name!r} is one of {kind}, and the stamps are "
            f"{other}; give {example}, or leave it out."
        )


def _refuse_off_grid(
    observations: Observations,
    order: Ints,
    positions: Steps,
    frequency: Frequency,
    requested: Frequency | None,
) -> None:
    off = order[positions < 0]
    if len(off):
        index = off[np.argmin(observations.rows[off])]
        remedy = _other_frequency(observations, order, requested)
        more = f" (one of {len(off):,})" if len(off) > 1 else ""
        raise DataError(
            f"{observations.where(index)} has the stamp {show_stamp(observations.stamps[index])}"
            f"{more}, which is not on the grid of freq={frequency.name!r}"
            f"{'' if requested else ', as inferred'}; correct it{remedy}."
        )


def _other_frequency(observations: Observations, order: Ints, requested: Frequency | None) -> str:
    """The second remedy beside correcting a stamp: another frequency, by name where one fits."""
    if requested is None:
        return ", or if another was meant, give freq"
    try:
        inferred = infer_frequency(observations.stamps[order], _bounds(observations))
    except DataError:
        return ", or give another freq"
    if inferred.name == requested.name:
        return ""
    return f", or give another freq: the stamps look like {inferred.name!r}"


def _refuse_too_fine(
    observations: Observations, order: Ints, heads: Ints, positions: Steps, requested: Frequency
) -> None:
    """DataError where all stamps fit a coarser frequency: gaps are seldom all of one kind."""
    within = np.ones(len(positions), dtype=bool)
    within[heads] = False
    steps = np.unique(np.diff(positions, prepend=0)[within])
    divisor = int(np.gcd.reduce(steps))
    if within.sum() > 3 and divisor > 1:
        raise DataError(
            f"{observations.name}: freq={requested.name!r} contradicts the stamps, which are all "
            f"{divisor:,} such steps apart, or a multiple; add rows with empty values between"
            f"{_other_frequency(observations, order, requested)}."
        )


def _refuse_chasms(
    observations: Observations, order: Ints, positions: Steps, lengths: Steps
) -> None:
    if lengths.sum() <= _MOST_FILLED * len(positions) + 1_000_000:
        return
    steps = np.diff(positions, prepend=0)
    index = order[int(steps.argmax())]
    raise DataError(
        f"{observations.where(index)} has the stamp {show_stamp(observations.stamps[index])}, "
        f"{steps.max():,} steps after the one before; correct it, or give a coarser freq."
    )
