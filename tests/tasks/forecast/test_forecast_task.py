"""The task from Python: tables in, forecasts out, and what stands in the way of that."""

import copy
import re

import numpy as np
import pandas
import polars
import pytest
import torch
from forecast_helpers.toys import (
    HORIZON,
    MODELS,
    ahead_of,
    covariates_of,
    few_samples,
    no_compiling,
    numbers,
    one,
    table,
    tiny,
    wave,
    with_covariates,
)

from recurra import Forecaster
from recurra.errors import CellError, ConfigError, RunError
from recurra.tasks.forecast.task import Forecast
from recurra.training import Run

TABLE = table()


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


@pytest.fixture(scope="module", params=MODELS)
def full(request, tmp_path_factory):
    """A forecaster of each model, trained on all covariates that it reads, and their tables."""
    frame = with_covariates(TABLE)
    model = tiny(model=request.param, **covariates_of(request.param))
    model.fit(frame, out=tmp_path_factory.mktemp(request.param) / "run")
    return model, frame, ahead_of(frame)


@pytest.fixture(scope="module")
def simple():
    return tiny(model="direct").fit(TABLE)


def same(first, second):
    pandas.testing.assert_frame_equal(first, second, check_exact=True)


def close(first, second):
    pandas.testing.assert_frame_equal(first.reset_index(drop=True), second, rtol=1e-5)


# --- Answers


def test_forecasts_are_of_the_steps_after_each_series(simple):
    found = simple.predict()
    bands = [f"recurra-{side}-{width}" for width in (80, 95) for side in ("lo", "hi")]
    assert found.columns.tolist() == ["unique_id", "ds", "recurra", *bands]
    assert found.unique_id.tolist() == [name for name in "abc" for _ in range(HORIZON)]
    for name, part in TABLE.groupby("unique_id"):
        ahead = pandas.date_range(part.ds.max(), periods=HORIZON + 1, freq="h")[1:]
        assert found.ds[found.unique_id == name].tolist() == ahead.tolist()


def test_intervals_nest(simple):
    order = ["recurra-lo-95", "recurra-lo-80", "recurra-hi-80", "recurra-hi-95"]
    assert (np.diff(simple.predict()[order].to_numpy()) >= 0).all()


def test_columns_keep_their_names_and_ids_their_type():
    frame = TABLE.assign(unique_id=TABLE.unique_id.map(ord)).rename(
        columns={"unique_id": "shop", "ds": "hour", "y": "sold"}
    )
    names = {"id": "shop", "time": "hour", "target": "sold"}
    found = tiny(intervals="", quantiles="0.3", **names).fit(frame).predict()
    assert found.columns.tolist() == ["shop", "hour", "recurra", "recurra-q0.3"]
    assert found["shop"].unique().tolist() == [97, 98, 99]
    assert found["shop"].dtype == np.int64


@pytest.mark.parametrize("layout", ["wide", "rows"])
def test_layouts_are_the_same_series(layout):
    values = np.stack([wave(30, seed) for seed in range(2)])
    stamps = pandas.date_range("2024-01-01", periods=30, freq="h")
    wide = pandas.DataFrame({"ds": stamps, "a": values[0], "b": values[1]})
    rows = pandas.DataFrame(values).assign(name=["a", "b"]).set_index("name").reset_index()
    given = {"wide": (wide, {}), "rows": (rows, {"freq": "1", "id": "name"})}[layout]
    long = pandas.concat([one("a", values[0]), one("b", values[1])])
    settings = {"calendar": False, "model": "direct"}
    found = tiny(layout=layout, **settings, **given[1]).fit(given[0]).predict()
    np.testing.assert_array_equal(numbers(found), numbers(tiny(**settings).fit(long).predict()))


def test_polars_in_polars_out(simple, tmp_path):
    model = tiny(model="direct").fit(polars.from_pandas(TABLE), out=tmp_path / "run")
    for found in (model.predict(), Forecaster.load(tmp_path / "run").predict(), model.sample()):
        assert isinstance(found, polars.DataFrame)
    wanted = polars.from_pandas(simple.predict())
    assert model.predict().equals(wanted)
    assert model.predict().schema["unique_id"] == polars.String


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_files_are_read(simple, suffix, tmp_path):
    path = tmp_path / f"data.{suffix}"
    TABLE.to_csv(path, index=False) if suffix == "csv" else TABLE.to_parquet(path)
    np.testing.assert_array_equal(
        numbers(tiny(model="direct").fit(path).predict()), numbers(simple.predict())
    )


def test_paths_are_numbered_and_belong_to_one_another(full):
    model, _, ahead = full
    found = model.sample(paths=40, future=ahead, seed=2)
    assert len(found) == 3 * HORIZON * 40
    assert found.columns.tolist() == ["unique_id", "ds", "sample_id", "recurra"]
    assert (found.groupby(["unique_id", "ds"]).sample_id.nunique() == 40).all()
    same(found, model.sample(paths=40, future=ahead, seed=2))
    wide = found.pivot_table(index="ds", columns="sample_id", values="recurra", aggfunc="mean")
    shorter = model.sample(paths=40, future=ahead, seed=2, horizon=1)
    part = found[found.ds.isin(shorter.ds)].merge(shorter, on=["unique_id", "ds", "sample_id"])
    np.testing.assert_array_equal(part.recurra_x, part.recurra_y)
    assert wide.shape[1] == 40


def test_fewer_steps_are_the_first_of_all(simple):
    short = simple.predict(horizon=2)
    first = simple.predict().groupby("unique_id").head(2).reset_index(drop=True)
    same(short, first)


@pytest.mark.parametrize("horizon", [0, HORIZON + 1])
def test_another_horizon_than_the_trained_is_refused(simple, horizon):
    with pytest.raises(ConfigError, match=f"horizon = {horizon}.*1 to {HORIZON}"):
        simple.predict(horizon=horizon)


# --- The same again


def test_a_loaded_run_predicts_the_same(full):
    model, _, ahead = full
    again = Forecaster.load(model.run.path)
    same(again.predict(future=ahead), model.predict(future=ahead))
    same(again.sample(future=ahead), model.sample(future=ahead))


def test_the_same_table_given_again_predicts_the_same(full):
    model, frame, ahead = full
    for given in (model, Forecaster.load(model.run.path)):
        same(given.predict(frame, future=ahead), model.predict(future=ahead))


def test_the_order_of_rows_is_that_of_series_and_no_more(simple):
    shuffled = TABLE.sample(frac=1.0, random_state=1)
    found = simple.predict(shuffled)
    assert found.unique_id.unique().tolist() == shuffled.unique_id.unique().tolist()
    close(found.sort_values(["unique_id", "ds"]), simple.predict())


@pytest.mark.parametrize("scaling", ["standard", "last"])
def test_what_a_run_keeps_of_its_series_is_enough(scaling, tmp_path):
    quiet = one("d", [*wave(30), *[7.0] * 25])
    silent = one("e", [*wave(30), *[np.nan] * 25])
    frame = pandas.concat([TABLE, quiet, silent])
    model = tiny(scaling=scaling).fit(frame, out=tmp_path / "run")
    same(Forecaster.load(tmp_path / "run").predict(), model.predict())
    assert model.predict().notna().all(axis=None)


@pytest.mark.parametrize("model", MODELS)
def test_the_same_seed_gives_the_same_bits(model, tmp_path):
    for number, seed in enumerate((5, 5, 6)):
        tiny(model=model, seed=seed).fit(TABLE, out=tmp_path / str(number))
    bits = [(tmp_path / str(n) / "model.safetensors").read_bytes() for n in range(3)]
    assert bits[0] == bits[1] != bits[2]


def interrupted_at(at, loss):
    """The loss with Ctrl-C at so many calls."""
    calls = iter(range(100))

    def interrupting(*given):
        if next(calls) == at:
            raise KeyboardInterrupt
        return loss(*given)

    return interrupting


IN_STAGES = {"ensemble": 2, "dropout": 0.3, "model": "direct", "max_steps": 4, "final_steps": 2}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A training of every stage that is never stopped."""
    return tiny(**IN_STAGES).fit(TABLE, out=tmp_path_factory.mktemp("stages") / "whole")


@pytest.mark.parametrize("at", [2, 5, 9, 11])
def test_a_resumed_training_is_as_if_never_stopped(whole, at, tmp_path, monkeypatch):
    """Interrupted in the first member, the second, and in the final steps of each."""
    monkeypatch.setattr(Forecast, "loss", interrupted_at(at, Forecast.loss))
    stopped = tiny(**IN_STAGES).fit(TABLE, out=tmp_path / "run")
    assert stopped.results[-1].stopped == "interrupted"
    with pytest.raises(RunError, match="interrupted after"):
        stopped.predict()
    with pytest.raises(RunError, match=r"not trained to its end.* --resume"):
        Forecaster.load(tmp_path / "run")
    monkeypatch.undo()
    with no_compiling():
        again = tiny(**IN_STAGES).fit(TABLE, out=tmp_path / "run", resume=True)
    same(again.predict(), whole.predict())
    bits = [(run.run.path / "model.safetensors").read_bytes() for run in (again, whole)]
    assert bits[0] == bits[1]


def test_final_steps_are_on_the_held_out_part_and_leave_its_judgement_alone():
    """The judged and calibrated model doesn't know the last values; the one that forecasts does."""
    other, ends = TABLE.copy(), TABLE.groupby("unique_id").ds.transform("max")
    last = ends - other.ds < pandas.Timedelta("8h")
    other.loc[last, "y"] += np.random.default_rng(0).normal(size=last.sum())
    plain, plain_other, final, final_other = (
        tiny(model="direct", validate_every=None, final_steps=steps).fit(frame)._ready()
        for steps in (0, 3)
        for frame in (TABLE, other)
    )

    def weight(model):
        return model.nets[0].recurrent.W_l0

    assert plain.before is plain_other.before is None
    assert torch.equal(weight(plain), weight(plain_other))
    assert not torch.equal(weight(final), weight(final_other))
    for model, judged in ((final, plain), (final_other, plain_other)):
        assert torch.equal(weight(model.before), weight(judged))
        assert not torch.equal(weight(model), weight(judged))
        np.testing.assert_array_equal(model.calibration.offsets, judged.calibration.offsets)


def test_a_run_is_resumed_with_its_own_settings_and_data_alone(tmp_path):
    tiny(model="direct").fit(TABLE, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"hidden = 9 was given.* hidden = 8"):
        tiny(model="direct", hidden=9).fit(TABLE, out=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="differs from what"):
        tiny(model="direct").fit(TABLE.assign(y=TABLE.y + 1), out=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="holds another run"):
        tiny(model="direct").fit(TABLE, out=tmp_path / "run")
    with pytest.raises(ConfigError, match=r"resume = true.*overwritten"):
        tiny().fit(TABLE, out=tmp_path / "run", resume=True, overwrite=True)


def test_a_run_of_another_task_is_named(tmp_path):
    Run.create(tmp_path / "run", {"task": "language"})
    with pytest.raises(RunError, match="task 'language'"):
        Forecaster.load(tmp_path / "run")


def test_training_that_was_interrupted_leaves_no_older_model(monkeypatch):
    model = tiny(model="direct").fit(TABLE)
    monkeypatch.setattr(Forecast, "loss", interrupted_at(0, Forecast.loss))
    with pytest.raises(RunError, match="interrupted after"):
        model.fit(TABLE).predict()


def test_the_bar_counts_values(capsys):
    tiny(model="direct", max_steps=1).fit(TABLE, progress=True)
    shown = capsys.readouterr().err
    assert " values/s · " in " ".join(shown.split())
    assert "tokens" not in shown


def test_the_size_that_fits_a_cell_of_equal_widths_is_named():
    with pytest.raises(CellError, match="has 7 and hidden = 8; give hidden = 7") as refused:
        tiny(model="direct", cell="rglru").fit(TABLE)
    hidden = int(re.search(r"give hidden = (\d+)", str(refused.value))[1])
    tiny(model="direct", cell="rglru", hidden=hidden).fit(TABLE)


def test_an_untrained_model_says_what_to_call():
    with pytest.raises(RunError, match="call fit"):
        tiny().predict()


# --- As scikit-learn expects


def clone(estimator):
    """What scikit-learn's clone does, its check of identity included."""
    given = {k: copy.deepcopy(v) for k, v in estimator.get_params(deep=False).items()}
    made = type(estimator)(**given)
    kept = made.get_params(deep=False)
    assert all(given[name] is kept[name] for name in given)
    return made


def test_a_clone_has_the_settings_and_no_training(simple):
    listed = Forecaster(
        horizon=3,
        intervals=[80, 90],
        future=["a"],
        max_steps="none",
        max_minutes=1.0,
        schedule="constant",
    )
    assert clone(listed).config == listed.config
    again = clone(simple)
    with pytest.raises(RunError, match="call fit"):
        again.predict()
    same(again.fit(TABLE).predict(), simple.predict())


def test_set_params_changes_settings_and_forgets_training():
    model = tiny(model="direct").fit(TABLE)
    assert model.set_params(horizon=2, hidden=5) is model
    assert (model.get_params()["horizon"], model.config.hidden, model.config.lookback) == (2, 5, 18)
    with pytest.raises(RunError, match="call fit"):
        model.predict()
    with pytest.raises(ConfigError, match="hiden"):
        model.set_params(hiden=3)
    assert "horizon=2" in repr(model)


def test_get_params_has_every_setting():
    params = tiny().get_params()
    assert set(params) == set(vars(tiny().config))
    assert (params["hidden"], params["cell"]) == (8, "gru")


@pytest.mark.parametrize("model", MODELS)
def test_a_sine_is_learnt_better_than_by_repeating_its_season(model):
    drift = 0.1 * np.arange(240)
    frame = pandas.concat([one(n, drift + wave(240, k, noise=0.2)) for k, n in enumerate("ab")])
    settings = {"hidden": 16, "max_steps": 150, "batch_size": 16, "learning_rate": 0.02}
    settings |= {"lookback": 12, "embedding": 0, "dropout": 0.0, "calendar": False}
    found = tiny(model=model, validate_every=50, **few_samples(model, 60), **settings)
    scores = found.fit(frame).evaluate(frame, windows=10).judgement.table
    for metric in ("MAE", "CRPS"):
        assert scores["recurra"][metric] < 0.7 * scores["SeasonalNaive"][metric]


def test_a_finished_run_that_is_cut_short_again_is_not_loaded(tmp_path, monkeypatch):
    frame = table()
    tiny(model="direct", max_steps=2).fit(frame, out=tmp_path / "run")
    Forecaster.load(tmp_path / "run")
    monkeypatch.setattr(Forecast, "loss", interrupted_at(1, Forecast.loss))
    again = tiny(model="direct", max_steps=6)
    again.fit(frame, out=tmp_path / "run", resume=True)
    assert again.results[-1].stopped == "interrupted"
    with pytest.raises(RunError, match="not trained to its end"):
        Forecaster.load(tmp_path / "run")
    monkeypatch.undo()
    again.fit(frame, out=tmp_path / "run", resume=True)
    Forecaster.load(tmp_path / "run")
