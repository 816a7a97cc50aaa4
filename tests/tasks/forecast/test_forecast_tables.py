"""Tables with covariates, odd series, and values that are refused."""

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
    table,
    tiny,
    wave,
    with_covariates,
)

from recurra.errors import ConfigError, DataError
from recurra.tasks.forecast import ForecastWarning

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


# --- Covariates


@pytest.mark.parametrize("column", ["wind", "price", "kind", "size"])
def test_each_covariate_changes_what_is_forecast(column):
    frame = with_covariates(TABLE)
    settings = {"model": "direct", "future": "price", "past": "wind", "static": "kind,size"}
    model = tiny(**settings, max_steps=20, learning_rate=0.02).fit(frame)
    swapped = {"shop": "web", "web": "shop"}
    changed = frame.kind.map(swapped) if column == "kind" else frame[column] + 1
    before, after = (
        model.predict(given, future=ahead_of(frame))
        for given in (frame, frame.assign(**{column: changed}))
    )
    assert (before.recurra != after.recurra).all()


def test_covariates_of_the_steps_ahead_change_what_is_forecast():
    frame = with_covariates(TABLE)
    model = tiny(model="direct", future="price", max_steps=20).fit(frame)
    found = [model.predict(future=ahead_of(frame, seed=seed)).recurra for seed in (1, 2)]
    assert (found[0] != found[1]).all()


def test_covariates_missing_ahead_are_named(full):
    model, frame, ahead = full
    with pytest.raises(ConfigError, match=f"reads price ahead.*{HORIZON} steps"):
        model.predict(frame)
    with pytest.raises(DataError, match=r"series 'a' has no row for 2024-01-03 1[0-9].*price"):
        model.predict(frame, future=ahead[1:])


def test_covariates_ahead_that_nothing_reads_are_refused(simple):
    with pytest.raises(ConfigError, match="future"):
        simple.predict(future=ahead_of(TABLE))


def test_static_covariates_may_come_in_a_table_of_their_own():
    frame = with_covariates(TABLE)
    side = frame[["unique_id", "kind", "size"]].drop_duplicates()
    inside = tiny(model="direct", static="kind,size").fit(frame).predict()
    outside = tiny(model="direct", static="kind,size").fit(TABLE, static=side).predict()
    same(inside, outside)


# --- What the data are like


def test_series_that_cannot_be_forecast_as_well_are_named_and_all_others_are_forecast():
    odd = [one("e", [np.nan] * 40), one("f", [3.25] * 40), one("g", [1.0, 2.0, 5.0])]
    frame = pandas.concat([TABLE, *odd])
    with pytest.warns(ForecastWarning) as caught:
        model = tiny(model="direct").fit(frame)
    messages = " ".join(str(note.message) for note in caught)
    for words in (
        r"1 series (e) have no values",
        "1 series (f) are constant",
        "1 series (g) are shorter",
    ):
        assert words in messages
    found = {name: numbers(part) for name, part in model.predict().groupby("unique_id")}
    assert np.isnan(found.pop("e")).all()
    assert (found.pop("f") == 3.25).all()
    assert all(np.isfinite(part).all() for part in found.values())


def test_series_that_were_not_trained_on_are_named_and_forecast(simple):
    new = one("x", wave(30, 5))
    with pytest.warns(ForecastWarning, match=r"1 series \(x\) were not in the training data"):
        found = simple.predict(pandas.concat([TABLE, new]))
    assert np.abs(found.recurra[found.unique_id == "x"] - 35).max() < 10
    close(found[found.unique_id != "x"], simple.predict())


def test_one_value_is_not_taken_for_a_constant(simple):
    with pytest.warns(ForecastWarning):
        found = simple.predict(one("a", [12.0]))
    assert (found["recurra-hi-95"] > found["recurra-lo-95"]).all()


def test_nothing_to_train_on_is_an_error():
    """Without a warning of short or missing series."""
    with pytest.raises(DataError, match=r"longest has 4 steps.*at least 5"):
        tiny().fit(one("a", [1, 2, 3, 4]))
    with pytest.raises(DataError, match=r"No series has any value.*all of the target"):
        tiny().fit(one("a", [np.nan] * 60))


def test_infinite_values_are_named_with_their_row():
    frame = one("a", [*wave(30), np.inf, 1.0])
    with pytest.raises(DataError, match=r"inf.*row 32|row 32.*inf|inf.*row 30|row 30.*inf"):
        tiny().fit(frame)


@pytest.mark.parametrize("how", ["log", "log1p"])
def test_values_without_a_logarithm_are_refused_before_training(how, tmp_path):
    frame = TABLE.assign(y=TABLE.y - 11)
    with pytest.raises(DataError, match=f"transform = '{how}' needs values"):
        tiny(transform=how).fit(frame, out=tmp_path / "run")


def test_counts_need_the_scaling_of_counts():
    settings = {"model": "autoregressive", "distribution": "negative-binomial"}
    with pytest.raises(ConfigError, match="scaling = 'mean'"):
        tiny(**settings).fit(TABLE)
    counts = TABLE.assign(y=TABLE.y.round())
    found = tiny(scaling="mean", calibrate=False, **settings).fit(counts).sample(paths=20)
    np.testing.assert_allclose(found.recurra, found.recurra.round(), atol=1e-4)
    assert (found.recurra >= 0).all()


@pytest.mark.parametrize("change", [-40.0, 0.5])
def test_what_is_not_a_count_is_refused_before_training(change):
    counts = TABLE.assign(y=TABLE.y.round())
    counts.loc[counts.unique_id == "b", "y"] += change
    settings = {"model": "autoregressive", "distribution": "negative-binomial", "scaling": "mean"}
    with pytest.raises(DataError, match=r"whole numbers from 0 on, and 1 series \(b\)"):
        tiny(**settings).fit(counts)


def test_a_holdback_that_leaves_nothing_to_train_on_is_refused():
    with pytest.raises(DataError, match=r"holdback = 55.*60 steps.*at most 52"):
        tiny(holdback=55).fit(TABLE)


def test_a_single_value_is_short_and_no_constant():
    frame = pandas.concat([TABLE, one("single", [5.0]), one("still", [5.0] * 9)])
    with pytest.warns(ForecastWarning) as caught:
        model = tiny(model="direct", calibrate=False).fit(frame)
    notes = [str(w.message) for w in caught if "forecast" in str(w.message)]
    assert any("1 series (single)" in n and "shorter than the horizon" in n for n in notes)
    assert any("1 series (still)" in n and "constant" in n for n in notes)
    found = model.predict().set_index("unique_id")
    width = found["recurra-hi-95"] - found["recurra-lo-95"]
    assert (width["still"] == 0).all()
    assert (width["single"] > 0).all()


@pytest.mark.parametrize("distribution", ["gaussian", "mixture"])
def test_other_distributions_train(distribution):
    model = tiny(model="autoregressive", distribution=distribution).fit(TABLE)
    assert np.isfinite(numbers(model.predict())).all()
