"""Intervals of series that are hard in one way each, and that once ruined their own or others'."""

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import no_compiling

from recurra import Forecaster

STEPS = 200
SMALL = {
    "model": "segments",
    "hidden": 8,
    "max_steps": 60,
    "validate_every": 30,
    "horizon": 7,
    "freq": "D",
}


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


def daily(rows, freq="D"):
    """A table of series s00, s01, ... that all end on the same day."""
    most = max(map(len, rows))
    stamps = pandas.date_range("2023-01-01", periods=most, freq=freq)
    return pandas.concat(
        [
            pandas.DataFrame({"unique_id": f"s{n:02}", "ds": stamps[most - len(row) :], "y": row})
            for n, row in enumerate(rows)
        ],
        ignore_index=True,
    )


def fitted(frame, **settings):
    return Forecaster(**{**SMALL, **settings}).fit(frame)


def without_end(frame, steps):
    return frame[frame.groupby("unique_id").cumcount(ascending=False) >= steps]


def widths(found, percent=95):
    width = found[f"recurra-hi-{percent}"] - found[f"recurra-lo-{percent}"]
    return width.groupby(found.unique_id).mean()


def weekly(seed, swing=5.0, noise=0.4, steps=STEPS):
    random = np.random.default_rng(seed)
    return 50 + swing * np.sin(2 * np.pi * np.arange(steps) / 7) + noise * random.normal(size=steps)


def inside(frame, found, percent):
    """The share of actual values inside an interval, by series."""
    both = found.merge(frame, on=["unique_id", "ds"])
    held = (both[f"recurra-lo-{percent}"] <= both.y) & (both.y <= both[f"recurra-hi-{percent}"])
    return held.groupby(both.unique_id).mean()


@pytest.mark.parametrize("before", [np.nan, 0.0])
def test_late_starters_do_not_widen_the_others(before):
    rows = [weekly(n) for n in range(20)]
    alone = widths(fitted(daily(rows[2:])).predict()).mean()
    for row in rows[:2]:
        row[:180] = before
    found = widths(fitted(daily(rows)).predict())
    assert found.iloc[2:].mean() < 1.5 * alone


@pytest.mark.parametrize("loss", ["mae", "quantiles"])
def test_errors_are_scaled_by_what_a_series_leaves_unexplained(loss):
    """Not by its swing: a large season with little noise, and much noise without a season."""
    rows = [weekly(n, swing=10, noise=0.5) for n in range(25)]
    rows += [weekly(n, swing=0, noise=3) for n in range(25)]
    frame = daily(rows)
    model = fitted(without_end(frame, 14), loss=loss, max_steps=150, hidden=16)
    judged = model.evaluate(frame, windows=2)
    low, high = (judged.levels.index(level) for level in (0.1, 0.9))
    quantiles, actual = judged.predicted.quantiles, judged.actual
    held = (quantiles[..., low] <= actual) & (actual <= quantiles[..., high])
    seasonal = judged.origins.series < 25
    assert 0.68 < held[seasonal].mean() < 0.95
    assert 0.7 < held[~seasonal].mean() < 0.9


def test_after_a_logarithm_bounds_stay_within_sight_of_the_history():
    """One series in eight hardly moves, and then jumps: so far that its errors, on the scale of its
    look-back, would lead the others to infinity.
    """
    rows = []
    for n in range(24):
        random = np.random.default_rng(n)
        steps = int(random.integers(36, 70))
        season = 0.3 * np.sin(2 * np.pi * np.arange(steps) / 12)
        row = np.exp(5 + season + 0.1 * random.normal(size=steps))
        if n % 8 == 0:
            row = row[0] * (1 + 1e-3 * random.normal(size=steps))
            row[-random.integers(2, 16) :] *= 2.5
        rows.append(row)
    settings = {"horizon": 12, "freq": "MS", "loss": "mae", "transform": "log"}
    found = fitted(daily(rows, "MS"), **settings).predict()
    highest = found.groupby("unique_id")["recurra-hi-95"].max().to_numpy()
    assert (highest / [row.max() for row in rows]).max() < 8


@pytest.mark.parametrize(("transform", "loss"), [("none", "mae"), ("log1p", "quantiles")])
def test_one_spike_after_zeros_stays_in_its_own_series(transform, loss):
    rows = [np.random.default_rng(n).poisson(3 + n, 80).astype(float) for n in range(12)]
    settings = {"horizon": 6, "freq": "W", "transform": transform, "loss": loss}
    usual = widths(fitted(daily(rows, "W"), **settings).predict()).mean()
    spike = np.zeros(80)
    spike[-1] = 55_000
    found = fitted(daily([*rows, spike], "W"), **settings).predict()
    own = found.unique_id == "s12"
    assert found[own]["recurra-hi-95"].max() < 4 * 55_000
    assert widths(found[~own]).mean() < 2 * usual


def test_missing_values_at_the_end_widen_intervals():
    rows = []
    for n in range(20):
        random, drift = np.random.default_rng(n), np.zeros(STEPS)
        for step in range(1, STEPS):
            drift[step] = 0.95 * drift[step - 1] + 0.3 * random.normal()
        rows.append(20 + drift)
    frame = daily(rows)
    model = fitted(frame, max_steps=120)
    found = []
    for gap in (0, 5, 40):
        late = frame.groupby("unique_id").cumcount(ascending=False) < gap
        found.append(widths(model.predict(frame.assign(y=frame.y.where(~late))), 80).mean())
    assert found[0] < found[1]
    assert found[2] > 1.1 * found[0]


def test_new_and_interrupted_series_are_covered_as_stated():
    """Levels that wander, of shops that are old, three weeks old, or closed for three weeks."""
    kinds = np.repeat(["old", "new", "closed"], [40, 40, 40])
    whole, known = [], []
    for n, kind in enumerate(kinds):
        random, drift = np.random.default_rng(n), np.zeros(STEPS)
        for step in range(1, STEPS):
            drift[step] = 0.95 * drift[step - 1] + 0.1 * random.normal()
        row = np.exp(random.normal(3, 0.7) + drift) * (1 + 0.1 * random.normal(size=STEPS))
        whole.append(row.copy())
        end = STEPS - 14
        if kind == "closed":
            row[end - random.integers(5, 35) : end] = np.nan
        known.append(row[(end - 21) * (kind == "new") : end])
    frame = daily(whole)
    stamps = sorted(frame.ds.unique())
    table = daily(known)
    table["ds"] = table.ds.max() - (table.ds.max() - table.ds) + (stamps[-15] - table.ds.max())
    model = fitted(table, horizon=14, max_steps=120)
    for percent, tolerance in ((80, 0.13), (95, 0.08)):
        share = inside(frame, model.predict(), percent).groupby(kinds).mean()
        np.testing.assert_allclose(share, percent / 100, atol=tolerance)


def test_counts_get_whole_bounds_that_are_never_negative():
    rates = np.random.default_rng(0).uniform(0.2, 6, 20)
    rows = [np.random.default_rng(n).poisson(rate, 120) for n, rate in enumerate(rates)]
    found = fitted(daily(rows)).predict().filter(like="recurra-")
    assert (found >= 0).all(axis=None)
    assert (found % 1 == 0).all(axis=None)
    assert (found["recurra-hi-95"] > 0).all()


def test_a_usual_count_is_no_anomaly():
    """Where the whole-number bounds of rare demand coincide, one more is not without limit."""
    rows = [np.random.default_rng(n).poisson(0.2, 100) for n in range(8)]
    rows[0][-1] = 9
    found = fitted(daily(rows)).anomalies(last=20)
    assert found[found.y == 0].score.max() < 3
    assert found[found.y == 1].score.median() < 5
    assert found[found.y == 9].score.min() > 3


@pytest.mark.parametrize(("nonnegative", "below"), [("auto", False), ("yes", False), ("no", True)])
def test_forecasts_are_held_at_zero_by_the_history_or_as_told(nonnegative, below):
    random = np.random.default_rng(1)
    rows = [random.exponential(0.5, 80) for _ in range(6)]
    found = fitted(daily(rows), nonnegative=nonnegative, loss="mae").predict()
    assert bool((found.filter(like="recurra") < 0).any(axis=None)) == below


def test_series_that_were_below_zero_may_be_again():
    random = np.random.default_rng(2)
    rows = [random.normal(size=80) for _ in range(6)]
    found = fitted(daily(rows)).predict()
    assert (found["recurra-lo-80"] < 0).all()
