"""Evaluation on the held-out part, and warnings of windows that are not available."""

import dataclasses

import numpy as np
import pytest
from forecast_helpers.toys import no_compiling, one, table, tiny, wave

from recurra.data.series.read import read_panel
from recurra.errors import DataError
from recurra.tasks.forecast import ForecastWarning
from recurra.tasks.forecast.evaluation.holdout import judge_holdout
from recurra.tasks.forecast.facts import quality_of
from recurra.tasks.forecast.windows.splits import columns_of, holdout_origins, split


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


def test_held_out_windows_are_calibrated_on_others():
    """A window's actual values move the quantiles of other windows, never its own."""
    frame = table((60, 60, 60), gaps=False)
    model = tiny(model="direct", holdback=24).fit(frame)._ready()
    panel = read_panel(frame, columns_of(model.config))
    origins = holdout_origins(
        model.config, panel, split(model.config, panel, model.nets[0].lookback)
    )
    before = model.forecast_crosswise(model.cutter(model.place(panel)), origins)
    y = panel.y.copy()
    y[-1] += 50
    changed = dataclasses.replace(panel, y=y)
    after = model.forecast_crosswise(model.cutter(model.place(changed)), origins)
    moved = (before.quantiles != after.quantiles).any((1, 2))
    knows = (origins.series == 2) & (origins.cutoffs > 60 - model.config.horizon - 1)
    assert moved.any()
    assert not moved[knows].any()


def test_coverage_is_undefined_where_windows_all_overlap():
    model = tiny(model="direct", holdback=5)
    frame = one("a", wave(60))
    fitted = model.fit(frame)._ready()
    found = judge_holdout(fitted, read_panel(frame, columns_of(model.config)))
    assert np.isnan(found.judgement.table["recurra"]["coverage80"])
    assert not np.isnan(found.judgement.table["Naive"]["coverage80"])
    assert "was not measured" in quality_of(found)["coverage"]


def test_fewer_windows_than_requested_are_reported():
    frame = table((60, 30), gaps=False)
    remarks = tiny(model="direct").fit(frame).evaluate(frame, windows=9).remarks
    assert "windows = 9: 1 of 2 series are too short" in remarks[0]
    with (
        pytest.warns(ForecastWarning, match="windows = 40: 2 of 2 series are too short"),
        pytest.raises(DataError, match="fewer windows, or a smaller step"),
    ):
        tiny(model="direct").backtest(frame, windows=40)
