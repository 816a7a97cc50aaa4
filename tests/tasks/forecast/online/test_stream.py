"""Streams: the carried state is that of a longer look-back."""

import numpy as np
import pandas
import pytest
import torch
from forecast_helpers.toys import few_samples

from recurra.errors import ConfigError, DataError, RunError
from recurra.tasks.forecast import Forecaster
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets import Sizes, StepInput, build
from recurra.tasks.forecast.windows.cutter import WindowBatch

STREAMED = ("direct", "autoregressive", "smoothing")
SIZES = Sizes(series=2, past=1, future=2, static=1, season=4)


def net_of(model, **settings):
    torch.manual_seed(0)
    config = ForecastConfig.of(
        {"horizon": 3, "model": model, "hidden": 5, "lookback": 12, "embedding": 2, **settings}
        | ({"past": "wind"} if model != "autoregressive" else {})
    )
    return build(config, SIZES).eval()


def batch_of(steps):
    torch.manual_seed(1)
    seen = torch.rand(steps, 2) > 0.2
    return WindowBatch(
        values=torch.where(seen, torch.randn(steps, 2), 0),
        seen=seen,
        past=torch.randn(steps, 2, 1),
        future=torch.randn(steps, 2, 2),
        static=torch.randn(2, 1),
        series=torch.tensor([0, -1]),
        key=torch.tensor([5, 6]),
        age=torch.arange(steps).unsqueeze(1).expand(-1, 2),
        location=torch.zeros(2, dtype=torch.double),
        scale=torch.ones(2, dtype=torch.double),
    )


@pytest.mark.parametrize("model", STREAMED)
@pytest.mark.parametrize("settings", [{}, {"layers": 2, "dilation": 2}, {"cell": "lstm"}])
def test_advancing_is_reading_a_longer_lookback(model, settings):
    net, further = net_of(model, **settings), 8
    batch = batch_of(net.lookback + further + net.horizon)
    with torch.inference_mode():
        carried = net.begin(batch)
        for t in range(net.lookback, net.lookback + further):
            now = StepInput(batch.values[t], batch.seen[t], batch.past[t], batch.future[t])
            carried = net.advance(carried, now)
        net.lookback += further
        longer = net.begin(batch)
    assert carried.values.keys() == longer.values.keys()
    for name in carried.values:
        torch.testing.assert_close(carried[name], longer[name], rtol=1e-4, atol=1e-5, msg=name)
    torch.testing.assert_close(carried.layers, longer.layers, rtol=1e-4, atol=1e-5)


def table(steps=120):
    hours = pandas.date_range("2025-01-01", periods=steps, freq="h")
    wave = np.sin(np.arange(steps) * np.pi / 12)
    parts = [pandas.DataFrame({"unique_id": n, "ds": hours, "y": wave + n}) for n in range(2)]
    return pandas.concat(parts)


@pytest.fixture(scope="module")
def live_models():
    small = {"horizon": 4, "freq": "h", "hidden": 4, "max_steps": 2}
    models = {m: small | few_samples(m, 20) for m in (*STREAMED, "segments")}
    return {m: Forecaster(model=m, **how).fit(table()) for m, how in models.items()}


@pytest.mark.parametrize("model", STREAMED)
def test_a_stream_begins_where_the_forecast_does(live_models, model):
    forecaster = live_models[model]
    pandas.testing.assert_frame_equal(
        forecaster.stream(seed=3).predict(), forecaster.predict(seed=3)
    )


def test_intervals_grow_where_the_values_begin_to_move(live_models):
    """The running mean of a look-back's changes: a quarter wilder after as many steps and more."""
    live = live_models["direct"].stream()
    before, length = live._change.copy(), live._cutter.lookback
    calm = _widths(live)
    at = 1.0
    for step in range(2 * length):
        at += 3 * before[0] * live._scale[0] * (-1) ** step
        live.update({0: at, 1: float("nan")})
    assert live._change[1] == before[1]
    # One look-back of them counts alike, and from then on a mean that forgets.
    left = (length - 1) / (2 * length) * (1 - 1 / (2 * length)) ** (length - 1)
    assert live._change[0] == pytest.approx(before[0] * (3 - 2 * left), rel=0.05)
    assert _widths(live)[0] > 1.1 * calm[0]


def _widths(live):
    found = live.predict()
    return (found["recurra-hi-95"] - found["recurra-lo-95"]).groupby(found["unique_id"]).mean()


def test_stamps_move_with_the_updates(live_models):
    live = live_models["direct"].stream()
    live.update({0: 0.5, 1: 1.5})
    live.update({0: float("nan")})
    assert live.predict()["ds"].iloc[0] == pandas.Timestamp("2025-01-06 02:00")


def test_scores_distinguish_a_jump_from_the_expected(live_models):
    live = live_models["smoothing"].stream()
    expected = live.predict().groupby("unique_id")["recurra"].first()
    scores = live.update({0: expected[0], 1: expected[1] + 50})
    assert scores[0] < 3 < scores[1]


def test_a_missing_value_has_no_score(live_models):
    for missing in (float("nan"), None):
        assert np.isnan(live_models["direct"].stream().update({0: missing})[0])


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({7: 1.0}, "no series 7"),
        ({0: np.inf}, "is inf"),
        ({0: "x"}, "of 0 is 'x'; give a finite number"),
        (3.0, "are 3.0; give them by series"),
    ],
)
def test_wrong_values(live_models, values, match):
    with pytest.raises(DataError, match=match):
        live_models["direct"].stream().update(values)


def test_segments_are_not_streamed(live_models):
    with pytest.raises(ConfigError, match="choose model = 'direct'"):
        live_models["segments"].stream()


def fitted(model, hidden=4):
    rng = np.random.default_rng(0)
    hours = pandas.date_range("2024-01-01", periods=60, freq="h")
    frames = [
        pandas.DataFrame({"unique_id": s, "ds": hours, "y": 5 + rng.normal(size=60)}) for s in "ab"
    ]
    settings = {"horizon": 3, "freq": "h", "lookback": 8, "max_steps": 1, **few_samples(model, 20)}
    return Forecaster(model=model, hidden=hidden, **settings).fit(pandas.concat(frames))


STEPS = [{"a": 5.5, "b": 4.0}, {"b": 6.5}, {"b": 5.0}, {"a": 4.5, "b": 5.25}]


@pytest.mark.parametrize("model", STREAMED)
def test_a_saved_stream_goes_on_as_if_it_had_never_stopped(model):
    forecaster = fitted(model)
    whole, saved = forecaster.stream(), forecaster.stream()
    for step in STEPS[:2]:
        assert whole.feed(step) == saved.feed(step)
    state = saved.save()
    saved.feed({"a": 100.0})  # what came after the save is undone
    later = forecaster.stream()
    for stream in (saved, later):
        stream.restore(state)
    for step in STEPS[2:]:
        scores = whole.feed(step)
        assert saved.feed(step) == later.feed(step) == scores
    assert whole.predict().equals(later.predict())
    assert whole.finish() == []


def test_a_stream_of_another_model_or_of_other_series_is_refused():
    forecaster = fitted("direct")
    state = forecaster.stream().save()
    with pytest.raises(RunError, match="saved by another model"):
        fitted("direct", hidden=5).stream().restore(state)
    hours = pandas.date_range("2024-01-01", periods=40, freq="h")
    other = pandas.DataFrame({"unique_id": "c", "ds": hours, "y": np.arange(40.0)})
    with pytest.raises(RunError, match="saved by another model"):
        forecaster.stream(other).restore(state)
    with pytest.raises(RunError, match="not a saved session"):
        forecaster.stream().restore(b"no session")
