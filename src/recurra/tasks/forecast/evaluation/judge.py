"""Judge forecasts beside the baselines, each metric as its field defines it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import compress

import numpy as np

from recurra.errors import ConfigError, DataError
from recurra.tasks.forecast.evaluation.baselines import BASELINES, baseline_quantiles
from recurra.tasks.forecast.evaluation.judgement import Judgement
from recurra.tasks.forecast.evaluation.scales import Ground, seasonal_scales
from recurra.tasks.forecast.evaluation.scores import (
    Mask,
    Matrix,
    Model,
    Quantiles,
    Scores,
    scores,
)

__all__ = [
    "Forecasts",
    "Judgement",
    "Mask",
    "baseline_forecasts",
    "check_finite",
    "check_windows",
    "common_levels",
    "judge",
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


_DIGITS = 6
"""Those that a level is told by, as in the configuration."""


def judge(
    truth: Matrix,
    forecasts: Sequence[Forecasts],
    *,
    histories: Sequence[Matrix],
    season: int,
    series: Sequence[Hashable],
    intervals: Sequence[float] = (80, 95),
) -> Judgement:
    """Measure forecasts of W windows against the truth (W, H), NaN where it is unknown.

    `histories` (W of them) is what was known at each window's origin: MASE is scaled by its mean
    absolute change over a `season`. `series` (W,) says which series each window is of. `intervals`
    are central, in per cent: that of 80 lies between the quantiles 0.1 and 0.9. OWA needs forecasts
    named Naive2. Windows without truth or without history are left out and counted, as are those
    for which a metric is undefined; 0/0 in sMAPE is no error, as in utilsforecast. CRPS is twice
    the mean pinball loss over the levels, so models are compared on the same ones.
    Raises DataError where shapes differ or a forecast is not finite, ConfigError where levels
    differ or an interval's are not there, MissingExtra without utilsforecast.

        >>> truth, history = np.array([[3.0, 4.0]]), np.array([1.0, 3.0, 2.0])
        >>> found = judge(truth, baseline_forecasts([history], 1, 2), histories=[history],
        ...               season=1, series=["a"])
        >>> found.table["Naive"]["MAE"], found.table["Naive"]["MASE"]
        (1.5, 1.0)
    """
    if season < 1:
        raise ConfigError(f"season = {season}; it is 1 or more steps, and 1 where there is none.")
    truth = np.asarray(truth, dtype=np.float64)
    histories = [np.asarray(history, dtype=np.float64) for history in histories]
    check_windows(truth, forecasts, histories, series)
    levels = common_levels(forecasts)
    quantiles = Quantiles(levels, _bounds(levels, intervals))
    kept, left_out = _kept(truth, histories)
    check_finite(~np.isnan(truth) & kept[:, None], forecasts)
    scale = seasonal_scales(list(compress(histories, kept)), season)
    ground = Ground(truth[kept], scale, list(compress(series, kept)))
    found = scores(truth[kept], _models(forecasts, kept), quantiles)
    rows = {
        forecast.name: ground.completed(row) for forecast, row in zip(forecasts, found, strict=True)
    }
    return Judgement(
        table=ground.table(rows),
        windows={name: _placed(row, kept) for name, row in rows.items()},
        series=tuple(series),
        left_out=left_out | ground.undefined(probabilistic=bool(levels)),
    )


def _kept(truth: Matrix, histories: Sequence[Matrix]) -> tuple[Mask, dict[str, int]]:
    """Which windows (W,) can be judged, and how many can't, by reason; DataError where none can."""
    unknown = np.isnan(truth).all(1)
    unstarted = np.array([bool(np.isnan(history).all()) for history in histories]) & ~unknown
    if (unknown | unstarted).all():
        raise DataError(
            f"None of the {len(truth)} windows has known values both before and after its origin; "
            "hold back steps that are known."
        )
    left_out = {"truth": int(unknown.sum()), "history": int(unstarted.sum())}
    return ~(unknown | unstarted), left_out


def _models(forecasts: Sequence[Forecasts], kept: Mask) -> list[Model]:
    models = [Model(forecast.point, forecast.quantiles) for forecast in forecasts]
    # Quantiles can be gigabytes: no copy of them where no window is left out.
    return models if kept.all() else [model.at(kept) for model in models]


def _placed(row: Scores, kept: Mask) -> Scores:
    """Each metric (W,) of all windows: NaN for those that were left out."""
    placed = {metric: np.full(len(kept), np.nan) for metric in row}
    for metric, values in row.items():
        placed[metric][kept] = values
    return placed


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
