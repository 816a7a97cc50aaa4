"""Forecasts to be judged: a model's or a baseline's, and whether they can be."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.tasks.forecast.baselines import BASELINES, baseline_quantiles
from recurra.tasks.forecast.scores import Mask, Matrix

__all__ = [
    "Forecasts",
    "Mask",
    "baseline_forecasts",
    "check_finite",
    "check_windows",
    "common_levels",
]


@dataclass(frozen=True, eq=False)
class Forecasts:
    """What a model forecast in W windows of H steps: point (W, H) and quantiles (W, H, Q).

    `levels` (Q,) are the quantiles' levels, between 0 and 1 and ascending.
    """

    name: str
    point: Matrix
    quantiles: Matrix | None = None
    levels: tuple[float, ...] = ()


def baseline_forecasts(
    histories: Sequence[Matrix], season: int, horizon: int, levels: Sequence[float] = ()
) -> list[Forecasts]:
    """Every baseline's forecasts after each history (n,), with quantiles where levels are asked.

    >>> [f.name for f in baseline_forecasts([np.array([1.0, 2.0])], season=1, horizon=3)]
    ['Naive', 'SeasonalNaive', 'Naive2', 'SES']
    """
    made = []
    for name in BASELINES:
        # The forecasts are normal, so their medians are the points.
        found = np.empty((len(histories), horizon, 1 + len(levels)))
        for window, history in enumerate(histories):
            found[window] = baseline_quantiles(history, name, season, horizon, (0.5, *levels))
        quantiles = found[:, :, 1:] if levels else None
        made.append(Forecasts(name, found[:, :, 0], quantiles, tuple(levels)))
    return made


def check_windows(
    truth: Matrix,
    forecasts: Sequence[Forecasts],
    histories: Sequence[Matrix],
    series: Sequence[Hashable],
) -> None:
    """DataError where windows, steps or quantiles differ in number, or the truth is infinite."""
    if truth.ndim != 2 or not truth.size:
        raise DataError(f"The truth has the shape {truth.shape}; (windows, steps) is needed.")
    if not len(truth) == len(histories) == len(series):
        raise DataError(
            f"{len(truth)} windows of truth come with {len(histories)} histories and {len(series)} "
            "names of series; give one of each for every window."
        )
    if np.isinf(truth).any():
        window, step = np.argwhere(np.isinf(truth))[0]
        raise DataError(
            f"The truth of {series[window]!r} is infinite {step + 1} steps after the origin of "
            f"window {window}; give a number, or NaN where it is unknown."
        )
    for forecast in forecasts:
        _check_shapes(truth, forecast)


def _check_shapes(truth: Matrix, forecast: Forecasts) -> None:
    wanted = (*truth.shape, len(forecast.levels))
    shapes = [(forecast.point.shape, wanted[:2])]
    if forecast.quantiles is not None:
        shapes.append((forecast.quantiles.shape, wanted))
    for given, needed in shapes:
        if given != needed:
            raise DataError(
                f"{forecast.name}'s forecasts have the shape {given}; the truth and the levels "
                f"need {needed}."
            )


def check_finite(wanted: Mask, forecasts: Sequence[Forecasts]) -> None:
    """DataError where a forecast of a wanted step (W, H) is NaN or infinite."""
    for forecast in forecasts:
        bad = wanted & ~np.isfinite(forecast.point)
        if forecast.quantiles is not None:
            bad |= wanted & ~np.isfinite(forecast.quantiles).all(2)
        if bad.any():
            window, step = np.argwhere(bad)[0]
            raise DataError(
                f"{forecast.name}'s forecast for step {step + 1} of window {window} is not finite; "
                "leave the window out, or mend the model, before judging."
            )


def common_levels(forecasts: Sequence[Forecasts]) -> tuple[float, ...]:
    """The levels of all forecasts that have quantiles, () where none has.

    ConfigError where they differ, don't ascend between 0 and 1, or a name comes twice.
    """
    names = [forecast.name for forecast in forecasts]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"The forecasts are named {names}; give at least one, each its own name.")
    probabilistic = [forecast for forecast in forecasts if forecast.quantiles is not None]
    for forecast in probabilistic:
        levels = forecast.levels
        inside = all(0 < level < 1 for level in levels)
        if not levels or not inside or list(levels) != sorted(set(levels)):
            raise ConfigError(
                f"{forecast.name}'s levels are {levels}; they must ascend between 0 and 1."
            )
        if levels != probabilistic[0].levels:
            raise ConfigError(
                f"{forecast.name} has the levels {levels} and {probabilistic[0].name} has "
                f"{probabilistic[0].levels}; models are compared on the same ones."
            )
    return probabilistic[0].levels if probabilistic else ()
