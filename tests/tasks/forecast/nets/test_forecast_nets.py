"""The forecasting networks against their equations, written out a step at a time."""

import copy

import numpy as np
import pytest
import torch
from forecast_helpers.networks import AR, BARE, batch_for, forecast, hidden, net_of, until
from forecast_helpers.toys import HORIZON, MODELS, SEASON, no_compiling
from torch.nn import functional as F

from recurra.errors import ConfigError
from recurra.tasks.forecast.nets.components import SeriesVectors, StepInput, pinball, target_loss
from recurra.tasks.forecast.windows.cutter import CountedWindows, WindowBatch


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


@pytest.mark.parametrize("model", MODELS)
def test_no_forecast_reads_actual_values(model):
    net = net_of(model)
    batch = batch_for(net)
    other = batch._replace(values=batch.values.clone(), seen=~batch.seen, past=batch.past.clone())
    other.values[net.lookback :], other.past[net.lookback :] = 99.0, 99.0
    other.seen[: net.lookback] = batch.seen[: net.lookback]
    torch.testing.assert_close(forecast(net, batch), forecast(net, other), rtol=0, atol=0)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("part", ["values", "seen", "past", "future", "static", "series"])
def test_every_input_matters(model, part):
    if (model, part) == ("autoregressive", "past"):
        pytest.skip("it reads no such covariates")
    net = net_of(model)
    batch = hidden(batch_for(net, gaps=0), net.lookback)
    changed = getattr(batch, part).clone()
    where = 0 if part in ("static", "series") else net.lookback - 1
    changed[where] = 1 - changed[where].float() if part != "series" else 2
    shown = batch._replace(**{part: changed.to(getattr(batch, part).dtype)})
    assert not torch.equal(forecast(net, batch)[:1], forecast(net, shown)[:1])


@pytest.mark.parametrize("model", MODELS)
def test_future_covariates_matter_up_to_the_last_step(model):
    net = net_of(model)
    batch = batch_for(net)
    other = batch._replace(future=batch.future.clone())
    other.future[-1] += 1
    before, after = forecast(net, batch), forecast(net, other)
    assert not torch.equal(before[:, -1], after[:, -1])


@pytest.mark.parametrize("model", MODELS)
def test_rows_of_a_batch_do_not_mix(model):
    net = net_of(model, loss="mse") if model != "autoregressive" else net_of(model)
    batch = batch_for(net)
    other = copy.deepcopy(batch)
    other.values[:, 1:] += 1
    if model == "autoregressive":
        given = [net.loss(b._replace(seen=only_first(b.seen))) for b in (batch, other)]
    else:
        given = [forecast(net, b)[0] for b in (batch, other)]
    torch.testing.assert_close(*given)


def only_first(seen):
    return seen & (torch.arange(seen.shape[1]) == 0)


@pytest.mark.parametrize("model", MODELS)
def test_steps_that_were_not_seen_add_nothing_to_the_loss(model):
    net = net_of(model)
    batch = batch_for(net)
    other = batch._replace(values=torch.where(batch.seen, batch.values, 1e3))
    ahead = torch.arange(len(batch.values)).unsqueeze(1) >= net.lookback
    other = other._replace(values=torch.where(ahead, other.values, batch.values))
    if model == "autoregressive":  # a step that was not seen is still read by the next one
        other = batch._replace(values=batch.values.clone())
        other.values[-1] = torch.where(batch.seen[-1], batch.values[-1], 1e3)
    torch.testing.assert_close(net.loss(batch), net.loss(other))
    torch.testing.assert_close(net.forecast_loss(batch), net.forecast_loss(other))


@pytest.mark.parametrize("model", MODELS)
def test_a_batch_of_nothing_has_a_finite_loss_and_gradient(model):
    net = net_of(model)
    batch = batch_for(net, gaps=1.1)
    loss = net.loss(batch)
    loss.backward()
    assert loss.item() == 0
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


@pytest.mark.parametrize("model", ["segments", "direct", "smoothing"])
def test_judging_is_the_loss_of_the_forecast_alone(model):
    net = net_of(model)
    batch = batch_for(net)
    actual, seen = (part[net.lookback :].t() for part in (batch.values, batch.seen))
    found = forecast(net, batch)
    total = sum(
        2 * max(level * (y - q), (level - 1) * (y - q))
        for y, row in zip(actual[seen], found[seen], strict=True)
        for q, level in zip(row, net.levels, strict=True)
    )
    wanted = total / (seen.sum() * len(net.levels))
    assert net.forecast_loss(batch).item() == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("model", ["direct", "smoothing"])
def test_training_is_on_forecasts_from_earlier_steps_that_see_none_after(model):
    net = net_of(model, lookback=24)
    batch, total, count = batch_for(net), 0.0, 0
    ends = [k + 1 for k in net._forks()] if model == "direct" else range(2 * SEASON, 25, SEASON)
    wanted = net.loss(batch)
    for net.lookback in ends:
        seen = batch.seen[net.lookback : net.lookback + HORIZON].sum()
        total = total + net.forecast_loss(until(batch, net.lookback + HORIZON)) * seen
        count += seen
    assert len(ends) > 2
    torch.testing.assert_close(wanted, total / count)


@torch.no_grad()
@pytest.mark.parametrize("model", ["direct", "autoregressive", "smoothing"])
def test_a_state_carried_on_is_that_of_a_longer_look_back(model):
    net = net_of(model)
    short, steps = net.lookback, net.lookback + SEASON
    net.lookback = steps
    batch = batch_for(net)
    wanted = forecast(net, batch)
    net.lookback = short
    carried = net.begin(until(batch, short + HORIZON))
    for t in range(short, steps):
        now = StepInput(batch.values[t], batch.seen[t], batch.past[t], batch.future[t])
        carried = net.advance(carried, now)
    torch.manual_seed(5)
    torch.testing.assert_close(net.forecast_from(carried, batch.future[steps:]).quantiles, wanted)


def test_segments_say_that_they_cannot_be_streamed():
    net = net_of("segments")
    batch = batch_for(net)
    with pytest.raises(ConfigError, match="can't be streamed; choose model = 'direct'"):
        net.advance(net.begin(batch), StepInput(*(part[0] for part in batch[:4])))


# --- Parts


def test_pinball_is_the_textbooks_and_twice_the_medians_is_the_absolute_error():
    quantiles = torch.tensor([[1.0, 2.0, 4.0]])
    found = pinball(quantiles, torch.tensor([3.0]), torch.tensor([0.1, 0.5, 0.9]))
    torch.testing.assert_close(found, torch.tensor([[0.2, 0.5, 0.1]]))
    actual, seen = torch.tensor([3.0, 8.0, 9.0]), torch.tensor([True, True, False])
    outputs = torch.tensor([[1.0], [2.0], [0.0]])
    for kind, levels, wanted in (("quantiles", (0.5,), 4.0), ("mae", (), 4.0), ("mse", (), 20.0)):
        found = target_loss(outputs, actual, seen, kind, levels)
        assert found[2] == 0
        assert float(found.sum() / 2) == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("kind", "errors", "wanted"),
    [
        ("mae", "scaled", 2),
        ("mae", "data", 10 / 4),
        ("mae", "both", (2 + 10 / 4) / 2),
        ("mse", "data", 82 / 10),
        ("mse", "both", (5 + 82 / 10) / 2),
    ],
)
def test_errors_may_count_as_scaled_or_as_they_are_in_the_data(kind, errors, wanted):
    """Rows of scale 1 and 3 with scaled errors of 1 and 3."""
    net = net_of("direct", loss=kind, errors=errors)
    values, seen = torch.zeros(1, 2), torch.ones(1, 2, dtype=torch.bool)
    scale = torch.tensor([1.0, 3.0], dtype=torch.double)
    batch = batch_for(net)._replace(values=values, seen=seen, scale=scale)
    outputs = torch.tensor([[[1.0], [3.0]]])
    assert float(net.mean_loss(outputs, batch, lambda part: part)) == pytest.approx(wanted)


def rows_of(batch, first, last, processes):
    """A process's part of a batch, which counts the windows of all."""
    by_window = ("static", "series", "key", "location", "scale")
    parts = {
        name: part[first:last] if name in by_window else part[:, first:last]
        for name, part in batch._asdict().items()
        if part is not None
    }
    counted = CountedWindows(batch.seen, batch.scale, processes)
    return WindowBatch(**parts, counted=counted)


@pytest.mark.parametrize("errors", ["scaled", "data", "both"])
@pytest.mark.parametrize("model", MODELS)
def test_parts_of_a_batch_have_the_gradients_of_the_whole(model, errors):
    """Whatever each part has seen: the mean of the parts' gradients is that of the whole batch."""
    scaling = {} if model == "autoregressive" else {"errors": errors}
    net = net_of(model, activation_penalty=0.5, temporal_activation_penalty=0.5, **scaling).double()
    batch = WindowBatch(
        *(p.double() if p is not None and p.is_floating_point() else p for p in batch_for(net))
    )
    batch.seen[:, :1] = False  # nothing at all of the first window
    batch.values[:, :1] = 0
    weights = list(net.parameters())
    wanted = torch.autograd.grad(net.loss(batch), weights, allow_unused=True)
    losses = [net.loss(rows_of(batch, first, first + 1, 4)) for first in range(4)]
    found = torch.autograd.grad(sum(losses) / 4, weights, allow_unused=True)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_series_that_was_not_trained_on_has_the_mean_of_all_vectors():
    vectors = SeriesVectors(4, 3)
    found = vectors(torch.tensor([2, -1]))
    torch.testing.assert_close(found, torch.stack([vectors.weight[2], vectors.weight.mean(0)]))


# --- Direct


def test_training_forks_in_the_later_half_of_the_look_back_its_end_among_them():
    net = net_of("direct", lookback=40)
    assert net._forks() == [39, 37, 35, 33, 31, 29, 27, 25, 23, 21]
    assert net_of("direct", lookback=1)._forks() == [0]


# --- Segments


def gru_by_torch(net):
    layer, width = net.recurrent, net.head.in_features
    cell = torch.nn.GRUCell(width, width)
    with torch.no_grad():
        cell.weight_ih.copy_(layer.W_l0)
        cell.weight_hh.copy_(layer.U_l0)
        cell.bias_ih.copy_(layer.b_l0)
        cell.bias_hh.copy_(torch.cat([torch.zeros(2 * width), layer.b_h_l0]))
    return cell


@pytest.mark.parametrize("segment", [2, 3])
def test_segments_are_segrnns_equations(segment):
    net = net_of("segments", BARE, segment=segment, loss="mse")
    batch, cell = batch_for(net, BARE, rows=2), gru_by_torch(net)
    state, found = torch.zeros(2, net.head.in_features), []
    for low in range(0, net.lookback, segment):
        part = (batch.values[low : low + segment], batch.seen[low : low + segment].float())
        cut = torch.stack(part, -1).transpose(0, 1).flatten(1)
        state = cell(torch.relu(F.linear(cut, net.projection.weight, net.projection.bias)), state)
    for place in net.positions:
        start = torch.cat([place.expand(2, -1), net.vectors.weight[:2]], -1)
        found.append(net.head(cell(start, state)))
    torch.testing.assert_close(forecast(net, batch)[..., 0], torch.cat(found, 1)[:, :HORIZON])


def test_the_look_back_is_cut_to_whole_segments_and_the_horizon_to_its_length():
    net = net_of("segments", BARE, segment=5, lookback=18)
    assert (net.lookback, len(net.positions)) == (15, 1)
    assert forecast(net, batch_for(net, BARE)).shape == (4, HORIZON, 5)


def test_segments_refuse_dilation():
    with pytest.raises(ConfigError, match=r"dilation = 2.*direct"):
        net_of("segments", dilation=2, layers=2)


# --- Autoregressive


def inputs_by_hand(net, batch, t):
    """What step t reads: the last value, those some lags back, and what stays the same."""
    rows = batch.values.shape[1]
    lagged = [part[t - lag].float() for lag in (1, 3, 2) for part in (batch.values, batch.seen)]
    age = torch.log10(2.0 + batch.age[t])
    size = batch.scale.float().log10().unsqueeze(1) / 3
    parts = [torch.stack([*lagged, age], 1), batch.future[t], batch.static]
    return torch.cat([*parts, net.vectors(batch.series), size], 1).view(1, rows, -1)


def test_the_likelihood_is_that_of_each_step_after_those_before_it():
    net = net_of("autoregressive", **AR)
    batch = batch_for(net)
    assert net.lookback == 13
    state, total = None, 0.0
    for t in range(3, len(batch.values)):
        output, state = net.recurrent(inputs_by_hand(net, batch, t), state)
        mean, spread = net.head(output[0]).unbind(-1)
        found = torch.distributions.Normal(mean, F.softplus(spread) + 1e-4)
        total = total - (found.log_prob(batch.values[t]) * batch.seen[t]).sum()
    torch.testing.assert_close(net.loss(batch), total / batch.seen[3:].sum())


def ranks_of_paths(net, batch, paths, step):
    """Where each path's value stands in the distribution after the path's own earlier values."""
    rows = torch.zeros(len(paths), dtype=torch.long)
    over_time = {name: getattr(batch, name)[:, rows] for name in batch._fields[:4]}
    known = batch._replace(static=batch.static[rows], series=batch.series[rows], **over_time)
    known = known._replace(age=batch.age[:, rows], scale=batch.scale[rows])
    known.values[net.lookback :], known.seen[net.lookback :] = paths.t(), True
    outputs, _ = net.recurrent(net._inputs(known, 3, net.lookback + step + 1))
    mean, spread = net.head(outputs[-1]).unbind(-1)
    return torch.distributions.Normal(mean, F.softplus(spread) + 1e-4).cdf(paths[:, step])


@torch.no_grad()
@pytest.mark.parametrize("step", [0, 1, HORIZON - 1])
def test_paths_are_drawn_from_each_step_after_those_before_it(step):
    net = net_of("autoregressive", **AR, samples=900)
    batch = batch_for(net, rows=2)
    paths = net.forecast(hidden(batch, net.lookback)).paths
    ranks = ranks_of_paths(net, batch, paths[:, 0], step).sort().values
    even = (torch.arange(900) + 0.5) / 900
    assert (ranks - even).abs().max() < 1.95 / 900**0.5  # Kolmogorov: one in a thousand


@torch.no_grad()
def test_quantiles_are_those_of_the_paths():
    net = net_of("autoregressive", samples=50)
    found = net.forecast(hidden(batch_for(net), net.lookback), paths=70)
    assert found.paths.shape == (70, 4, HORIZON)
    wanted = np.quantile(found.paths.numpy(), net.levels, axis=0).transpose(1, 2, 0)
    np.testing.assert_allclose(found.quantiles, wanted, rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_paths_go_on_from_states_of_any_cell_and_depth(cell):
    net = net_of("autoregressive", cell=cell, layers=2, dilation=2)
    assert net.forecast(batch_for(net)).quantiles.isfinite().all()
