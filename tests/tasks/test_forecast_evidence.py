"""Intervals that rest on too few held-back windows, and the sentence that says so beforehand."""

import warnings

import numpy as np
import pandas
import pytest
from forecast_toys import config, no_compiling, one, panel_of, table, tiny, wave

from recurra.tasks.forecast import ForecastWarning
from recurra.tasks.forecast.intervals.sample_size import notes_on_intervals

MONTHS = {"horizon": 12, "season": 12, "lookback": 0}  # as the airline passengers are, 144 of them


def told(frame, **settings):
    notes = notes_on_intervals(config(**settings), panel_of(frame, **settings))
    assert len(notes) <= 1
    return "".join(notes)


def test_one_short_series_is_too_little_for_its_intervals():
    found = told(one("a", wave(144)), **MONTHS)
    assert "on 2 held-back windows" in found
    assert "(80 % at least 9, 95 % at least 39)" in found
    assert found.endswith("Give longer or more series, or ask for narrower intervals.")


def test_the_holdback_that_is_told_is_the_least_that_is_enough():
    frame = one("a", wave(144))
    assert "(holdback = 108)" in told(frame, **MONTHS, intervals="80")
    assert told(frame, **MONTHS, intervals="80", holdback=107)
    assert not told(frame, **MONTHS, intervals="80", holdback=108)


@pytest.mark.parametrize(("intervals", "enough"), [("80", 5), ("95", 20), ("50", 2), ("99.5", 200)])
def test_series_add_up(intervals, enough):
    """Each has two windows; ten hold a tail of 1/10, with the one that is to come."""
    for series in {enough, max(enough - 1, 1)}:
        frame = pandas.concat([one(f"s{n}", wave(40, n)) for n in range(series)])
        assert bool(told(frame, intervals=intervals)) == (series < enough)


def test_a_quantile_that_bounds_no_interval_is_named():
    found = told(table(gaps=False), intervals="50", quantiles="0.99")
    assert "(the quantile 0.99 at least 99)" in found


def test_windows_without_a_known_truth_are_no_evidence():
    frame = pandas.concat([one(f"s{n}", wave(40, n)) for n in range(5)])
    assert not told(frame, intervals="80")
    frame.loc[(frame.unique_id == "s0") & (frame.index >= 36), "y"] = np.nan
    frame.loc[frame.unique_id == "s1", "y"] = np.nan
    assert "on 7 held-back windows" in told(frame, intervals="80")


def test_what_is_not_calibrated_rests_on_nothing_held_back():
    frame = one("a", wave(60))
    assert not told(frame, calibrate=False)
    assert told(frame, calibrate=False, loss="mae")
    assert not told(frame, calibrate=False, model="autoregressive")


def test_it_is_told_when_training_begins():
    frame = one("a", wave(60))
    with no_compiling(), pytest.warns(ForecastWarning, match="on 3 held-back windows"):
        tiny(model="direct").fit(frame)
    with no_compiling(), warnings.catch_warnings():
        warnings.simplefilter("error", ForecastWarning)
        tiny(model="direct", calibrate=False).fit(frame)
