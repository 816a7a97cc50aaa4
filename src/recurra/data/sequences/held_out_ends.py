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
"""Steps of a series that can be cut."""


def hold_out_ends(items: Sequence[Item], share: float) -> HeldOutItems:
    """Hold out the last `share` of the steps of each series.

    What is held out begins with up to `LEAD` steps of what is trained on, without their labels.

    Raises:
        ConfigError: `share` isn't between 0 and 1.
        DataError: no series has 20 steps.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share = {share:g} to hold out; it is between 0 and 1.")
    train, held = list[Item](), list[Item]()
    for item in items:
        series = item.data
        if not isinstance(series, Series) or series.steps < _LEAST:
            train.append(item)
            continue
        place = series.steps - max(1, round(share * series.steps))
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
            f"Nothing can be held out: no series has {_LEAST} steps; give longer ones, or data to "
            "validate on."
        )
    return HeldOutItems(train, held, "time")
