"""The forecasting models, each a module with `loss(batch)` and `forecast(batch)`, on our layers."""

from collections.abc import Callable, Mapping

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
from recurra.tasks.network import ActivationPenalties, initialise

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
    """The network of `config.model`, its weights drawn from torch's random numbers."""
    net = _NETS[config.model](config, sizes)
    net.penalties = ActivationPenalties(config)
    initialise(net, config, steps=net.steps)
    return net
