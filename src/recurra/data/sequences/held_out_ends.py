"""The last part of each series held out: of a few recordings, which can't be parted as wholes."""

from collections.abc import Sequence
from dataclasses import replace

from recurra.data.sequences.series import Series
from recurra.data.transcripts.chosen_rows import HeldOutItems
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError

__all__ = ["LEAD", "hold_out_ends"]

LEAD = 1000
"""Steps before a part held out that are read with it, without labels, so that states are there."""

_LEAST = 20
"""Steps of a series that can be cut, if two of them have labels."""


def hold_out_ends(items: Sequence[Item], share: float) -> HeldOutItems:
    """Hold out the end of each series, with the last `share` of the steps that have labels.

    What is held out begins with up to `LEAD` steps of what is trained on, without their labels.

    Raises:
        ConfigError: `share` isn't between 0 and 1.
        DataError: no series has 20 steps, and labels of two.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share = {share:g} to hold out; it is between 0 and 1.")
    train, held = list[Item](), list[Item]()
    for item in items:
        series = item.data
        known = _labelled(series) if isinstance(series, Series) else []
        if len(known) < 2 or series.steps < _LEAST:
            train.append(item)
            continue
        place = known[-min(len(known) - 1, max(1, round(share * len(known))))]
        lead = min(place, LEAD)
        try:
            begin, end = (
                series.cut(0, place),
                series.cut(place - lead, series.steps, counted=lead),
            )
        except DataError as error:
            raise DataError(f"{item.origin or item.name}: its last {share:g} {error}") from error
        train.append(replace(item, data=begin))
        held.append(replace(item, name=f"{item.name}, from step {place + 1:,}", data=end))
    if not held:
        raise DataError(
            f"Nothing can be held out: no series has {_LEAST} steps, and labels of two; give "
            "longer ones, or data to validate on."
        )
    return HeldOutItems(train, held, "time")


def _labelled(series: Series) -> list[int]:
    """The steps that have a label, from 0 on."""
    return [step for step, label in enumerate(series.labels or ()) if label]
