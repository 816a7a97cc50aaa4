"""The stored end of every series: as much of a run's data as a forecast reads."""

import dataclasses
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recurra.data.series.frequency import parse_frequency
from recurra.data.series.panel import Panel, Schema

__all__ = ["PlacedPanel", "keep", "restore", "to_parts"]


_FLAT = ("offsets", "starts", "y", "past", "future", "static")


@dataclasses.dataclass(frozen=True)
class PlacedPanel:
    """A panel, and the age (N,) of each series at its start: the number of earlier steps."""

    panel: Panel
    start_age: NDArray[np.int64]


def keep(panel: Panel, start_age: NDArray[np.int64], steps: int) -> PlacedPanel:
    """The last `steps` of each series."""
    tail = panel.tail(steps)
    return PlacedPanel(tail, start_age + panel.lengths - tail.lengths)


def to_parts(placed: PlacedPanel) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The panel as tensors and a record of JSON."""
    arrays = {name: np.ascontiguousarray(getattr(placed.panel, name)) for name in _FLAT}
    arrays["starts"] = arrays["starts"].view(np.int64)
    arrays["start_age"] = placed.start_age
    record = {
        "ids": [i.item() if isinstance(i, np.generic) else i for i in placed.panel.ids],
        "schema": placed.panel.schema.to_json(),
        "frame_kind": placed.panel.frame_kind,
    }
    return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, record


def restore(tensors: dict[str, Tensor], record: dict[str, Any]) -> PlacedPanel:
    """The panel of the parts that `to_parts` gave."""
    arrays = {name: tensors[name].numpy() for name in _FLAT}
    schema = Schema.from_json(record["schema"])
    frequency = parse_frequency(schema.frequency)
    if not frequency.whole:
        arrays["starts"] = arrays["starts"].view("datetime64[ns]")
    ids = np.empty(len(record["ids"]), dtype=object)
    ids[:] = record["ids"]
    panel = Panel(
        ids=ids, frequency=frequency, schema=schema, frame_kind=record["frame_kind"], **arrays
    )
    return PlacedPanel(panel, tensors["start_age"].numpy())
