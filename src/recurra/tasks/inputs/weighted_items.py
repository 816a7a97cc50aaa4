"""Weights and groups of items: columns of their table, or given beside data in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from recurra.config.sequence_config import SequenceConfig
from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError
from recurra.tasks.inputs.collection import Collection, Listed, Listing
from recurra.tasks.inputs.item_batches import TargetBatch, TargetBatches
from recurra.tasks.task import Source

__all__ = ["GivenColumns", "WeightedBatches", "weight_source", "weights_of"]

Config = TypeVar("Config", bound=SequenceConfig)
Floats = np.ndarray[Any, np.dtype[np.float64]]

_WEIGHT, _GROUP = "(sample_weight)", "(groups)"
"""Columns of what is given beside data in memory."""

_IN_MEMORY = re.compile(r"(?:sequence|item) (\d+)")
"""The origin of an item in memory, by its number among those given."""


@dataclass(frozen=True)
class GivenColumns:
    """Columns of items in memory, a text for each of those given; none: nothing was given."""

    columns: Mapping[str, Sequence[str]]

    @classmethod
    def of(cls, data: Any, sample_weight: Any, groups: Any) -> GivenColumns:
        """Weights and groups of `data`; DataError where there aren't as many as items."""
        found = {}
        for name, column, values in (
            ("sample_weight", _WEIGHT, sample_weight),
            ("groups", _GROUP, groups),
        ):
            if values is None:
                continue
            array = np.asarray(values)
            count = len(data) if isinstance(data, list) else 0
            if array.shape != (count,):
                raise DataError(
                    f"{name} has the shape {array.shape}, and there are {count:,} sequences "
                    "in memory; give one value for each, a list or a 1d array (of files, name the "
                    "column instead: weight_column, valid_by)."
                )
            found[column] = [str(each) for each in array.tolist()]
        return cls(found)

    def listing(self, listing: Listing, data: Any) -> Listing:
        """A listing that gives the items of `data` these columns."""

        def listed(config: Any, given: Any, *others: Any) -> Listed:
            found = listing(config, given, *others)
            if given is not data or not self.columns:
                return found
            return found._replace(items=[self._with_columns(item) for item in found.items])

        return listed

    def config(self, config: Config) -> Config:
        """The settings, by which none of the groups given is on both sides of the cut."""
        if _WEIGHT in self.columns and config.weight_column is not None:
            raise ConfigError(
                f"sample_weight and weight_column = {config.weight_column!r}: give one of the two."
            )
        return dataclasses.replace(config, valid_by=_GROUP) if _GROUP in self.columns else config

    def _with_columns(self, item: Item) -> Item:
        match = _IN_MEMORY.fullmatch(item.origin or item.name)
        assert match is not None, "an item in memory is called by its number"
        own = {name: values[int(match[1])] for name, values in self.columns.items()}
        return dataclasses.replace(item, columns={**item.columns, **own})


def weights_of(config: SequenceConfig, items: Sequence[Item]) -> Floats | None:
    """The weights (N,) of items, of mean 1; None where they have none, or all are 0.

    DataError, naming the item, for a weight that is no number from 0 on.
    """
    column = config.weight_column or _WEIGHT
    if not any(column in item.columns for item in items):
        return None
    weights = np.array([_weight(item, column) for item in items])
    return weights / weights.mean() if weights.any() else None


def _weight(item: Item, column: str) -> float:
    cell = item.columns.get(column, "")
    try:
        weight = float(cell)
    except ValueError:
        weight = -1.0
    if not (weight >= 0 and math.isfinite(weight)):
        raise DataError(
            f"{item.origin or item.name}: has the weight {cell!r}; give a number from 0 on."
        )
    return weight


def weight_source(config: SequenceConfig, data: Collection) -> list[Source]:
    """The weights of the items to train on as a part of the data.

    DataError where they lack the column of weights, or all weights are 0.
    """
    column, items = config.weight_column or _WEIGHT, data.train.items
    weights = weights_of(config, items)
    known = sorted({name for item in items for name in item.columns})
    if column in known and weights is None:
        raise DataError("All weights to train on are zero; give some above zero.")
    if config.weight_column is not None and column not in known:
        raise DataError(
            f"weight_column = {column!r}: the items have no such column; theirs are "
            f"{', '.join(known) or 'none'}."
        )
    if weights is None or not data.sources:
        return []
    digest = hashlib.sha256(weights.tobytes()).hexdigest()
    return [Source("weights", data.sources[0].path, digest)]


class WeightedBatches(TargetBatches):
    """Items with a target and, unless `weights` are None, a weight each (N,), of mean 1."""

    def __init__(self, weights: Floats | None, *given: Any, **options: Any) -> None:
        super().__init__(*given, **options)
        self._weights = None if weights is None else torch.from_numpy(weights.astype(np.float32))

    def batch(self, rows: Tensor) -> TargetBatch:
        """These items, distorted as the epoch has it."""
        made = super().batch(rows)
        return made if self._weights is None else made._replace(weights=self._weights[rows])
