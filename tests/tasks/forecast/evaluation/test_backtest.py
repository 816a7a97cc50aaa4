"""Rolling origins: their places, the values each forecast reads, and odd series."""

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import (
    HORIZON,
    MODELS,
    ahead_of,
    covariates_of,
    no_compiling,
    numbers,
    one,
    panel_of,
    table,
    tiny,
    wave,
    with_covariates,
)

from recurra import Forecaster
from recurra.errors import ConfigError, DataError, RunError
from recurra.tasks.forecast.evaluation.backtest import rolling_origins
from recurra.tasks.forecast.facts import coverage_of, judgement_table

TABLE = table((60, 50))


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


@pytest.fixture(scope="module")
def trained():
    return tiny(model="direct").fit(TABLE)


def cut(frame, back):
    """The table without the last steps of each series."""
    return (
        frame.groupby("unique_id").head(0)
        if back < 0
        else pandas.concat(
            part.iloc[: len(part) - back] for _, part in frame.groupby("unique_id", sort=False)
        )
    )


def forecasts(backtest):
    return np.concatenate([backtest.predicted.point[..., None], backtest.predicted.quantiles], -1)


def in_table(frame):
    """Forecasts of a table, the last series' last, without the names."""
    order = ["recurra", "recurra-lo-95", "recurra-lo-80", "recurra-hi-80", "recurra-hi-95"]
    return frame[order].to_numpy().reshape(-1, HORIZON, 5)


def test_the_intervals_judged_are_those_that_are_forecast():
    model = tiny(model="direct", intervals="80,99.5").fit(TABLE)
    found = model.evaluate(TABLE, windows=2)
    shares = [name for name in found.judgement.table["recurra"] if name.startswith("coverage")]
    assert [f"recurra-lo-{name.removeprefix('coverage')}" for name in shares] == [
        name for name in model.predict().columns if "-lo-" in name
    ]
    assert judgement_table(found.judgement).columns[-2:] == ("in 80 %", "in 99.5 %")
    assert "inside the 99.5 % interval." in coverage_of(found)[1]


def test_origins_are_rolled_back_from_the_end_by_steps():
    found = rolling_origins(panel_of(table((20, 9, 4))).lengths, HORIZON, 3, 2)
    assert list(zip(*map(list, found), strict=True)) == [
        (0, 12),
        (0, 14),
        (0, 16),
        (1, 1),
        (1, 3),
        (1, 5),
    ]
    with pytest.raises(DataError, match="longest has 4"):
        rolling_origins(panel_of(table((4,))).lengths, HORIZON, 3, 2)


def test_actual_values_are_those_after_the_origin(trained):
    found = trained.evaluate(windows=2)
    values = TABLE.y[TABLE.unique_id == "b"].to_numpy()
    np.testing.assert_array_equal(found.actual[2], values[42:46])
    np.testing.assert_array_equal(found.actual[3], values[46:])


def test_what_is_judged_is_what_would_have_been_forecast_then(trained):
    found = forecasts(trained.evaluate(windows=3))[..., [0, 1, 2, 4, 5]]
    for window, back in enumerate((12, 8, 4)):
        then = in_table(trained.predict(cut(TABLE, back)))
        np.testing.assert_allclose(found[window::3], then, rtol=1e-5)


def test_a_backtest_is_of_a_model_that_ended_before_its_first_origin():
    found = forecasts(tiny(model="direct").backtest(TABLE, windows=3))[..., [0, 1, 2, 4, 5]]
    model = tiny(model="direct").fit(cut(TABLE, 12))
    for window, back in enumerate((12, 8, 4)):
        then = in_table(model.predict(cut(TABLE, back)))
        np.testing.assert_allclose(found[window::3], then, rtol=1e-5)


def test_refitting_is_training_again_before_each_origin():
    found = forecasts(tiny(model="direct").backtest(TABLE, windows=2, refit=True))
    for window, back in enumerate((8, 4)):
        then = in_table(tiny(model="direct").fit(cut(TABLE, back)).predict())
        np.testing.assert_allclose(found[window::2][..., [0, 1, 2, 4, 5]], then, rtol=1e-5)


@pytest.mark.parametrize("refit", [False, True])
def test_covariates_too_are_encoded_by_what_came_before(refit):
    """Those after the first origin are of another size: they would move means and deviations."""
    frame, columns = with_covariates(TABLE), covariates_of("direct")
    late = frame.groupby("unique_id").cumcount(ascending=False) < 2 * HORIZON
    frame.loc[late, ["wind", "price"]] = 5 * frame.loc[late, ["wind", "price"]] + 9
    found = forecasts(tiny(model="direct", **columns).backtest(frame, windows=2, refit=refit))
    for window, back in enumerate((8, 4)):
        model = tiny(model="direct", **columns).fit(cut(frame, back if refit else 8))
        after = frame[frame.groupby("unique_id").cumcount(ascending=False) < back]
        then = in_table(model.predict(cut(frame, back), future=after))
        np.testing.assert_allclose(found[window::2][..., [0, 1, 2, 4, 5]], then, rtol=1e-5)


@pytest.mark.parametrize("refit", [False, True])
def test_texts_that_come_later_are_those_of_new_data(refit):
    """Refused where a forecast reads them, and no error where none does."""
    frame = TABLE.assign(sky="fair")
    model = tiny(model="direct", past="sky", max_steps=1)
    frame.loc[frame.groupby("unique_id").tail(HORIZON).index, "sky"] = "wet"
    assert model.backtest(frame, windows=2, refit=refit).predicted.point.shape == (4, HORIZON)
    frame.loc[frame.groupby("unique_id").tail(HORIZON + 2).index, "sky"] = "wet"
    with pytest.raises(DataError, match=r"row 54.*'sky' is 'wet', which training did not have"):
        model.backtest(frame, windows=2)


def test_a_series_without_an_origin_in_a_round_is_trained_on_as_far_as_the_round_knows():
    """`b` is too short for an origin in the first, and `c` begins later than that."""
    frame = pandas.concat(
        [one("a", wave(60)), one("b", wave(34, 1)), one("c", wave(9, 2), "2024-02-01")]
    )
    settings = {"model": "direct", "embedding": 0}
    found = forecasts(tiny(**settings).backtest(frame, windows=2, step=32, refit=True))
    hours = (frame.ds - pandas.Timestamp("2024-01-01")) // pandas.Timedelta("1h")
    first = frame[(hours < 24) & (frame.unique_id != "c")]
    assert first.unique_id.value_counts().tolist() == [24, 24]
    wanted = {0: first, 1: cut(frame, HORIZON)}
    for window, known in wanted.items():
        then = in_table(tiny(**settings).fit(known).predict(known))
        np.testing.assert_allclose(found[window][..., [0, 1, 2, 4, 5]], then[0], rtol=1e-5)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("scaling", ["standard", "last"])
def test_nothing_after_an_origin_changes_its_forecast(model, scaling):
    frame = with_covariates(TABLE)
    changed = frame.copy()
    ends = changed.groupby("unique_id").tail(HORIZON).index
    changed.loc[ends, "y"] = changed.y[ends] * 3 + 50
    settings = {"model": model, "scaling": scaling, "future": "price", "max_steps": 1}
    before, after = (forecasts(tiny(**settings).backtest(f, windows=2)) for f in (frame, changed))
    np.testing.assert_array_equal(before, after)


def test_evaluating_does_not_train(trained):
    net = trained._ready().nets[0]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    trained.evaluate(windows=2)
    assert all((value == before[name]).all() for name, value in net.state_dict().items())


def test_short_odd_and_late_series_do_not_stop_the_others():
    late = wave(60)
    late[:53] = np.nan
    odd = [one("e", [1.0, 2, 5]), one("f", [3.0] * 60), one("g", [np.nan] * 60), one("h", late)]
    frame = pandas.concat([TABLE, *odd])
    found = tiny(model="direct").backtest(frame, windows=2)
    assert set(found.judgement.series) == set("abfgh")
    measured = {name for name, _ in found.judgement.ranked("recurra", "MAE")}
    assert measured == set("abfh")
    assert found.judgement.left_out["history"] == 0
    assert found.judgement.left_out["actual"] == 2


def test_future_covariates_are_those_of_the_table(trained):
    frame = with_covariates(TABLE)
    model = tiny(model="direct", future="price", max_steps=20).fit(frame)
    found = forecasts(model.evaluate(windows=1))[..., [0, 1, 2, 4, 5]]
    ahead = frame.groupby("unique_id").tail(HORIZON)
    then = model.predict(cut(frame, HORIZON), future=ahead)
    np.testing.assert_allclose(found, in_table(then), rtol=1e-5)
    other = model.predict(cut(frame, HORIZON), future=ahead_of(cut(frame, HORIZON)))
    assert not np.allclose(numbers(then), numbers(other))


def test_it_says_whether_the_best_baseline_is_beaten(trained):
    bad = str(trained.evaluate(windows=2))
    assert "no better than" in bad or "beats the best baseline" in bad
    table = trained.evaluate(windows=2).judgement.table
    baselines = ["SeasonalNaiveDrift", "Theta", "ETS"]
    assert list(table) == ["recurra", "Naive", "SeasonalNaive", "Naive2", "SES", *baselines]
    best = min(row["MASE"] for name, row in table.items() if name != "recurra")
    assert ("beats" in bad) == (table["recurra"]["MASE"] < best)


def test_without_baselines_the_figure_stands_alone(trained):
    found = trained.evaluate(TABLE, baselines=False)
    assert list(found.judgement.table) == ["recurra"]
    assert str(found) == f"recurra: MASE {found['MASE']:.4g}; no baseline was judged."
    assert found.to_json()["verdict"] == str(found)
    assert [section.title for section in found.sections] == ["Figures", "Intervals", "Verdict"]


def test_a_loaded_run_is_judged_on_a_table_alone(tmp_path):
    model = tiny(model="direct").fit(TABLE, out=tmp_path / "run")
    again = Forecaster.load(tmp_path / "run")
    with pytest.raises(RunError, match=r"trained on data in memory.* give the data"):
        again.evaluate()
    wanted = forecasts(model.evaluate(windows=2))
    np.testing.assert_array_equal(forecasts(again.evaluate(TABLE, windows=2)), wanted)


@pytest.mark.parametrize("windows", [0, -1])
def test_there_is_at_least_one_window(trained, windows):
    with pytest.raises(ConfigError, match=f"windows = {windows}"):
        trained.evaluate(windows=windows)
    with pytest.raises(ConfigError, match=f"windows = {windows}"):
        trained.backtest(TABLE, windows=windows)
