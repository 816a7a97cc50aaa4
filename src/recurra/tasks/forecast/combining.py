"""Combination of networks with statistical forecasts, its weights chosen on the held-out part."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.scores import seasonal_scales
from recurra.tasks.forecast.nets import ForecastNet
from recurra.tasks.forecast.nets.inference import scaled_forecasts
from recurra.tasks.forecast.statistics.combination import (
    Combination,
    HeldOutWindows,
    MemberForecasts,
    member_weights,
)
from recurra.tasks.forecast.statistics.intermittent import is_intermittent
from recurra.tasks.forecast.windows.cutter import WindowCutter
from recurra.tasks.forecast.windows.scaling import transformed
from recurra.tasks.forecast.windows.splits import Origins, count_disjoint

__all__ = ["combined_cutter"]

Floats = NDArray[np.float64]


def combined_cutter(
    config: ForecastConfig,
    season: int,
    nets: Sequence[ForecastNet],
    cutter: WindowCutter,
    origins: Origins,
) -> WindowCutter:
    """The cutter with weights of the networks and the configured members, by held-out origins.

    Without a known value in the held-out part the members have the same weight, and the network,
    which nothing speaks for, has none.
    """
    members = MemberForecasts(config.member_names, season, config.horizon)
    known = _known(cutter, origins, members)
    if known.any():
        origins = origins.at(known)
        windows = _judged_windows(nets, cutter, origins, members, config.seed)
        combination = member_weights(members, windows, count_disjoint(origins, config.horizon))
    else:
        weights = np.array([0.0, *[1 / len(members.names)] * len(members.names)])
        combination = Combination(members, weights, weights)
    return dataclasses.replace(cutter, combination=combination)


def _known(cutter: WindowCutter, origins: Origins, members: MemberForecasts) -> NDArray[np.bool_]:
    """The origins (W,) with known values both before and after them."""
    after = np.isfinite(cutter.actual(origins)).any(1)
    pairs = zip(*origins, strict=True)
    before = [np.isfinite(members.history(cutter.panel, *pair)).any() for pair in pairs]
    known: NDArray[np.bool_] = after & np.array(before, bool)
    return known


def _judged_windows(
    nets: Sequence[ForecastNet],
    cutter: WindowCutter,
    origins: Origins,
    members: MemberForecasts,
    seed: int,
) -> HeldOutWindows:
    """The networks' forecasts and the members' from origins, with what they are judged by."""
    histories = [members.history(cutter.panel, *pair) for pair in zip(*origins, strict=True)]
    scaled = scaled_forecasts(nets, cutter, origins, seed=seed)
    levels = nets[0].levels
    network = scaled.quantiles[..., levels.index(0.5) if levels else 0]
    own = members(cutter.panel, *origins)
    parts = [
        scaled.to_scaled(transformed(own[..., m], cutter.transform)) for m in range(own.shape[-1])
    ]
    return HeldOutWindows(
        np.stack([network, *parts], -1),
        cutter.actual(origins),
        _scales(histories, members.season),
        np.array([is_intermittent(history) for history in histories], bool),
        lambda values: scaled.to_data(values, cutter.transform),
    )


def _scales(histories: Sequence[Floats], season: int) -> Floats:
    """The scale of each window's errors: of MASE, else of its values, else 1."""
    seasonal = seasonal_scales(histories, season)
    sizes = np.array([np.nanmean(np.abs(history)) for history in histories])
    # A change that is nothing beside the values is rounding.
    scale = np.where(seasonal > 1e-6 * sizes, seasonal, sizes)
    return np.where(scale > 0, scale, 1.0)
