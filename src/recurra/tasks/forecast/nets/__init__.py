"""The forecasting models, each a module with `loss(batch)` and `forecast(batch)`, on our layers."""

from collections.abc import Callable, Mapping

import torch

from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets.autoregressive import AutoregressiveNet
from recurra.tasks.forecast.nets.components import (
    CarriedState,
    ForecastNet,
    NetOutput,
    Sizes,
    StepInput,
    sizes_of,
)
from recurra.tasks.forecast.nets.direct import DirectNet
from recurra.tasks.forecast.nets.segments import SegmentsNet
from recurra.tasks.forecast.nets.smoothing import SmoothingNet

__all__ = [
    "CarriedState",
    "ForecastNet",
    "NetOutput",
    "Sizes",
    "StepInput",
    "build",
    "sizes_of",
]

_NETS: Mapping[str, Callable[[ForecastConfig, Sizes], ForecastNet]] = {
    "segments": SegmentsNet,
    "direct": DirectNet,
    "autoregressive": AutoregressiveNet,
    "smoothing": SmoothingNet,
}


def build(config: ForecastConfig, sizes: Sizes) -> ForecastNet:
    """A network as its training begins: torch's random numbers are seeded with `config.seed`."""
    torch.manual_seed(config.seed)
    return _NETS[config.model](config, sizes)
