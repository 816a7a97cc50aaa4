"""Streams with covariates: their forecasts are those of the longer table."""

import numpy as np
import pandas
import pytest
import torch
from forecast_helpers.toys import (
    HORIZON,
    SEASON,
    ahead_of,
    no_compiling,
    numbers,
    table,
    tiny,
    with_covariates,
)

from recurra.errors import ConfigError, DataError

STREAMED = ("direct", "autoregressive", "smoothing")
FRAME = with_covariates(table((60, 50))).assign(
    y=lambda frame: frame.y - 10,
    sky=lambda frame: np.where(frame.index % 5 == 0, None, np.where(frame.wind > 0, "wet", "fair")),
)
LEFT = FRAME.groupby("unique_id").cumcount(ascending=False)
BEGUN, LATER = FRAME[LEFT >= SEASON], FRAME[LEFT < SEASON]
NEXT = LATER[LATER.groupby("unique_id").cumcount() == 0]
AHEAD = ahead_of(FRAME)


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


def fitted(model, frame=BEGUN, **settings):
    """With larger weights than it is trained to, so that all that is read matters."""
    past = {} if model == "autoregressive" else {"past": "wind,sky"}
    given = {"model": model, "scaling": "none", "future": "price", "static": "kind,size", **past}
    forecaster = tiny(**{**given, "max_steps": 1, **settings}).fit(frame)
    torch.manual_seed(1)
    for parameter in forecaster._ready().nets[0].parameters():
        parameter.data = 0.3 * torch.randn_like(parameter)
    return forecaster


@pytest.fixture(scope="module")
def direct():
    return fitted("direct")


def steps_of(frame):
    """The values of each step, and its past covariates, as `update` takes them."""
    for _, rows in frame.groupby(frame.groupby("unique_id").cumcount()):
        rows = rows.set_index("unique_id")
        yield rows.y.to_dict(), rows[["wind", "sky"]].to_dict("index")


def longer(forecaster, frame, **given):
    """The forecast after further steps, read from where the stream began to read."""
    forecaster._ready().nets[0].lookback += SEASON
    try:
        return forecaster.predict(frame, **given)
    finally:
        forecaster._ready().nets[0].lookback -= SEASON


@pytest.mark.parametrize("model", STREAMED)
def test_a_stream_forecasts_as_the_longer_table_does(model):
    forecaster = fitted(model)
    live = forecaster.stream(future=NEXT, seed=3)
    for k, (values, past) in enumerate(steps_of(LATER)):
        given = {"past": past} if model != "autoregressive" else {}
        live.update(values, **given, future=LATER if k == 1 else None)
    found, wanted = live.predict(future=AHEAD), longer(forecaster, FRAME, future=AHEAD, seed=3)
    assert found.ds.tolist() == wanted.ds.tolist()
    np.testing.assert_allclose(numbers(found), numbers(wanted), rtol=1e-4)
    other = longer(forecaster, FRAME.assign(wind=0.0, price=0.0), future=AHEAD, seed=3)
    assert not np.allclose(numbers(found), numbers(other), rtol=1e-3)


def test_a_series_that_is_not_named_has_a_gap():
    forecaster, gap = fitted("direct", future=""), 2
    live = forecaster.stream()
    for k, (values, past) in enumerate(steps_of(LATER)):
        there = [name for name in values if (name, k) != ("b", gap)]
        live.update({n: values[n] for n in there}, past={n: past[n] for n in there})
    gone = LATER[LATER.unique_id == "b"].index[gap]
    wanted = longer(forecaster, FRAME.drop(index=gone))
    np.testing.assert_allclose(numbers(live.predict()), numbers(wanted), rtol=1e-4)


def test_a_score_needs_to_know_of_its_own_step_alone(direct):
    values, past = next(steps_of(LATER))
    found = [direct.stream(future=table).update(values, past=past) for table in (NEXT, LATER)]
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_later_tables_correct_earlier_ones(direct):
    other = LATER.assign(price=LATER.price + 9)
    live = direct.stream(future=other)
    before, corrected = live.predict(), live.predict(future=LATER)
    assert not np.allclose(numbers(before), numbers(corrected))
    wanted = direct.stream(future=LATER).predict()
    np.testing.assert_array_equal(numbers(corrected), numbers(wanted))


def test_covariates_that_all_series_of_a_wide_table_share():
    hours = pandas.date_range("2024-01-01", periods=50, freq="h")
    values = np.sin(np.arange(50))
    wide = pandas.DataFrame({"ds": hours, "a": values, "b": values + 1, "price": np.arange(50) % 7})
    settings = {"layout": "wide", "past": "", "static": "", "max_steps": 1}
    forecaster = fitted("direct", wide[:40], **settings)
    live = forecaster.stream(future=wide[38:])
    for k in range(40, 40 + SEASON):
        live.update({"a": values[k], "b": values[k] + 1})
    wanted = longer(forecaster, wide[: 40 + SEASON], future=wide)
    np.testing.assert_allclose(numbers(live.predict()), numbers(wanted), rtol=1e-4)


FINE = {"wind": 0.5, "sky": "wet"}
STAMP = r"2024-01-03 06:00(:00)?"


@pytest.mark.parametrize(
    ("past", "match"),
    [
        ({}, rf"series 'a' at {STAMP}: covariate 'wind' is missing, which it never was"),
        ({"a": FINE}, r"series 'b' at .*'wind' is missing.* give it"),
        ({"a": {**FINE, "wind": None}}, r"series 'a' at .*'wind' is missing"),
        (
            {"a": {**FINE, "sky": "dark"}, "b": FINE},
            r"'sky' is 'dark', which training did not have; it had fair",
        ),
        ({"a": {**FINE, "wind": "much"}}, r"'wind' is 'much'; give a finite number"),
        ({"a": {**FINE, "wind": np.inf}}, r"'wind' is inf; give a finite number"),
        ({"a": {**FINE, "wnd": 1.0}}, r"past of 'a' has 'wnd', which is none of wind, sky"),
        ({"wind": {"a": 0.5}}, r"no series 'wind' in this stream"),
        ({"a": 0.5}, r"past of 'a' is 0.5; give its covariates by name: past=\{'a': \{'wind'"),
    ],
)
def test_wrong_past_covariates_are_named_and_change_nothing(direct, past, match):
    live = direct.stream(future=LATER)
    before = live.predict()
    with pytest.raises(DataError, match=match):
        live.update({"a": 1.0, "b": 2.0}, past=past)
    pandas.testing.assert_frame_equal(live.predict(), before)


def test_a_missing_value_that_training_had_too_may_be_left_out(direct):
    given = [{"wind": 0.5}, {"wind": 0.5, "sky": None}, {"wind": 0.5, "sky": float("nan")}]
    found = []
    for past in given:
        live = direct.stream(future=pandas.concat([LATER, AHEAD]))
        live.update({"a": 1.0, "b": 2.0}, past={"a": past, "b": past})
        found.append(numbers(live.predict()))
    assert all(np.array_equal(found[0], other) for other in found[1:])


def test_missing_future_covariates_are_named(direct):
    live = direct.stream()
    both = {"a": FINE, "b": FINE}
    with pytest.raises(DataError, match=rf"series 'a' has no row for {STAMP}.*price.* this step"):
        live.update({"a": 1.0, "b": 2.0}, past=both)
    live.update({"a": 1.0, "b": 2.0}, past=both, future=NEXT)
    with pytest.raises(DataError, match=r"'a' has no row for 2024-01-03 07:00.*to 2024-01-03 10"):
        live.predict()
    assert len(live.predict(future=LATER)) == 2 * HORIZON


@pytest.mark.parametrize("kind", ["past", "future"])
def test_covariates_that_are_not_read_are_refused(kind):
    live = fitted("direct", past="", future="", static="").stream()
    given = {"past": {"a": FINE}, "future": LATER}
    with pytest.raises(ConfigError, match=f"reads no {kind} covariates; leave {kind} out"):
        live.update({"a": 1.0}, **{kind: given[kind]})
