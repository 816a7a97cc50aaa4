"""Judging forecasts: metrics by hand, M4's figures, windows left out, and the verdict."""

import doctest
import json
import math
import sys

import numpy as np
import pandas as pd
import pytest
from forecast_helpers import m4_hourly
from utilsforecast import losses

from recurra.errors import ConfigError, DataError, MissingExtra
from recurra.tasks.forecast.evaluation import judge as forecasts
from recurra.tasks.forecast.evaluation import judge as judging
from recurra.tasks.forecast.evaluation import scores
from recurra.tasks.forecast.evaluation.judge import Forecasts, baseline_forecasts, judge

NAN = math.nan
LEVELS = (0.1, 0.5, 0.9)
RISING = np.array([1.0, 3.0, 2.0, 4.0])  # changes of 2, 1, 2; over two steps 1 and 1


def one(actual, point, *, name="Model", history=RISING, season=1, others=(), **options):
    """Judge one window of one series."""
    found = [Forecasts(name, np.array([point], dtype=float)), *others]
    actual = np.array([actual], dtype=float)
    return judge(actual, found, histories=[history], season=season, series=["a"], **options)


def several(values, *, names=("Model", "Naive"), series=None, history=RISING):
    """Judge models whose errors in windows of one step are given: the actual value is 10."""
    errors = np.array(values, dtype=float)
    found = [Forecasts(n, 10 + e[:, None]) for n, e in zip(names, errors, strict=True)]
    count = errors.shape[1]
    return judge(
        np.full((count, 1), 10.0),
        found,
        histories=[history] * count,
        season=1,
        series=series or range(count),
    )


def probabilistic(name="Model", windows=1, steps=2, levels=LEVELS, seed=0):
    draws = np.sort(np.random.default_rng(seed).normal(size=(windows, steps, len(levels))))
    return Forecasts(name, draws.mean(2), draws, levels)


def test_point_metrics_by_hand():
    row = one([6, 2], [4, 3]).table["Model"]
    assert row["MAE"] == 1.5
    assert row["MSE"] == 2.5
    assert row["RMSE"] == pytest.approx(math.sqrt(2.5))
    assert row["sMAPE"] == pytest.approx(200 * (2 / 10 + 1 / 5) / 2)
    assert row["MASE"] == pytest.approx(1.5 / (5 / 3))


def test_mase_is_scaled_by_the_seasonal_change():
    assert one([6, 2], [4, 3], season=2).table["Model"]["MASE"] == 1.5


def test_unknown_steps_are_not_judged():
    row = one([6, NAN], [4, NAN]).table["Model"]
    assert row["MAE"] == 2
    assert row["sMAPE"] == pytest.approx(40)


def test_unknown_history_steps_are_not_in_the_scale():
    history = np.array([1.0, 3.0, NAN, 4.0, 9.0])
    assert one([6], [4], history=history).table["Model"]["MASE"] == pytest.approx(2 / 3.5)


def test_quantile_metrics_by_hand():
    quantiles = np.array([[[1.0, 2.0, 4.0], [1.0, 3.0, 5.0]]])
    found = judge(
        np.array([[3.0, -1.0]]),
        [Forecasts("Model", quantiles[..., 1], quantiles, LEVELS)],
        histories=[RISING],
        season=1,
        series=["a"],
        intervals=(80,),
    )
    pinball = [0.1 * 2, 0.5 * 1, 0.1 * 1, 0.9 * 2, 0.5 * 4, 0.1 * 6]
    row = found.table["Model"]
    assert row["CRPS"] == pytest.approx(2 * np.mean(pinball))
    assert row["sCRPS"] == pytest.approx(2 * np.mean(pinball) * 2 / 4)
    assert row["wQL"] == pytest.approx(row["sCRPS"])
    assert row["coverage80"] == 0.5


@pytest.mark.parametrize("width", [99.5, 33.33333])
def test_an_interval_of_a_fraction_of_a_percent_is_judged(width):
    levels = tuple(round(0.5 + sign * width / 200, 6) for sign in (-1, 1))
    quantiles = np.array([[[0.0, 4.0], [0.0, 4.0]]])
    model = Forecasts("Model", quantiles.mean(-1), quantiles, levels)
    actual = np.array([[3.0, 5.0]])
    found = judge(actual, [model], histories=[RISING], season=1, series="a", intervals=(width,))
    assert found.table["Model"][f"coverage{width:g}"] == 0.5


def test_wql_weighs_windows_by_their_actual_values():
    actual = np.array([[1.0, NAN], [10.0, 20.0]])
    point = np.zeros((2, 2))
    model = Forecasts("Model", point, point[..., None], (0.5,))
    found = judge(actual, [model], histories=[RISING] * 2, season=1, series="ab", intervals=())
    assert found.windows["Model"]["sCRPS"].tolist() == pytest.approx([1, 1])
    assert found.windows["Model"]["CRPS"].tolist() == [1, 15]
    assert found.table["Model"]["wQL"] == pytest.approx(1)
    assert found.table["Model"]["CRPS"] == 8


def test_each_series_counts_once():
    found = several([[1, 3, 10], [0, 0, 0]], series=["a", "a", "b"])
    assert found.table["Model"]["MAE"] == (2 + 10) / 2
    assert found.ranked("Model", "MAE") == [("b", 10), ("a", 2)]


def test_owa_is_the_mean_of_two_ratios_of_means():
    found = several([[1, 2], [2, 8]], names=("Model", "Naive2"))
    model, naive2 = found.table["Model"], found.table["Naive2"]
    ratios = [model[metric] / naive2[metric] for metric in ("sMAPE", "MASE")]
    assert ratios[1] == pytest.approx(0.3)
    assert model["OWA"] == pytest.approx(sum(ratios) / 2)
    assert naive2["OWA"] == 1


def test_owa_is_absent_without_naive2():
    assert "OWA" not in several([[1], [2]]).table["Model"]


def test_windows_agree_with_utilsforecast_on_frames():
    """MASE, the one metric with a scale of ours, and those that are put back in order."""
    draws = np.random.default_rng(0)
    histories = [draws.normal(size=n) for n in (9, 30, 17)]
    actual, model = draws.normal(size=(3, 4)), probabilistic(windows=3, steps=4)
    found = judge(
        actual, [model], histories=histories, season=3, series="cab", intervals=(80,)
    ).windows["Model"]
    frame = pd.DataFrame({"unique_id": np.repeat(range(3), 4), "y": actual.ravel()})
    frame["m"] = model.point.ravel()
    columns = [f"q{index}" for index in range(3)]
    frame[columns] = model.quantiles.reshape(-1, 3)
    past = [pd.DataFrame({"unique_id": n, "y": h}) for n, h in enumerate(histories)]
    expected = losses.mase(frame, ["m"], 3, pd.concat(past))["m"]
    assert found["MASE"] == pytest.approx(expected.to_numpy())
    crps = losses.scaled_crps(frame, {"m": columns}, np.array(LEVELS))["m"]
    assert found["sCRPS"] == pytest.approx(crps.to_numpy())


def test_the_size_of_a_frame_changes_nothing(monkeypatch):
    actual = np.random.default_rng(1).normal(size=(7, 3))
    actual[2, 1] = NAN
    options = {"histories": [RISING] * 7, "season": 1, "series": range(7), "intervals": (80,)}
    model = probabilistic(windows=7, steps=3)
    whole = judge(actual, [model], **options)
    monkeypatch.setattr(scores, "_STEPS", 6)
    assert judge(actual, [model], **options).to_json() == whole.to_json()


def test_what_can_not_be_judged_is_left_out_and_counted():
    actual = np.array([[NAN], [1.0], [2.0], [3.0]])
    histories = [np.array([]), np.array([NAN]), np.ones(5), RISING]
    point = np.array([[NAN], [NAN], [1.0], [2.0]])
    found = judge(actual, [Forecasts("M", point)], histories=histories, season=1, series="abcd")
    assert found.left_out == {"actual": 1, "history": 1, "MASE": 1, "RMSSE": 1}
    assert found.windows["M"]["MAE"].tolist() == pytest.approx([NAN, NAN, 1, 1], nan_ok=True)
    assert found.by_series["M"].tolist() == pytest.approx([NAN, NAN, NAN, 0.6], nan_ok=True)
    assert found.ranked("M") == [("d", pytest.approx(0.6))]
    assert len(found.notes()) == 3
    assert (
        found.notes()[0] == "All metrics leave out 1 of 4 windows: their actual values are unknown."
    )


def test_actual_values_of_zero_leaves_scaled_crps_out():
    model = probabilistic(steps=1)
    found = judge(np.zeros((1, 1)), [model], histories=[RISING], season=1, series=[0], intervals=())
    assert found.left_out["sCRPS"] == 1
    assert math.isnan(found.table["Model"]["sCRPS"])
    assert math.isnan(found.table["Model"]["wQL"])
    assert found.table["Model"]["CRPS"] > 0


def test_nothing_over_nothing_is_not_an_error():
    assert one([0, 5], [0, 5]).table["Model"]["sMAPE"] == 0


def test_no_window_at_all_is_refused():
    with pytest.raises(DataError, match="None of the 1 windows"):
        one([NAN], [1])


def test_the_verdict_names_the_better_baseline_and_both_figures():
    found = several([[3], [2], [4]], names=("Recurra", "Naive", "SES"))
    assert found.best_baseline() == "Naive"
    assert found.verdict("Recurra").startswith(
        "Recurra's forecasts are no better than repeating the last value (Naive): MASE 1.8 against "
        "1.2; use that instead"
    )


def test_the_verdict_says_by_how_much_a_model_wins():
    found = several([[1.5], [4], [2]], names=("Recurra", "Naive", "SES"))
    assert found.verdict("Recurra") == (
        "Recurra beats the best baseline, SES (exponential smoothing, seasonally adjusted), by "
        "25.0 %: MASE 0.9 against 1.2."
    )


def test_a_tie_is_not_a_win():
    assert "no better than" in several([[2], [2]]).verdict("Model")
    assert "no better than" in several([[0], [0]]).verdict("Model")


def test_the_metric_asked_for_decides():
    found = several([[0, 4], [2.5, 2.5]])
    assert "Model beats" in found.verdict("Model")
    assert "no better" in found.verdict("Model", "MSE")
    assert "MSE 8 against 6.25" in found.verdict("Model", "MSE")


def test_mae_decides_where_mase_is_undefined():
    found = several([[1], [2]], history=np.ones(9))
    assert found.left_out["MASE"] == 1
    assert found.deciding() == "MAE"
    assert found.verdict("Model").endswith("by 50.0 %: MAE 1 against 2.")
    assert found.by_series["Model"].tolist() == [1]


def test_a_baseline_is_held_to_the_others():
    found = several([[1], [2]], names=("SES", "Naive"))
    assert found.verdict("SES").startswith("SES beats the best baseline, Naive")


def test_what_can_not_be_ranked_is_refused():
    found = several([[1], [2]])
    with pytest.raises(ConfigError, match="'Nobody' was not judged; choose from Model, Naive"):
        found.verdict("Nobody")
    with pytest.raises(ConfigError, match="can't be ranked by 'coverage80'"):
        found.verdict("Model", "coverage80")
    with pytest.raises(DataError, match="No baseline was judged by MASE"):
        one([6], [4]).verdict("Model")


def test_json_has_no_nan():
    found = several([[1, 2], [2, 3]], history=np.ones(9), series=["a", "a"])
    read = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert read["table"]["Model"]["MASE"] is None
    assert read["table"]["Model"]["MAE"] == 1.5
    assert (read["windows"], read["series"], read["left_out"]["MASE"]) == (2, 1, 2)


def test_baselines_come_ready_to_be_judged():
    histories = [np.arange(12.0) % 4 + 1, np.arange(5.0)]
    found = baseline_forecasts(histories, 4, 3, LEVELS)
    assert [f.point.shape for f in found] == [(2, 3)] * 7
    assert [f.quantiles.shape for f in found] == [(2, 3, 3)] * 7
    table = judge(
        np.ones((2, 3)), found, histories=histories, season=4, series="ab", intervals=(80,)
    ).table
    strong = ["SeasonalNaiveDrift", "Theta", "ETS"]
    assert list(table) == ["Naive", "SeasonalNaive", "Naive2", "SES", *strong]
    assert baseline_forecasts(histories, 4, 3)[0].quantiles is None


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        (
            {"series": "ab"},
            DataError,
            "1 windows of actual values come with 1 histories and 2 names",
        ),
        ({"season": 0}, ConfigError, "season = 0"),
        ({"actual": np.ones(2)}, DataError, r"have the shape \(2,\)"),
        ({"actual": np.array([[1, np.inf]])}, DataError, "of 'a' is infinite 2 steps after"),
        ({"actual": np.ones((1, 3))}, DataError, r"shape \(1, 2\).* need \(1, 3\)"),
        ({"intervals": (95,)}, ConfigError, "95 % needs the levels 0.025 and 0.975"),
        ({"forecasts": []}, ConfigError, "give at least one"),
    ],
)
def test_bad_arguments_are_named(changed, error, message):
    given = {"actual": np.ones((1, 2)), "forecasts": [probabilistic()], "series": "a"}
    given |= {"histories": [RISING], "season": 1, "intervals": (80,)} | changed
    with pytest.raises(error, match=message):
        judge(given.pop("actual"), given.pop("forecasts"), **given)


@pytest.mark.parametrize(
    ("bad", "error", "message"),
    [
        (probabilistic(levels=(0.2, 0.5)), ConfigError, "B has the levels .* and A has"),
        (probabilistic(levels=(0.9, 0.5, 0.1)), ConfigError, "must ascend between 0 and 1"),
        (Forecasts("B", np.array([[1, NAN]])), DataError, "B's forecast for step 2 of window 0"),
        (Forecasts("A", np.ones((1, 2))), ConfigError, r"named \['A', 'A'\]"),
    ],
)
def test_bad_forecasts_are_named(bad, error, message):
    name = bad.name.replace("Model", "B")
    pair = [probabilistic("A"), Forecasts(name, bad.point, bad.quantiles, bad.levels)]
    with pytest.raises(error, match=message):
        judge(np.ones((1, 2)), pair, histories=[RISING], season=1, series="a", intervals=(80,))


def test_quantiles_that_are_not_finite_are_named():
    bad = probabilistic()
    bad.quantiles[0, 1, 2] = np.inf
    with pytest.raises(DataError, match="Model's forecast for step 2 of window 0 is not finite"):
        one([1, 2], [1, 2], name="Other", others=[bad], intervals=())


def test_without_utilsforecast_the_remedy_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "utilsforecast", None)
    with pytest.raises(MissingExtra, match=r"needs utilsforecast.*recurra\[forecast\]"):
        one([1], [1])


@pytest.mark.parametrize("module", [judging, forecasts])
def test_examples(module):
    found = doctest.testmod(module, extraglobs={"np": np})
    assert found.attempted
    assert not found.failed


@pytest.mark.data
def test_m4s_published_figures_come_out(real_data):
    """Of the submitted forecasts and of ours: "Evaluation and Ranks.xlsx" of M4's repository."""
    histories = m4_hourly.read(real_data, "hourly_train.csv")
    submitted = [
        Forecasts(f"M4 {name}", np.stack(m4_hourly.read(real_data, f"hourly_forecast_{name}.csv")))
        for name in ("naive2", "snaive", "ses")
    ]
    ours = baseline_forecasts(histories, 24, 48)
    actual = np.stack(m4_hourly.read(real_data, "hourly_test.csv"))
    found = judge(actual, submitted + ours, histories=histories, season=24, series=range(414))
    published = {
        "Naive": (43.003, 11.608, 3.593),
        "Naive2": (18.383, 2.395, 1),
        "SeasonalNaive": (13.912, 1.193, 0.627),
        "SES": (18.094, 2.385, 0.990),
    }
    twins = {"M4 naive2": "Naive2", "M4 snaive": "SeasonalNaive", "M4 ses": "SES"}
    checked = [name for name in found.table if twins.get(name, name) in published]
    assert len(checked) == 7
    for name in checked:
        figures = [found.table[name][metric] for metric in ("sMAPE", "MASE", "OWA")]
        assert figures == pytest.approx(published[twins.get(name, name)], abs=6e-4), name
    assert found.best_baseline("OWA") == "LagRegression"
    assert not any(found.left_out.values())


@pytest.mark.parametrize(
    ("point", "spread", "said"),
    [
        (10.5, 0.5, None),
        (10.5, 90.0, "As distributions its forecasts are no better than those of Naive"),
        (11.5, 0.01, None),
    ],
)
def test_a_verdict_says_where_distributions_lose_what_points_win(point, spread, said):
    levels = (0.1, 0.5, 0.9)
    actual, history = np.full((4, 2), 10.0), np.array([8.0, 9.0, 8.0, 11.0])

    def forecasts(name, point, spread):
        values = np.full((4, 2), point)
        return Forecasts(name, values, values[..., None] + spread * np.array([-1, 0, 1]), levels)

    found = judge(
        actual,
        [forecasts("recurra", point, spread), forecasts("Naive", 11.0, 1.0)],
        histories=[history] * 4,
        season=1,
        series=list("abcd"),
        intervals=(80,),
    )
    verdict = found.verdict("recurra")
    assert ("As distributions" in verdict) == (said is not None)
    assert said is None or said in verdict
