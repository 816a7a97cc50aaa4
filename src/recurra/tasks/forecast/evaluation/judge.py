"""Judging of forecasts beside the baselines, with each metric as its field defines it."""

from collections.abc import Hashable, Sequence
from itertools import compress

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.tasks.forecast.evaluation.baselines import BASELINES, baseline_quantiles
from recurra.tasks.forecast.evaluation.judgement import Judgement
from recurra.tasks.forecast.evaluation.scores import (
    Forecasts,
    IntervalLevels,
    Mask,
    Matrix,
    Scores,
    ScoreScales,
    score_windows,
    seasonal_scales,
)

__all__ = ["Forecasts", "baseline_forecasts", "judge"]

_DIGITS = 6
"""Digits that identify a level, as in the configuration."""


def baseline_forecasts(
    histories: Sequence[Matrix], season: int, horizon: int, levels: Sequence[float] = ()
) -> list[Forecasts]:
    """Every baseline's forecasts after each history (n,), with quantiles at the levels, if any.

    >>> [f.name for f in baseline_forecasts([np.array([1.0, 2.0])], season=1, horizon=3)]
    ['Naive', 'SeasonalNaive', 'Naive2', 'SES']
    """
    forecasts = []
    for name in BASELINES:
        # The forecasts are normal, so their medians are the points.
        values = np.empty((len(histories), horizon, 1 + len(levels)))
        for window, history in enumerate(histories):
            values[window] = baseline_quantiles(history, name, season, horizon, (0.5, *levels))
        quantiles = values[:, :, 1:] if levels else None
        forecasts.append(Forecasts(name, values[:, :, 0], quantiles, tuple(levels)))
    return forecasts


def judge(
    actual: Matrix,
    forecasts: Sequence[Forecasts],
    *,
    histories: Sequence[Matrix],
    season: int,
    series: Sequence[Hashable],
    intervals: Sequence[float] = (80, 95),
) -> Judgement:
    """Score forecasts of W windows against the actual values (W, H), NaN where unknown.

    `histories` (W of them) are the values known at each window's origin: MASE is scaled by their
    mean absolute change over a `season`. `series` (W,) names the series of each window. `intervals`
    are central, in per cent: that of 80 lies between the quantiles 0.1 and 0.9. OWA needs forecasts
    named Naive2. Windows without actual values or without history are left out and counted, as are
    those for which a metric is undefined; 0/0 in sMAPE counts as 0, as in utilsforecast. CRPS is
    twice the mean pinball loss over the levels, so models are compared on the same ones.
    Raises DataError where shapes differ or a forecast is not finite, ConfigError where levels
    differ or an interval's are missing, MissingExtra without utilsforecast.

        >>> actual, history = np.array([[3.0, 4.0]]), np.array([1.0, 3.0, 2.0])
        >>> judgement = judge(actual, baseline_forecasts([history], 1, 2), histories=[history],
        ...                   season=1, series=["a"])
        >>> judgement.table["Naive"]["MAE"], judgement.table["Naive"]["MASE"]
        (1.5, 1.0)
    """
    if season < 1:
        raise ConfigError(f"season = {season}; it is 1 or more steps, and 1 where there is none.")
    actual = np.asarray(actual, dtype=np.float64)
    histories = [np.asarray(history, dtype=np.float64) for history in histories]
    _check_windows(actual, forecasts, histories, series)
    levels = _common_levels(forecasts)
    bounds = IntervalLevels(levels, _bounds(levels, intervals))
    judged, left_out = _judged_windows(actual, histories)
    _check_finite(~np.isnan(actual) & judged[:, None], forecasts)
    seasonal = seasonal_scales(list(compress(histories, judged)), season)
    scales = ScoreScales(actual[judged], seasonal, list(compress(series, judged)))
    # Quantiles can be gigabytes: no copy of them where no window is left out.
    models = list(forecasts) if judged.all() else [model.at(judged) for model in forecasts]
    scores = score_windows(actual[judged], models, bounds)
    completed = {
        model.name: scales.completed(own) for model, own in zip(forecasts, scores, strict=True)
    }
    return Judgement(
        table=scales.table(completed),
        windows={name: _all_windows(own, judged) for name, own in completed.items()},
        series=tuple(series),
        left_out=left_out | scales.undefined(probabilistic=bool(levels)),
    )


def _judged_windows(actual: Matrix, histories: Sequence[Matrix]) -> tuple[Mask, dict[str, int]]:
    """The windows (W,) that can be judged, and the number of the others by reason; DataError where
    none can.
    """
    unknown = np.isnan(actual).all(1)
    unstarted = np.array([bool(np.isnan(history).all()) for history in histories]) & ~unknown
    if (unknown | unstarted).all():
        raise DataError(
            f"None of the {len(actual)} windows has known values both before and after its origin; "
            "hold out steps that are known."
        )
    left_out = {"actual": int(unknown.sum()), "history": int(unstarted.sum())}
    return ~(unknown | unstarted), left_out


def _all_windows(scores: Scores, judged: Mask) -> Scores:
    """Each metric (W,) of all windows: NaN for those that were left out."""
    placed = {metric: np.full(len(judged), np.nan) for metric in scores}
    for metric, values in scores.items():
        placed[metric][judged] = values
    return placed


def _check_windows(
    actual: Matrix,
    forecasts: Sequence[Forecasts],
    histories: Sequence[Matrix],
    series: Sequence[Hashable],
) -> None:
    """DataError where windows, steps or quantiles differ in number, or values are infinite."""
    if actual.ndim != 2 or not actual.size:
        raise DataError(
            f"The actual values have the shape {actual.shape}; (windows, steps) is needed."
        )
    if not len(actual) == len(histories) == len(series):
        raise DataError(
            f"{len(actual)} windows of actual values come with {len(histories)} histories and "
            f"{len(series)} names of series; give one of each for every window."
        )
    if np.isinf(actual).any():
        window, step = np.argwhere(np.isinf(actual))[0]
        raise DataError(
            f"The actual value of {series[window]!r} is infinite {step + 1} steps after the origin "
            f"of window {window}; give a number, or NaN where it is unknown."
        )
    for model in forecasts:
        _check_shapes(actual, model)


def _check_shapes(actual: Matrix, model: Forecasts) -> None:
    wanted = (*actual.shape, len(model.levels))
    shapes = [(model.point.shape, wanted[:2])]
    if model.quantiles is not None:
        shapes.append((model.quantiles.shape, wanted))
    for shape, needed in shapes:
        if shape != needed:
            raise DataError(
                f"{model.name}'s forecasts have the shape {shape}; the actual values and the "
                f"levels need {needed}."
            )


def _check_finite(wanted: Mask, forecasts: Sequence[Forecasts]) -> None:
    """DataError where a forecast of a wanted step (W, H) is NaN or infinite."""
    for model in forecasts:
        bad = wanted & ~np.isfinite(model.point)
        if model.quantiles is not None:
            bad |= wanted & ~np.isfinite(model.quantiles).all(2)
        if bad.any():
            window, step = np.argwhere(bad)[0]
            raise DataError(
                f"{model.name}'s forecast for step {step + 1} of window {window} is not finite; "
                "leave the window out, or fix the model, before judging."
            )


def _common_levels(forecasts: Sequence[Forecasts]) -> tuple[float, ...]:
    """The levels of all forecasts that have quantiles, () where none has.

    ConfigError where they differ, don't ascend between 0 and 1, or a name comes twice.
    """
    names = [model.name for model in forecasts]
    if not names or len(set(names)) < len(names):
        raise ConfigError(f"The forecasts are named {names}; give at least one, each its own name.")
    probabilistic = [model for model in forecasts if model.quantiles is not None]
    for model in probabilistic:
        levels = model.levels
        inside = all(0 < level < 1 for level in levels)
        if not levels or not inside or list(levels) != sorted(set(levels)):
            raise ConfigError(
                f"{model.name}'s levels are {levels}; they must ascend between 0 and 1."
            )
        if levels != probabilistic[0].levels:
            raise ConfigError(
                f"{model.name} has the levels {levels} and {probabilistic[0].name} has "
                f"{probabilistic[0].levels}; models are compared on the same ones."
            )
    return probabilistic[0].levels if probabilistic else ()


def _bounds(levels: Sequence[float], intervals: Sequence[float]) -> dict[float, tuple[int, int]]:
    """The indices of the quantiles that each interval lies between; none without quantiles."""
    bounds = {}
    for percent in intervals if levels else ():
        tails = tuple(round(0.5 + sign * percent / 200, _DIGITS) for sign in (-1, 1))
        ends = [i for i, level in enumerate(levels) if round(level, _DIGITS) in tails]
        if len(ends) != 2:
            raise ConfigError(
                f"The interval of {percent:g} % needs the levels {tails[0]:g} and {tails[1]:g}; "
                f"the forecasts have {levels}: add them, or ask for other intervals."
            )
        bounds[percent] = (ends[0], ends[1])
    return bounds
