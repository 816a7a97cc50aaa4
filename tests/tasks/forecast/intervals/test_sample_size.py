"""Intervals that rest on too few held-out windows, and the warning of it before training."""

import warnings

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import config, no_compiling, one, panel_of, table, tiny, wave

from recurra.tasks.forecast import ForecastWarning
from recurra.tasks.forecast.intervals.sample_size import interval_warnings

MONTHS = {"horizon": 12, "season": 12, "lookback": 0}  # as the airline passengers are, 144 of them


def warning_of(frame, **settings):
    notes = interval_warnings(config(**settings), panel_of(frame, **settings))
    assert len(notes) <= 1
    return "".join(notes)


def test_one_short_series_is_too_little_for_its_intervals():
    found = warning_of(one("a", wave(144)), **MONTHS)
    assert "on 2 held-out windows" in found
    assert "(80 % needs 9, 95 % needs 39)" in found
    assert found.endswith("Give longer or more series, or ask for narrower intervals.")


def test_the_holdback_of_the_remedy_is_the_least_that_is_enough():
    frame = one("a", wave(144))
    assert "(holdback = 108)" in warning_of(frame, **MONTHS, intervals="80")
    assert warning_of(frame, **MONTHS, intervals="80", holdback=107)
    assert not warning_of(frame, **MONTHS, intervals="80", holdback=108)


@pytest.mark.parametrize(("intervals", "enough"), [("80", 5), ("95", 20), ("50", 2), ("99.5", 200)])
def test_series_add_up(intervals, enough):
    """Each has two windows; ten hold a tail of 1/10, with the one that is to come."""
    for series in {enough, max(enough - 1, 1)}:
        frame = pandas.concat([one(f"s{n}", wave(40, n)) for n in range(series)])
        assert bool(warning_of(frame, intervals=intervals)) == (series < enough)


def test_a_quantile_that_bounds_no_interval_is_named():
    found = warning_of(table(gaps=False), intervals="50", quantiles="0.99")
    assert "(the quantile 0.99 needs 99)" in found


def test_windows_without_actual_values_are_not_counted():
    frame = pandas.concat([one(f"s{n}", wave(40, n)) for n in range(5)])
    assert not warning_of(frame, intervals="80")
    frame.loc[(frame.unique_id == "s0") & (frame.index >= 36), "y"] = np.nan
    frame.loc[frame.unique_id == "s1", "y"] = np.nan
    assert "on 7 held-out windows" in warning_of(frame, intervals="80")


def test_without_calibration_there_is_no_warning():
    frame = one("a", wave(60))
    assert not warning_of(frame, calibrate=False)
    assert warning_of(frame, calibrate=False, loss="mae")
    assert not warning_of(frame, calibrate=False, model="autoregressive")


def test_the_warning_comes_when_training_begins():
    frame = one("a", wave(60))
    with no_compiling(), pytest.warns(ForecastWarning, match="on 3 held-out windows"):
        tiny(model="direct").fit(frame)
    with no_compiling(), warnings.catch_warnings():
        warnings.simplefilter("error", ForecastWarning)
        tiny(model="direct", calibrate=False).fit(frame)
