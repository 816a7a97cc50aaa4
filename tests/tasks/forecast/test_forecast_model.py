"""Forecasts of a trained model from any origin, by the values known there alone."""

import dataclasses

import numpy as np
import pandas
import pytest
import torch
from forecast_helpers.toys import (
    HORIZON,
    MODELS,
    SEASON,
    ahead_of,
    covariates_of,
    no_compiling,
    one,
    panel_of,
    placed_of,
    table,
    tiny,
    wave,
    with_covariates,
)

from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets import inference
from recurra.tasks.forecast.store import PlacedPanel
from recurra.tasks.forecast.windows.splits import Origins

TABLE = with_covariates(table())
ENDS = Origins(np.array([0, 1, 2, 0]), np.array([40, 44, 3, 59]))


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


@pytest.fixture(scope="module", params=MODELS)
def trained(request):
    """A forecaster of each model, with all covariates that it reads."""
    settings = {"model": request.param, **covariates_of(request.param)}
    return shaken(tiny(**settings).fit(TABLE))


def shaken(forecaster):
    """With larger weights than a few steps give them, so that all that is read matters."""
    torch.manual_seed(1)
    for net in forecaster._ready().nets:
        for parameter in net.parameters():
            parameter.data = 0.6 * torch.randn_like(parameter)
    return forecaster


def everything(model, panel, origins=ENDS, **options):
    found = model.forecast(model.cutter(model.place(panel)), origins, **options)
    return np.concatenate([found.point[..., None], found.quantiles], -1)


def plain(**settings):
    return shaken(tiny(**settings).fit(table()))


def later(panel, origin, name, change):
    """The panel with a part changed from an origin of its first series on."""
    changed = getattr(panel, name).copy()
    changed[origin : panel.offsets[1]] += change
    return dataclasses.replace(panel, **{name: changed})


@pytest.mark.parametrize("part", ["y", "past"])
def test_nothing_after_the_origin_changes_a_forecast(trained, part):
    panel = trained._own_data().panel
    origins = Origins(np.array([0]), np.array([40]))
    before = everything(trained._ready(), panel, origins)
    after = everything(trained._ready(), later(panel, 40, part, 1e4), origins)
    np.testing.assert_array_equal(before, after)
    if getattr(panel, part).size:
        earlier = everything(trained._ready(), later(panel, 36, part, 1.0), origins)
        assert not np.array_equal(before, earlier)


@pytest.mark.parametrize("scaling", ["standard", "mean", "last", "none"])
@pytest.mark.parametrize("known", [40, 12])
def test_no_scale_sees_what_comes(scaling, known):
    model = plain(model="segments", scaling=scaling)._ready()
    panel, origins = panel_of(table()), Origins(np.array([0]), np.array([known]))
    before = everything(model, panel, origins)
    np.testing.assert_array_equal(before, everything(model, later(panel, known, "y", 9), origins))


def test_future_covariates_change_a_forecast(trained):
    panel, origins = trained._own_data().panel, Origins(np.array([0]), np.array([40]))
    before = everything(trained._ready(), panel, origins)
    for row in (40, 43):
        after = everything(trained._ready(), later(panel, row, "future", 1.0), origins)
        assert not np.array_equal(before[:, row - 40 :], after[:, row - 40 :])
    beyond = everything(trained._ready(), later(panel, 44, "future", 1.0), origins)
    np.testing.assert_array_equal(before, beyond)


def test_static_covariates_change_a_forecast(trained):
    panel = trained._own_data().panel
    before = everything(trained._ready(), panel)
    for column in range(panel.static.shape[1]):
        static = panel.static.copy()
        static[0, column] += 1
        after = everything(trained._ready(), dataclasses.replace(panel, static=static))
        assert not np.array_equal(before[0], after[0])
        np.testing.assert_allclose(before[1], after[1], rtol=1e-5)


def test_quantiles_ascend(trained):
    found = trained._ready().forecast(trained._ready().cutter(placed_of(trained)), ENDS).quantiles
    assert (np.diff(found, axis=-1) >= 0).all()


def test_forecasts_of_counts_are_whole_numbers():
    """Quantiles, points and paths; none below 0, and quantiles are the nearest whole numbers."""
    frame = table((60, 60), gaps=False).assign(y=lambda t: (t.y - t.y.min()).round())
    counts = {"model": "autoregressive", "distribution": "negative-binomial", "scaling": "mean"}
    counts |= {"point": "median"}
    forecaster = tiny(**counts).fit(frame)
    model, origins = forecaster._ready(), Origins(np.array([0, 1]), np.array([60, 60]))
    found = model.forecast(model.cutter(placed_of(forecaster)), origins, paths=9)
    for values in (found.point, found.quantiles, found.paths):
        np.testing.assert_array_equal(values, np.maximum(values.round(), 0))
    assert (found.unrounded % 1 > 0).any()
    np.testing.assert_array_less(np.abs(found.quantiles - found.unrounded), 0.5 + 1e-6)


def test_the_size_of_batches_changes_nothing(trained, monkeypatch):
    before = everything(trained._ready(), trained._own_data().panel)
    monkeypatch.setattr(inference, "_STEPS", 1)
    monkeypatch.setattr(inference, "_SAMPLED", 1)
    np.testing.assert_allclose(
        before, everything(trained._ready(), trained._own_data().panel), rtol=1e-4
    )


def test_what_else_is_forecast_changes_nothing(trained):
    """Not the order of the origins, nor other series, nor where a series stands in its table."""
    model, panel = trained._ready(), trained._own_data().panel
    whole = model.forecast(model.cutter(placed_of(trained)), ENDS, paths=15, seed=2)
    chosen = panel.select(np.array([1, 0]))
    fewer = Origins(np.array([1, 0]), np.array([59, 44]))
    part = model.forecast(model.cutter(model.place(chosen)), fewer, paths=15, seed=2)
    for found, wanted in zip(part, whole, strict=True):
        np.testing.assert_allclose(found, wanted[[3, 1]], rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.*were not in the training data")
def test_a_series_that_is_new_has_paths_of_its_own():
    """Alike in all that is known but their names."""
    model = shaken(tiny(model="autoregressive").fit(table()))
    found = model.sample(pandas.concat([one("x", wave(30)), one("z", wave(30))]), paths=12)
    drawn = found.recurra.to_numpy().reshape(2, HORIZON, 12)
    assert not np.isclose(drawn[0], drawn[1]).any()


def test_a_model_kept_in_parts_says_the_same(trained):
    model = trained._ready()
    again = Model.from_parts(model.config, model.sizes, model.nets, *model.to_parts())
    assert again.history.panel.lengths.max() == model.nets[0].lookback
    given = [
        placed.panel.until(placed.panel.lengths - HORIZON)
        for placed in (model.history, placed_of(trained))
    ]
    for panel in given:
        origins = Origins(np.arange(3), panel.lengths)
        np.testing.assert_array_equal(
            everything(again, panel, origins), everything(model, panel, origins)
        )


def test_the_end_of_a_series_is_enough(trained):
    """Only the tail is kept: its place in the season, its calendar and its scale are the same."""
    model, panel = trained._ready(), trained._own_data().panel
    tail = panel.tail(model.nets[0].lookback + 5)
    ends = [Origins(np.arange(3), kept.lengths - 5) for kept in (panel, tail)]
    np.testing.assert_allclose(
        everything(model, panel, ends[0]), everything(model, tail, ends[1]), rtol=1e-5
    )


@pytest.mark.parametrize("begin", [-5, 5])
def test_new_data_that_begin_at_another_time_keep_their_place_in_the_season(begin):
    model = plain(model="smoothing", calendar=False)._ready()
    values = wave(40 + 5)
    whole = one("a", values, "2023-12-31 19:00")
    panel = panel_of(whole)
    known = whole.iloc[5 + max(begin, 0) :] if begin > 0 else whole
    shown = panel_of(known)
    ends = Origins(np.array([0]), np.array([len(known)]))
    usual = Origins(np.array([0]), np.array([40]))
    reference = everything(model, panel_of(whole.iloc[5:]), usual)
    np.testing.assert_allclose(everything(model, shown, ends), reference, rtol=1e-4)
    assert len(panel.y) == 45


def test_an_ensemble_says_the_mean_of_its_members():
    model, panel = plain(model="direct", loss="mae", ensemble=3)._ready(), panel_of(table())
    points = [
        everything(dataclasses.replace(model, nets=nets), panel)[..., 0]
        for nets in (model.nets, *((net,) for net in model.nets))
    ]
    np.testing.assert_allclose(points[0], np.mean(points[1:], 0), rtol=1e-6)


def test_members_of_an_ensemble_differ_and_the_first_is_the_model_alone():
    settings = {"model": "direct", "seed": 4}
    many = tiny(ensemble=2, **settings).fit(table())._ready().nets
    single = tiny(**settings).fit(table())._ready().nets[0]
    first, second, alone = (net.state_dict()["context.weight"] for net in (*many, single))
    assert torch.equal(first, alone)
    assert not torch.equal(first, second)


def test_random_numbers_of_torch_and_numpy_are_left_alone(trained):
    before = torch.random.get_rng_state(), np.random.get_state()[1].copy()
    cutter = trained._ready().cutter(placed_of(trained))
    first, second = (trained._ready().forecast(cutter, ENDS, paths=20, seed=3) for _ in range(2))
    assert torch.equal(before[0], torch.random.get_rng_state())
    assert (before[1] == np.random.get_state()[1]).all()
    np.testing.assert_array_equal(first.paths, second.paths)
    other = trained._ready().forecast(cutter, ENDS, paths=20, seed=4)
    sampled = trained.config.model == "autoregressive"
    assert not np.array_equal(first.paths, other.paths)
    assert np.array_equal(first.quantiles, other.quantiles) != sampled


def test_paths_have_the_quantiles_that_are_forecast(trained):
    cutter = trained._ready().cutter(placed_of(trained))
    found = trained._ready().forecast(cutter, ENDS, paths=3000)
    drawn = np.quantile(found.paths, trained.config.levels, axis=1).transpose(1, 2, 0)
    width = found.quantiles[..., -1:] - found.quantiles[..., :1]
    assert (np.abs(drawn - found.quantiles) / width)[..., 1:-1].max() < 0.1


def test_a_transform_is_undone():
    model = plain(model="direct", transform="log")._ready()
    anywhere = dataclasses.replace(model.calibration, reach=np.full(2, np.inf))
    model = dataclasses.replace(
        model,
        calibration=anywhere,
        config=dataclasses.replace(model.config, nonnegative="no"),
    )
    found = everything(model, panel_of(table()))
    assert (found > 0).all()
    logs = table()
    logs["y"] = np.log(logs.y)
    bare = dataclasses.replace(model, config=dataclasses.replace(model.config, transform="none"))
    np.testing.assert_allclose(np.log(found), everything(bare, panel_of(logs)), rtol=1e-5)


@pytest.mark.parametrize("loss", ["mse", "mae"])
def test_one_number_a_step_gets_its_quantiles_from_the_held_out_part(loss):
    forecaster = plain(model="direct", loss=loss, calibrate=False)
    found = forecaster._ready().forecast(forecaster._ready().cutter(placed_of(forecaster)), ENDS)
    assert (np.diff(found.quantiles, axis=-1) > 0).any(-1).all()


def test_a_look_back_in_which_nothing_was_seen_goes_by_the_series_mean():
    values = wave(60, seed=40)
    values[30:] = np.nan
    values[-1] = values[0]
    frame = table((60, 60), gaps=False)
    frame.loc[frame.unique_id == "b", "y"] = values
    forecaster = tiny(model="direct", max_steps=20).fit(frame)
    origin = Origins(np.array([1]), np.array([55]))
    found = everything(forecaster._ready(), forecaster._own_data().panel, origin)
    assert (np.abs(found - 210) < 30).all()


def test_a_kept_panel_is_the_same_to_the_bit():
    forecaster = plain(model="direct")
    model = forecaster._ready()
    again = Model.from_parts(model.config, model.sizes, model.nets, *model.to_parts()).history
    assert isinstance(again, PlacedPanel)
    np.testing.assert_array_equal(again.panel.y, forecaster._ready().history.panel.y)
    np.testing.assert_array_equal(again.panel.last, forecaster._own_data().panel.last)
    np.testing.assert_array_equal(
        again.start_age, forecaster._own_data().panel.lengths - again.panel.lengths
    )


def test_forecasts_read_future_covariates_after_the_end():
    forecaster = shaken(tiny(model="direct", future="price", nonnegative="no").fit(TABLE))
    model, placed = forecaster._ready(), placed_of(forecaster)
    ends = Origins(np.arange(3), placed.panel.lengths)
    features = [model.future_features(placed, ahead_of(TABLE, seed=s)) for s in (1, 2)]
    found = [model.forecast(model.cutter(placed, ahead), ends).point for ahead in features]
    assert (found[0] != found[1]).all()
    assert SEASON > HORIZON
