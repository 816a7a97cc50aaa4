"""Coverage and width by group and step, by hand and by drawing; scores of intermittent series."""

import math

import numpy as np
import pytest

from recurra.tasks.forecast.evaluation.interval_groups import groups_of, interval_rows
from recurra.tasks.forecast.evaluation.judge import Forecasts, baseline_forecasts, judge
from recurra.tasks.forecast.evaluation.scores import (
    IntervalLevels,
    is_intermittent,
    seasonal_scales,
    squared_scales,
)

NAN = math.nan
EIGHTY = IntervalLevels((0.1, 0.5, 0.9), {80.0: (0, 2)})


def rows_of(actual, quantiles, *, scales=None, whole=None, groups=None, levels=EIGHTY):
    actual, quantiles = np.asarray(actual, float), np.asarray(quantiles, float)
    count = len(actual)
    return interval_rows(
        actual,
        [Forecasts("Model", quantiles[..., 1], quantiles, levels.levels)],
        levels,
        np.ones(count) if scales is None else np.asarray(scales, float),
        np.zeros(count, bool) if whole is None else np.asarray(whole, bool),
        groups or {},
    )


def test_coverage_width_and_score_by_hand():
    """One value inside, one 3 above: the score adds 2 / 0.2 times that."""
    quantiles = [[[0, 1, 2], [0, 1, 4]]]
    all_steps, first, last = rows_of([[1, 7]], quantiles, scales=[2])
    assert (all_steps.group, first.group, last.group) == ("all", "step 1", "step 2")
    assert all_steps.coverage == {80.0: 0.5}
    assert all_steps.width == {80.0: (2 + 4) / 2 / 2}
    assert all_steps.score[80.0] == pytest.approx((2 + 4 + 10 * 3) / 2 / 2)
    assert (first.coverage[80.0], last.coverage[80.0]) == (1, 0)


def test_unknown_values_and_scales_are_left_out():
    quantiles = np.tile([0.0, 1, 2], (2, 1, 1))
    (row,) = rows_of([[1], [NAN]], quantiles, scales=[NAN, 1])
    assert row.coverage[80.0] == 1
    assert math.isnan(row.width[80.0])
    assert row.to_json()["width80"] is None


def test_the_coverage_of_counts_is_that_of_randomised_pit():
    """The exact quantiles of counts spread over their steps cover 80 %; drawn, the same."""
    random = np.random.default_rng(0)
    counts = random.poisson(0.7, (20_000, 1)).astype(float)
    spread = counts + random.random(counts.shape) - 0.5
    bounds = np.quantile(spread, [0.1, 0.5, 0.9])
    quantiles = np.broadcast_to(bounds, (*counts.shape, 3))
    (row,) = rows_of(counts, quantiles, whole=np.ones(len(counts)))
    assert row.coverage[80.0] == pytest.approx(0.8, abs=0.002)
    assert row.coverage[80.0] == pytest.approx(
        ((bounds[0] <= spread) & (spread <= bounds[2])).mean(), abs=0.01
    )


def test_an_interval_of_zeros_covers_no_counts():
    (row,) = rows_of(np.zeros((5, 1)), np.zeros((5, 1, 3)), whole=np.ones(5))
    assert row.coverage[80.0] == 0


def test_groups_are_by_what_the_histories_are():
    histories = [
        np.arange(1.0, 101.0),
        np.arange(1.0, 101.0),
        np.tile([0.0, 0, 2], 33),
        np.append(np.arange(1.0, 100.0), NAN),
        np.arange(1.0, 31.0),
        np.zeros(100),
    ]
    found = {name: np.flatnonzero(mask).tolist() for name, mask in groups_of(histories, 40).items()}
    wanted = {"regular, long": [0, 1], "intermittent": [2], "with gaps": [3]}
    assert found == wanted | {"new": [4], "short": [4]} | {"constant": [5]}


@pytest.mark.parametrize(
    ("history", "wanted"),
    [([0, 0, 1, 0], True), ([1, 2, 0, 3, 4], False), ([0, 0, -1, 0], False), ([0, 0, NAN], False)],
)
def test_demand_is_intermittent_by_its_zeros(history, wanted):
    assert is_intermittent(np.array(history, float)) is wanted


def test_a_scale_that_is_rounding_is_none():
    """0.1 + 0.2 is not 0.3 in binary: no change of the series, and no scale of its errors."""
    history = np.tile([0.3, 0.1 + 0.2], 20)
    assert seasonal_scales([history], 1).tolist() == [0]
    assert squared_scales([history]).tolist() == [0]
    forecasts = baseline_forecasts([history], 1, 1)
    found = judge(np.array([[5.0]]), forecasts, histories=[history], season=1, series=["a"])
    assert found.deciding() == "MAE"
    assert found.left_out["MASE"] == 1


def test_rmsse_and_bias_by_hand():
    """From the first demand on; the bias is of all windows together."""
    history = np.array([0.0, 0, 2, 0, 4])
    assert squared_scales([history]).tolist() == [(4 + 16) / 2]
    model = Forecasts("Model", np.array([[1.0, 1.0], [3.0, 3.0]]))
    actual = np.array([[0.0, 2.0], [1.0, 1.0]])
    row = judge(actual, [model], histories=[history] * 2, season=1, series="ab").table["Model"]
    assert row["RMSSE"] == pytest.approx((1 / math.sqrt(10) + 2 / math.sqrt(10)) / 2)
    assert row["bias"] == pytest.approx(4 / 4)


def test_forecasting_nothing_does_not_win_where_most_is_zero():
    """By MASE zeros beat the mean of intermittent demand; the verdict is by RMSSE."""
    random = np.random.default_rng(1)
    rows = random.poisson(0.3, (200, 60)).astype(float)
    histories, actual = list(rows[:, :48]), rows[:, 48:]
    mean = Forecasts("mean", np.repeat(rows[:, :48].mean(1, keepdims=True), 12, 1))
    nothing = Forecasts("nothing", np.zeros_like(actual))
    found = judge(actual, [mean, nothing], histories=histories, season=1, series=range(len(actual)))
    assert found.table["nothing"]["MASE"] < found.table["mean"]["MASE"]
    assert found.deciding() == "RMSSE"
    assert found.table["mean"]["RMSSE"] < found.table["nothing"]["RMSSE"]
    assert found.table["nothing"]["bias"] == -1
    assert abs(found.table["mean"]["bias"]) < 0.15
    assert "RMSSE" in judge(
        actual,
        [mean, *baseline_forecasts(histories, 1, 12)],
        histories=histories,
        season=1,
        series=range(len(actual)),
    ).verdict("mean")
