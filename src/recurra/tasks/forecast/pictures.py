"""Forecasts and surprises as what `recurra.plots` draws."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recurra.data.series.panel import Panel
from recurra.errors import ConfigError
from recurra.plots import AnomalySeries, ForecastSeries, plot_anomalies, plot_forecasts
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.evaluation.rolling import Backtest
from recurra.tasks.forecast.frames import NAME, Frame
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.predict import Predicted
from recurra.tasks.forecast.store import Kept
from recurra.tasks.forecast.windows.windows import Origins

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = ["anomaly_figure", "forecast_figure", "judged_figure"]

_SHOWN = 6
_LEAST = 50
"""Steps of history that are shown at least, where there are so many."""


def judged_figure(found: Backtest, season: int, unit: str = "") -> Figure:
    """The worst series, the best and some between, by what decides: of each the window that did as
    well as its windows do on average.
    """
    metric = found.judgement.deciding()
    ranked = found.judgement.ranked(NAME)
    last = len(ranked) - 1
    outer = {place for place in (0, 1, last - 1, last) if 0 <= place <= last}
    numbers = {series: n for n, series in enumerate(found.panel.ids)}
    courses = []
    for place in sorted({*outer, *_spread(len(ranked), _SHOWN - 2)}):
        series, value = ranked[place]
        note = f"{metric} {value:.3g}, {_rank(place, len(ranked))}"
        window = _typical(found, numbers[series], value)
        courses.append(_judged_course(found, window, season, note))
    return plot_forecasts(courses, unit=unit)


def forecast_figure(
    model: Model,
    kept: Kept,
    ahead: NDArray[np.float32] | None,
    *,
    steps: int,
    series: Sequence[Any] = (),
    seed: int = 0,
) -> Figure:
    """What comes after the end of series: of those named, or of some spread over all.

    `ahead` (N, H, F) are the covariates known ahead. Raises ConfigError for a series that isn't
    there.
    """
    chosen = _chosen(kept.panel, series)
    few = Kept(kept.panel.select(chosen), kept.begun[chosen])
    cutter = model.cutter(few, None if ahead is None else ahead[chosen])
    origins = Origins(np.arange(len(chosen)), few.panel.lengths)
    found = model.forecast(cutter, origins, seed=seed)
    season, levels = model.sizes.season, model.config.levels
    courses = [
        _course(few.panel, origins, found, n, levels, season, steps=steps)
        for n in range(len(chosen))
    ]
    return plot_forecasts(courses, _left(series, courses, kept.panel.ids), unit_of(model.config))


def anomaly_figure(
    found: Frame, config: ForecastConfig, series: Sequence[Any] = (), most: int = 4
) -> Figure:
    """A table of `Forecaster.anomalies`: the series named, or those with the highest scores."""
    ids, scores = found[config.id].to_numpy(), found["score"].to_numpy()
    peaks = {i: np.nanmax(scores[ids == i], initial=0) for i in dict.fromkeys(ids)}
    _refuse_unknown(series, list(peaks))
    names = {str(i): i for i in peaks}
    chosen = [names[str(i)] for i in series] or sorted(peaks, key=peaks.__getitem__, reverse=True)
    drawn = [_surprises(found, ids == i, str(i), config) for i in chosen[:most]]
    return plot_anomalies(drawn, _left(series, drawn, peaks), unit_of(config))


def unit_of(config: ForecastConfig) -> str:
    """What an axis of values is called: the target's column, where it has a name of its own."""
    return config.target if config.layout == "long" and config.target != "y" else ""


def _surprises(
    found: Frame, rows: NDArray[np.bool_], title: str, config: ForecastConfig
) -> AnomalySeries:
    def column(name: str) -> Any:
        return found[name].to_numpy()[rows]

    widest = f"{config.widths[-1]:g}" if config.widths else ""
    bounds = {
        side: column(f"{NAME}-{short}-{widest}")
        for side, short in (("low", "lo"), ("high", "hi"))
        if widest
    }
    return AnomalySeries(
        title, column(config.time or "ds"), column(config.target), column("score"), **bounds
    )


def _typical(found: Backtest, number: int, mean: float) -> int:
    """The window of a series that comes nearest to the mean of all of them."""
    errors = found.judgement.by_series[NAME]
    away = np.where(found.origins.series == number, np.abs(errors - mean), np.nan)
    return int(np.nanargmin(away))


def _judged_course(found: Backtest, window: int, season: int, note: str) -> ForecastSeries:
    return _course(
        found.panel,
        found.origins,
        found.predicted,
        window,
        found.levels,
        season,
        truth=found.truth[window],
        note=note,
    )


def _course(
    panel: Panel,
    origins: Origins,
    found: Predicted,
    window: int,
    levels: tuple[float, ...],
    season: int,
    *,
    steps: int | None = None,
    truth: Any = None,
    note: str = "",
) -> ForecastSeries:
    """One window with as much of its history as helps to read it."""
    number, end = int(origins.series[window]), int(origins.known[window])
    steps = steps or found.point.shape[1]
    begin = max(0, end - max(3 * steps, 2 * season, _LEAST))
    start = panel.starts[number : number + 1]
    return ForecastSeries(
        title=str(panel.ids[number]),
        stamps=panel.frequency.shift(start, np.arange(begin, end)),
        known=panel.values(number)[begin:end],
        ahead=panel.frequency.shift(start, np.arange(end, end + steps)),
        point=found.point[window, :steps],
        bands=_bands(levels, found.quantiles[window, :steps]),
        actual=truth,
        note=note,
    )


def _bands(levels: tuple[float, ...], quantiles: Any) -> dict[float, tuple[Any, Any]]:
    """Percent -> lower and upper bound (H,), of the levels that lie opposite one another."""
    place = {round(level, 6): k for k, level in enumerate(levels)}
    return {
        round(100 * (1 - 2 * level), 4): (quantiles[:, k], quantiles[:, place[round(1 - level, 6)]])
        for level, k in place.items()
        if level < 0.5 and round(1 - level, 6) in place
    }


def _chosen(panel: Panel, series: Sequence[Any]) -> NDArray[np.int64]:
    if not series:
        return np.array(_spread(len(panel), _SHOWN), dtype=np.int64)
    _refuse_unknown(series, list(panel.ids))
    numbers = {str(i): n for n, i in enumerate(panel.ids)}
    return np.array([numbers[str(i)] for i in series], dtype=np.int64)


def _refuse_unknown(series: Sequence[Any], there: Sequence[Any]) -> None:
    known = {str(i) for i in there}
    unknown = [str(i) for i in series if str(i) not in known]
    if unknown:
        few = ", ".join(str(i) for i in there[:5])
        raise ConfigError(
            f"There is no series {unknown[0]!r} to draw; there are {len(known):,}: {few}"
            f"{', ...' if len(known) > 5 else ''}."
        )


def _spread(count: int, most: int) -> list[int]:
    """Places spread evenly over so many, the first and the last among them."""
    return sorted({round(place) for place in np.linspace(0, count - 1, min(count, most))})


def _left(asked: Sequence[Any], drawn: Sequence[Any], there: Collection[Any]) -> str:
    """How many series are drawn, where they are some of which nobody asked for these."""
    some = not asked and len(drawn) < len(there)
    return f"{len(drawn)} of {len(there):,} series" if some else ""


def _rank(place: int, count: int) -> str:
    if count == 1:
        return "the only series"
    return {0: "the worst", count - 1: "the best"}.get(
        place, f"{place + 1} of {count} from the worst"
    )
