"""Combination of networks with statistical forecasts, its weights chosen on the held-out part."""

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.scores import is_intermittent, seasonal_scales
from recurra.tasks.forecast.nets import ForecastNet
from recurra.tasks.forecast.nets.inference import scaled_forecasts
from recurra.tasks.forecast.statistics.combination import (
    NETWORK,
    Combination,
    HeldOutWindows,
    MemberForecasts,
    member_weights,
)
from recurra.tasks.forecast.windows.cutter import WindowCutter
from recurra.tasks.forecast.windows.scaling import transformed
from recurra.tasks.forecast.windows.splits import Origins, count_disjoint, origins_between

__all__ = ["combined_cutter"]

Floats = NDArray[np.float64]

_ALONE, _LEAST = 3, 6
"""Horizons at the end of each series on which members are judged without the network, and the steps
that must come before; not tuned."""
_NOTHING = 1e30
"""The forecast of a network that has none: so far off that it gets no weight."""
_MOST = 600
"""Windows on which they are judged at most: a limit of time."""


def combined_cutter(
    config: ForecastConfig,
    season: int,
    nets: Sequence[ForecastNet],
    cutter: WindowCutter,
    origins: Origins,
) -> WindowCutter:
    """The cutter with weights of the networks and the configured members, by held-out origins.

    Series too short to be held out say nothing of the network: as far as there are such, the
    weights are drawn to those of the members alone, judged on windows of all series. Without any
    window the members have the same weight.
    """
    members = MemberForecasts(config.member_names, season, config.horizon)
    known, panel = _known(cutter, origins, members), cutter.panel
    origins = origins.at(known)
    share = len(np.unique(origins.series)) / max(len(panel), 1)
    alone = None if share == 1 else _members_alone(config, season, cutter, members)
    if known.any():
        windows = _judged_windows(nets, cutter, origins, members, config.seed)
        combination = member_weights(members, windows, count_disjoint(origins, config.horizon))
        if alone is not None:
            combination = combination.drawn_to(alone, share)
    else:
        equal = np.array([0.0, *[1 / len(members.names)] * len(members.names)])
        combination = alone or Combination(members, equal, equal)
    return dataclasses.replace(cutter, combination=combination)


def _members_alone(
    config: ForecastConfig, season: int, cutter: WindowCutter, members: MemberForecasts
) -> Combination | None:
    """The weights of the members without the network, by the last windows of every series; None
    where no series has one.
    """
    lengths, horizon = cutter.panel.lengths, config.horizon
    first = np.maximum(lengths - _ALONE * horizon, max(season + 1, _LEAST))
    origins = _spread(origins_between(first, lengths - horizon, horizon), _MOST)
    origins = origins.at(_known(cutter, origins, members))
    if not len(origins.series):
        return None
    own, histories = members(cutter.panel, *origins), _histories(cutter, origins, members)
    nothing = np.full((*own.shape[:2], 1), _NOTHING)
    windows = HeldOutWindows(
        np.concatenate([nothing, own], -1),
        cutter.actual(origins),
        _scales(histories, season),
        np.array([is_intermittent(history) for history in histories], bool),
        lambda values: values,
    )
    found = member_weights(members, windows, count_disjoint(origins, horizon))
    errors = {name: error for name, error in found.errors.items() if name != NETWORK}
    return dataclasses.replace(found, errors=errors)


def _histories(cutter: WindowCutter, origins: Origins, members: MemberForecasts) -> list[Floats]:
    return [members.history(cutter.panel, *pair) for pair in zip(*origins, strict=True)]


def _known(cutter: WindowCutter, origins: Origins, members: MemberForecasts) -> NDArray[np.bool_]:
    """The origins (W,) with known values both before and after them."""
    after = np.isfinite(cutter.actual(origins)).any(1)
    histories = _histories(cutter, origins, members)
    before = [np.isfinite(history).any() for history in histories]
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
    histories = _histories(cutter, origins, members)
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


def _spread(origins: Origins, most: int) -> Origins:
    """At most `most` of the origins, evenly."""
    count = len(origins.series)
    return origins.at(np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)))
