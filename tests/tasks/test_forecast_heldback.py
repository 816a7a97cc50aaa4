"""What is told of the held-back part, and of windows that were asked for and aren't there."""

import dataclasses

import numpy as np
import pytest
from forecast_toys import no_compiling, one, table, tiny, wave

from recurra.data.series.read import read_panel
from recurra.errors import DataError
from recurra.tasks.forecast import ForecastWarning
from recurra.tasks.forecast.evaluation.holdout import judged_held_back
from recurra.tasks.forecast.facts import quality_of
from recurra.tasks.forecast.windows.splits import columns_of, held_back, split


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


def test_held_back_windows_are_calibrated_on_others():
    """What a window's own truth says moves the quantiles of other windows, never its own."""
    frame = table((60, 60, 60), gaps=False)
    model = tiny(model="direct", holdback=24).fit(frame)._model
    panel = read_panel(frame, columns_of(model.config))
    origins = held_back(model.config, panel, split(model.config, panel, model.nets[0].lookback))
    before = model.crossed(model.cutter(model.placed(panel)), origins)
    y = panel.y.copy()
    y[-1] += 50
    changed = dataclasses.replace(panel, y=y)
    after = model.crossed(model.cutter(model.placed(changed)), origins)
    moved = (before.quantiles != after.quantiles).any((1, 2))
    knows = (origins.series == 2) & (origins.known > 60 - model.config.horizon - 1)
    assert moved.any()
    assert not moved[knows].any()


def test_coverage_is_not_told_where_windows_all_overlap():
    model = tiny(model="direct", holdback=5)
    frame = one("a", wave(60))
    fitted = model.fit(frame)._model
    found = judged_held_back(fitted, read_panel(frame, columns_of(model.config)))
    assert np.isnan(found.judgement.table["recurra"]["coverage80"])
    assert not np.isnan(found.judgement.table["Naive"]["coverage80"])
    assert "was not measured" in quality_of(found)["coverage"]


def test_more_windows_than_there_are_is_told():
    frame = table((60, 30), gaps=False)
    model = tiny(model="direct").fit(frame)
    with pytest.warns(ForecastWarning, match="windows = 9: 1 of 2 series are too short"):
        model.evaluate(frame, windows=9)
    with pytest.raises(DataError, match="fewer windows, or a smaller step"):
        tiny(model="direct").backtest(frame, windows=40)
