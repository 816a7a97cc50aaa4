"""ETS: the exponential smoothing model of each history, chosen by AICc, many histories at once.

Hyndman, Koehler, Snyder & Grose 2002, "A state space framework for automatic forecasting using
exponential smoothing methods". Trend none, damped or linear; season none, additive or relative;
errors additive or relative. Parameters and the first level and trend are searched together at
random about the best found so far, with random numbers that are always the same.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from recurra.tasks.forecast.evaluation.seasonality import adjusted, season_index
from recurra.tasks.forecast.statistics.exponential_states import (
    SmoothingForm,
    SmoothingRun,
    Start,
    ahead,
    growth,
    run,
)
from recurra.tasks.forecast.statistics.histories import (
    Histories,
    Ints,
    Mask,
    Outlook,
    Vector,
    aligned,
)

__all__ = ["ets"]

_LONGEST_SEASON = 24
"""A longer season is taken off by decomposition first, as R's `ets` refuses it; not tuned."""
_MOST = 600
"""Steps of a history that are read at most: a limit of time."""
_TRIED, _RADII = 24, (0.5, 0.35, 0.25, 0.17, 0.12, 0.08, 0.05, 0.03)
"""Sets of parameters of each round, and how far from the best they are drawn; not tuned."""
_QUICK, _FAR, _LINEAR = 10.0, 5.0, 3.0
"""Penalties of quick and undamped trends and of odd first states, in units of AICc: short histories
are fitted too closely without them. Set on the last horizon of the training series of all eight
sets of benchmarks/forecast/short_series.py, by ETS alone; the tests were not read for it."""
_FITTED = 4
"""Forms that are fitted to a history, of those that it allows; not tuned."""
_TOGETHER = 400
"""Windows that are fitted together: a limit of memory."""
_FORMS = [
    SmoothingForm(trend, season)
    for season in ("none", "additive", "relative")
    for trend in ("none", "damped", "linear")
]


class _FormFit(NamedTuple):
    """The best of one form for W windows: AICc (W,), parameters (4, W), SmoothingRun with K = 1."""

    score: Vector
    parameters: Vector
    found: SmoothingRun
    relative: Mask


def ets(histories: Sequence[Vector], season: int, horizon: int) -> Outlook:
    """Forecasts (W, horizon) of histories (n,) by the model with the least AICc for each.

    A history without any value has NaN.
    """
    if season > _LONGEST_SEASON:
        return _without_season(histories, season, horizon)
    points, deviations = (np.full((len(histories), horizon), np.nan) for _ in range(2))
    batch = aligned(histories, max(season, 1), _MOST)
    order = np.argsort(batch.starts, kind="stable")
    batch = Histories(batch.values[:, order], batch.starts[order], batch.season)
    for low in range(0, len(order), _TOGETHER):
        part = batch.part(low, low + _TOGETHER)
        chosen = order[low : low + _TOGETHER]
        points[chosen], deviations[chosen] = _fitted(part, horizon)
    return Outlook(points, deviations)


def _without_season(histories: Sequence[Vector], season: int, horizon: int) -> Outlook:
    """Forecasts of histories whose season was taken off, with the season put back."""
    without = [adjusted(history, season) for history in histories]
    plain = ets([one.values for one in without], 1, horizon)
    points, deviations = plain.point.copy(), plain.deviation.copy()
    for window, (one, history) in enumerate(zip(without, histories, strict=True)):
        steps = len(history) + np.arange(horizon)
        points[window] = one.restore(points[window], steps)
        deviations[window] *= one.size(steps)
    return Outlook(points, deviations)


def _fitted(batch: Histories, horizon: int) -> tuple[Vector, Vector]:
    counts, windows = batch.counts, batch.values.shape[1]
    scale = _scales(batch)
    usable = counts > 0
    values = np.where(usable, batch.values / scale, np.nan)
    scaled = Histories(values, batch.starts, batch.season)
    points, deviations = np.full((windows, horizon), np.nan), np.full((windows, horizon), np.nan)
    best = np.full(windows, np.inf)
    for form, possible in _screened(scaled, usable):
        where = np.flatnonzero(possible)
        part = Histories(values[:, where], scaled.starts[where], batch.season)
        fit = _best_fit(part, form)
        better = (fit.score < best[where]) | np.isnan(points[where, 0])
        point = ahead(form, fit.found, fit.parameters[3], horizon)
        spread = _spread(fit, counts[where], point, batch.season, horizon)
        at = where[better]
        best[at], points[at], deviations[at] = (part[better] for part in (fit.score, point, spread))
    factor = scale[:, None]
    return points * factor, deviations * factor


def _screened(batch: Histories, usable: Mask) -> list[tuple[SmoothingForm, Mask]]:
    """The forms, and for which windows each is fitted: those where it is one of the best at a first
    look.
    """
    scores = np.full((len(_FORMS), len(usable)), np.inf)
    for number, form in enumerate(_FORMS):
        where = np.flatnonzero(usable & _allows(form, batch))
        if len(where):
            part = Histories(batch.values[:, where], batch.starts[where], batch.season)
            start, spread = _first_states(part, form)
            place = _first_places(form, len(where))
            found = _scores(part, form, *_decoded(place, form, start, spread))
            scores[number, where] = (found + _prior(place, form)).min(0)
    ranks = scores.argsort(0, kind="stable").argsort(0, kind="stable")
    chosen = (ranks < _FITTED) & np.isfinite(scores)
    chosen[0] |= usable & ~chosen.any(0)  # a level alone, where nothing else is allowed
    return [(form, mask) for form, mask in zip(_FORMS, chosen, strict=True) if mask.any()]


def _first_places(form: SmoothingForm, windows: int) -> Vector:
    """Places (5 or 6, K, W) drawn uniformly, those of the states where the data suggest them."""
    drawn = np.random.default_rng(0).random((_size(form), _TRIED, 1))
    place = np.broadcast_to(drawn, (*drawn.shape[:2], windows)).copy()
    place[4:] = 0.5
    return place


def _scales(batch: Histories) -> Vector:
    """The mean size (W,) of each history, 1 for one of zeros alone: the search is scaled by it."""
    seen = np.isfinite(batch.values)
    total = np.where(seen, np.abs(batch.values), 0.0).sum(0)
    mean = total / np.maximum(seen.sum(0), 1)
    return np.where(mean > 0, mean, 1.0)


def _allows(form: SmoothingForm, batch: Histories) -> Mask:
    """The windows (W,) long enough for a form; relative seasons need values above zero."""
    counts, season = batch.counts, batch.season
    needed = 1 if form.trend == "none" else 4
    allowed = counts >= needed + (form.trend == "damped")
    if form.season == "none":
        return allowed
    if season < 2:
        return np.zeros(len(counts), bool)
    span = len(batch.values) - batch.starts
    allowed = allowed & (span >= 2 * season) & (counts >= season + 5)
    if form.season == "relative":
        allowed = allowed & ~(batch.values <= 0).any(0)
    return allowed


def _best_fit(batch: Histories, form: SmoothingForm) -> _FormFit:
    """The best parameters of a form, of either kind of error, by random search."""
    start, spread = _first_states(batch, form)
    generator = np.random.default_rng(1)
    windows, size = batch.values.shape[1], _size(form)
    place = _first_places(form, windows)
    best = np.full(windows, np.inf)
    centre = place[:, 0].copy()
    for radius in (*_RADII, None):
        score = _scores(batch, form, *_decoded(place, form, start, spread)) + _prior(place, form)
        chosen = score.argmin(0)
        found = np.take_along_axis(score, chosen[None], 0)[0]
        better = found < best
        best = np.where(better, found, best)
        now = np.take_along_axis(place, chosen[None, None], 1)[:, 0]
        centre = np.where(better, now, centre)
        if radius is not None:
            steps = radius * generator.normal(size=(size, _TRIED, 1))
            steps[4:] *= 2
            place = np.clip(centre[:, None] + steps, 0, 1)
    parameters, begun = _decoded(centre[:, None], form, start, spread)
    last = run(batch, form, parameters, begun)
    absolute, relative = _criteria(batch, form, last)
    return _FormFit(best, parameters[:, 0], last, relative[0] < absolute[0])


def _size(form: SmoothingForm) -> int:
    return 5 if form.trend == "none" else 6


def _decoded(
    place: Vector, form: SmoothingForm, start: Start, spread: Vector
) -> tuple[Vector, Start]:
    """Parameters (4, K, W) and first states from places (5 or 6, K, W) between 0 and 1."""
    none = np.zeros(place.shape[1:])
    alpha = 1e-4 + (1 - 2e-4) * place[0] ** 1.5
    beta = alpha * place[1] ** 2 if form.trend != "none" else none
    gamma = (1 - alpha) * place[2] ** 2 if form.season != "none" else none
    phi = none + (0.8 + 0.18 * place[3] if form.trend == "damped" else 1.0)
    level = start.level + spread * 4 * (place[4] - 0.5)
    trend = none
    if form.trend != "none":
        trend = start.trend + spread * (place[5] - 0.5)
    return np.stack([alpha, beta, gamma, phi]), Start(level, trend, start.season)


def _prior(place: Vector, form: SmoothingForm) -> Vector:
    """What is added to AICc (K, W): for a trend that follows the last values, for first states far
    from those of the data, and for a trend that isn't damped.
    """
    total: Vector = _FAR * ((place[4:] - 0.5) ** 2).sum(0)
    if form.trend == "none":
        return total
    total = total + _QUICK * place[1] ** 2
    return total + _LINEAR if form.trend == "linear" else total


def _scores(batch: Histories, form: SmoothingForm, parameters: Vector, start: Start) -> Vector:
    absolute, relative = _criteria(batch, form, run(batch, form, parameters, start))
    best: Vector = np.minimum(absolute, relative)
    return best


def _criteria(batch: Histories, form: SmoothingForm, found: SmoothingRun) -> tuple[Vector, Vector]:
    """AICc (K, W) of additive errors and of relative ones, infinite where they aren't allowed."""
    counts = batch.counts.astype(np.float64)
    states = {"none": 1, "linear": 2, "damped": 2}[form.trend]
    smoothing = {"none": 1, "linear": 2, "damped": 3}[form.trend]
    count = states + smoothing + 1
    if form.season != "none":
        count += batch.season  # a constant and season - 1 first factors
    left = np.maximum(counts - count - 1, 0.5)
    penalty = 2 * count + 2 * count * (count + 1) / left
    floor = 1e-20 * counts
    absolute = counts * np.log((found.squares + floor) / counts) + penalty
    relative = counts * np.log((found.shares + floor) / counts) + 2 * found.logs + penalty
    relative = np.where((batch.values <= 0).any(0), np.inf, relative)
    absolute = np.where(np.isfinite(absolute), absolute, np.inf)
    if form.season == "relative":  # unstable with additive errors
        absolute = np.full_like(absolute, np.inf)
    return absolute, np.where(np.isfinite(relative), relative, np.inf)


def _first_states(batch: Histories, form: SmoothingForm) -> tuple[Start, Vector]:
    """First level and trend by a line through the first values, the season by decomposition, and
    the spread (W,) of the values about the line.
    """
    windows = batch.values.shape[1]
    season = np.zeros((batch.season, windows)) + (form.season == "relative")
    level, trend, spread = (np.zeros(windows) for _ in range(3))
    for window in range(windows):
        history = batch.values[batch.starts[window] :, window]
        if form.season != "none":
            index = season_index(history, batch.season, form.season == "relative")
            if index is not None:
                phases = batch.phases[batch.starts[window] :]
                season[phases[: batch.season], window] = index[: len(phases)]
                own = season[phases, window]
                history = history / own if form.season == "relative" else history - own
        level[window], trend[window], spread[window] = _line(history, max(10, 2 * batch.season))
    return Start(level, trend if form.trend != "none" else np.zeros(windows), season), spread


def _line(history: Vector, first: int) -> tuple[float, float, float]:
    """Level before the first value and slope of a line through the first values, and the spread."""
    steps = np.flatnonzero(np.isfinite(history))[:first]
    values = history[steps]
    if len(steps) < 2:
        return float(values[0]), 0.0, abs(float(values[0])) / 10
    slope, level = np.polyfit(steps + 1.0, values, 1)
    spread = float(np.std(values - level - slope * (steps + 1.0)))
    return float(level), float(slope), max(spread, 1e-6)


def _spread(fit: _FormFit, counts: Ints, point: Vector, season: int, horizon: int) -> Vector:
    """The standard deviations (W, H) of the forecasts."""
    left = np.maximum(counts - 2, 1)
    absolute = np.sqrt(fit.found.squares[0] / left)[:, None]
    shares = np.sqrt(fit.found.shares[0] / left)[:, None] * np.abs(point)
    size = np.where(fit.relative[:, None], shares, absolute)
    spread: Vector = size * growth(fit.parameters, season, horizon)
    return spread
