"""Figures of forecasts and anomalies, by `recurra.plots`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.errors import ConfigError
from recurra.plots import AnomalySeries, ForecastSeries, plot_anomalies, plot_forecasts
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.backtest import Backtest
from recurra.tasks.forecast.frames import MODEL_NAME, DataFrame
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets.inference import Predictions
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import Origins

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = [
    "anomaly_figure",
    "backtest_figures",
    "forecast_figure",
    "typical_figure",
    "unit_of",
]

_MOST_SERIES = 6
_LEAST_HISTORY = 50
"""Steps of history that are shown at least, where there are so many."""


def backtest_figures(backtest: Backtest, season: int, unit: str = "") -> list[Callable[[], Figure]]:
    """Draw the worst series, the best and some between, by the deciding metric: of each the window
    whose score is nearest to the mean of its windows. A function for each figure.
    """
    ranked = backtest.judgement.ranked(MODEL_NAME)
    last = len(ranked) - 1
    outer = {rank for rank in (0, 1, last - 1, last) if 0 <= rank <= last}
    ranks = sorted({*outer, *_spread(len(ranked), _MOST_SERIES - 2)})
    return [_ranked_figure(backtest, rank, season, unit) for rank in ranks]


def typical_figure(backtest: Backtest, season: int, unit: str = "") -> Callable[[], Figure]:
    """Draw the series whose score is the median of all."""
    middle = len(backtest.judgement.ranked(MODEL_NAME)) // 2
    return _ranked_figure(backtest, middle, season, unit)


def _ranked_figure(backtest: Backtest, rank: int, season: int, unit: str) -> Callable[[], Figure]:
    """Draw the series of that rank by its score, the best first."""
    ranked = backtest.judgement.ranked(MODEL_NAME)
    series, value = ranked[rank]
    window = _typical(backtest, list(backtest.panel.ids).index(series), value)
    one = _forecast_series(
        backtest.panel,
        backtest.origins,
        backtest.predicted,
        window,
        backtest.levels,
        season,
        actual=backtest.actual[window],
        note=f"{backtest.judgement.deciding()} {value:.3g}, {_rank_in_words(rank, len(ranked))}",
    )
    return functools.partial(plot_forecasts, [one], unit=unit, small=True)


def forecast_figure(
    model: Model,
    placed: PlacedPanel,
    future: NDArray[np.float32] | None,
    *,
    steps: int,
    series: Sequence[Any] = (),
    seed: int = 0,
) -> Figure:
    """The steps after the end of series: of those named, or of some spread over all.

    `future` (N, H, F) are the covariates known ahead. Raises ConfigError for a series that isn't in
    the panel.
    """
    chosen = _chosen(placed.panel, series)
    few = PlacedPanel(placed.panel.select(chosen), placed.start_age[chosen])
    cutter = model.cutter(few, None if future is None else future[chosen])
    origins = Origins(np.arange(len(chosen)), few.panel.lengths)
    predicted = model.forecast(cutter, origins, seed=seed)
    season, levels = model.sizes.season, model.config.levels
    drawn = [
        _forecast_series(few.panel, origins, predicted, n, levels, season, steps=steps)
        for n in range(len(chosen))
    ]
    title = _share_shown(series, drawn, placed.panel.ids)
    return plot_forecasts(drawn, title, unit_of(model.config))


def anomaly_figure(
    table: DataFrame, config: ForecastConfig, series: Sequence[Any] = (), most: int = 4
) -> Figure:
    """A table of `Forecaster.anomalies`: the series named, or those with the highest scores."""
    ids, scores = table[config.id].to_numpy(), table["score"].to_numpy()
    peaks = {i: np.nanmax(scores[ids == i], initial=0) for i in dict.fromkeys(ids)}
    _refuse_unknown(series, list(peaks))
    names = {str(i): i for i in peaks}
    chosen = [names[str(i)] for i in series] or sorted(peaks, key=peaks.__getitem__, reverse=True)
    drawn = [_anomaly_series(table, ids == i, str(i), config) for i in chosen[:most]]
    return plot_anomalies(drawn, _share_shown(series, drawn, peaks), unit_of(config))


def unit_of(config: ForecastConfig) -> str:
    """The label of an axis of values: the target's column, where it has a name of its own."""
    return config.target if config.layout == "long" and config.target != "y" else ""


def _anomaly_series(
    table: DataFrame, rows: NDArray[np.bool_], title: str, config: ForecastConfig
) -> AnomalySeries:
    def column(name: str) -> Any:
        return table[name].to_numpy()[rows]

    widest = f"{config.widths[-1]:g}" if config.widths else ""
    bounds = {
        side: column(f"{MODEL_NAME}-{short}-{widest}")
        for side, short in (("low", "lo"), ("high", "hi"))
        if widest
    }
    return AnomalySeries(
        title, column(config.time or "ds"), column(config.target), column("score"), **bounds
    )


def _typical(backtest: Backtest, number: int, mean: float) -> int:
    """The window of a series whose score is nearest to the mean of its windows."""
    errors = backtest.judgement.by_series[MODEL_NAME]
    away = np.where(backtest.origins.series == number, np.abs(errors - mean), np.nan)
    return int(np.nanargmin(away))


def _forecast_series(
    panel: Panel,
    origins: Origins,
    predicted: Predictions,
    window: int,
    levels: tuple[float, ...],
    season: int,
    *,
    steps: int | None = None,
    actual: Any = None,
    note: str = "",
) -> ForecastSeries:
    """One window with as much of its history as helps to read it."""
    number, end = int(origins.series[window]), int(origins.cutoffs[window])
    steps = steps or predicted.point.shape[1]
    begin = max(0, end - max(3 * steps, 2 * season, _LEAST_HISTORY))
    start = panel.starts[number : number + 1]
    return ForecastSeries(
        title=str(panel.ids[number]),
        stamps=panel.frequency.shift(start, np.arange(begin, end)),
        known=panel.values(number)[begin:end],
        ahead=panel.frequency.shift(start, np.arange(end, end + steps)),
        point=predicted.point[window, :steps],
        bands=_bands(levels, predicted.quantiles[window, :steps]),
        actual=actual,
        note=note,
    )


def _bands(levels: tuple[float, ...], quantiles: Any) -> dict[float, tuple[Any, Any]]:
    """Percent -> lower and upper bound (H,), of the levels that are symmetric about the median."""
    place = {round(level, 6): k for k, level in enumerate(levels)}
    return {
        round(100 * (1 - 2 * level), 4): (quantiles[:, k], quantiles[:, place[round(1 - level, 6)]])
        for level, k in place.items()
        if level < 0.5 and round(1 - level, 6) in place
    }


def _chosen(panel: Panel, series: Sequence[Any]) -> NDArray[np.int64]:
    if not series:
        return np.array(_spread(len(panel), _MOST_SERIES), dtype=np.int64)
    _refuse_unknown(series, list(panel.ids))
    numbers = {str(i): n for n, i in enumerate(panel.ids)}
    return np.array([numbers[str(i)] for i in series], dtype=np.int64)


def _refuse_unknown(series: Sequence[Any], available: Sequence[Any]) -> None:
    names = {str(i) for i in available}
    unknown = [str(i) for i in series if str(i) not in names]
    if unknown:
        few = ", ".join(str(i) for i in available[:5])
        raise ConfigError(
            f"There is no series {unknown[0]!r} to draw; there are {len(names):,}: {few}"
            f"{', ...' if len(names) > 5 else ''}."
        )


def _spread(count: int, most: int) -> list[int]:
    """At most `most` indices spread evenly over `count`, with the first and the last."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))})


def _share_shown(asked: Sequence[Any], drawn: Sequence[Any], available: Collection[Any]) -> str:
    """The share of the series that is drawn, where none were named and not all are."""
    some = not asked and len(drawn) < len(available)
    return f"{len(drawn)} of {len(available):,} series" if some else ""


def _rank_in_words(rank: int, count: int) -> str:
    if count == 1:
        return "the only series"
    return {0: "the worst", count - 1: "the best"}.get(
        rank, f"{rank + 1} of {count} from the worst"
    )
