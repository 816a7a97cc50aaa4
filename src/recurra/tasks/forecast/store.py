"""What a run keeps of its data: the end of every series, as much as a forecast reads."""

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
    """The end of each series, and (N,) how many of its steps came before that."""

    panel: Panel
    start_age: NDArray[np.int64]


def keep(panel: Panel, start_age: NDArray[np.int64], steps: int) -> PlacedPanel:
    """The last `steps` of each series."""
    tail = panel.tail(steps)
    return PlacedPanel(tail, start_age + panel.lengths - tail.lengths)


def to_parts(kept: PlacedPanel) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """As tensors, and what is told in JSON."""
    arrays = {name: np.ascontiguousarray(getattr(kept.panel, name)) for name in _FLAT}
    arrays["starts"] = arrays["starts"].view(np.int64)
    arrays["start_age"] = kept.start_age
    told = {
        "ids": [i.item() if isinstance(i, np.generic) else i for i in kept.panel.ids],
        "schema": kept.panel.schema.to_json(),
        "frame_kind": kept.panel.frame_kind,
    }
    return {name: torch.from_numpy(value.copy()) for name, value in arrays.items()}, told


def restore(tensors: dict[str, Tensor], told: dict[str, Any]) -> PlacedPanel:
    """The panel that was kept."""
    arrays = {name: tensors[name].numpy() for name in _FLAT}
    schema = Schema.from_json(told["schema"])
    frequency = parse_frequency(schema.frequency)
    if not frequency.whole:
        arrays["starts"] = arrays["starts"].view("datetime64[ns]")
    ids = np.empty(len(told["ids"]), dtype=object)
    ids[:] = told["ids"]
    panel = Panel(
        ids=ids, frequency=frequency, schema=schema, frame_kind=told["frame_kind"], **arrays
    )
    return PlacedPanel(panel, tensors["start_age"].numpy())
