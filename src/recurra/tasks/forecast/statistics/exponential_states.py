"""Exponential smoothing in state-space form, run over many windows and parameters at once.

The recursions are those of Hyndman, Koehler, Ord & Snyder, "Forecasting with exponential
smoothing" (2008), table 2.2 and 2.3: the states of models with additive and with relative errors
follow the same recursion, so one run gives the likelihood of both.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from recurra.tasks.forecast.statistics.histories import Histories, Vector

__all__ = ["SmoothingForm", "SmoothingRun", "Start", "ahead", "growth", "run"]

_LEAST = 1e-12
"""A smaller factor of the season or mean is taken for this, so that nothing is divided by zero."""


class SmoothingForm(NamedTuple):
    """Trend: "none", "damped" or "linear"; season: "none", "additive" or "relative"."""

    trend: str
    season: str


class Start(NamedTuple):
    """States before the first value: level and trend (..., W), season (m, W) by phase."""

    level: Vector
    trend: Vector
    season: Vector


@dataclass(frozen=True, eq=False)
class SmoothingRun:
    """What a run ends with: sums over the known steps (K, W), and the last states.

    `squares` are squared errors, `shares` squared errors over the forecast, `logs` logarithms of
    the forecast's size; infinite where the recursion left the numbers that its form allows.
    """

    squares: Vector
    shares: Vector
    logs: Vector
    level: Vector
    trend: Vector
    season: Vector


def run(
    histories: Histories, form: SmoothingForm, parameters: Vector, start: Start
) -> SmoothingRun:
    """Run K sets of parameters (4, K, W) (alpha, beta, gamma, phi) over the histories."""
    alpha, beta, gamma, phi = parameters
    values, phases = histories.values, histories.phases
    shape = alpha.shape
    level, trend = (np.broadcast_to(part, shape).copy() for part in (start.level, start.trend))
    season = np.repeat(start.season[:, None], shape[0], 1)
    squares, shares, logs = (np.zeros(shape) for _ in range(3))
    trending, relative = form.trend != "none", form.season == "relative"
    seasonal, begun = form.season != "none", int(histories.starts.max(initial=0))
    seen_all = np.isfinite(values)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        for t, phase in enumerate(phases):
            base = level + phi * trend if trending else level
            mean = base
            if seasonal:
                factor = season[phase]
                mean = base * factor if relative else base + factor
            seen = seen_all[t]
            error = np.where(seen, values[t] - mean, 0.0)
            size = np.where(seen, np.abs(mean), 1.0)
            np.maximum(size, _LEAST, out=size)
            squares += error**2
            shares += (error / size) ** 2
            logs += np.log(size)
            step = error / np.maximum(np.abs(factor), _LEAST) if relative else error
            new_level = base + alpha * step
            new_trend = phi * trend + beta * step if trending else trend
            if t < begun:  # a history that hasn't begun keeps its first states
                waiting = t < histories.starts
                new_level = np.where(waiting, level, new_level)
                new_trend = np.where(waiting, trend, new_trend)
            if seasonal:
                apart = error / np.maximum(np.abs(base), _LEAST) if relative else error
                season[phase] = factor + gamma * apart
            level, trend = new_level, new_trend
    return SmoothingRun(squares, shares, logs, level, trend, season)


def ahead(form: SmoothingForm, found: SmoothingRun, phi: Vector, horizon: int) -> Vector:
    """The points (W, H) after the last states of one set of parameters, K = 1."""
    level, trend, season = found.level[0], found.trend[0], found.season[:, 0]
    steps = np.cumsum(phi[:, None] ** np.arange(1, horizon + 1), 1)
    points = level[:, None] + (trend[:, None] * steps if form.trend != "none" else 0.0)
    if form.season == "none":
        return np.broadcast_to(points, (len(level), horizon)).copy()
    later = season[np.arange(horizon) % len(season)].T
    seasonal: Vector = points * later if form.season == "relative" else points + later
    return seasonal


def growth(parameters: Vector, season: int, horizon: int) -> Vector:
    """The growth (W, H) of the deviation with the steps ahead, of parameters (4, W).

    The class 1 formula of the book's table 6.1: additive errors, trend and season.
    """
    alpha, beta, gamma, phi = parameters[..., None]
    step = np.arange(1, horizon)
    damped = np.cumsum(phi ** np.arange(1, horizon), 1) if horizon > 1 else np.zeros_like(phi)
    weights = alpha + beta * damped[:, : len(step)] + gamma * (step % season == 0)
    total = np.concatenate([np.zeros((len(weights), 1)), np.cumsum(weights**2, 1)], 1)
    grown: Vector = np.sqrt(1 + total)
    return grown
