"""Exponential smoothing inside a network, against its recurrences a step at a time."""

import numpy as np
import pytest
import torch
from forecast_helpers.networks import BARE, batch_for, forecast, net_of
from forecast_helpers.toys import HORIZON, SEASON, no_compiling

from recurra.tasks.forecast.nets.smoothing import smooth_in_blocks


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


def by_hand(values, seen, alpha, gamma, season):
    """The recurrences of one series, one step after another."""
    size = len(season)
    ahead = list(season)
    first = [values[t] - season[t] for t in range(size) if seen[t]]
    level, levels = sum(first) / max(len(first), 1), []
    for t, (y, there) in enumerate(zip(values, seen, strict=True)):
        if there:
            level = level + alpha * (y - ahead[t] - level)
        levels.append(level)
        ahead.append(ahead[t] + (gamma * (y - level - ahead[t]) if there else 0))
    return levels, ahead


def smoothable(size=5, blocks=4, rows=3):
    values = torch.randn(size * blocks, rows, dtype=torch.double)
    seen = torch.rand(size * blocks, rows) > 0.3
    seen[:size, 2] = False
    constants = torch.rand(2, rows, dtype=torch.double) * 0.8 + 0.1
    return values, seen, *constants, torch.randn(size, rows, dtype=torch.double)


@pytest.mark.parametrize("size", [1, 5])
def test_smoothing_is_the_recurrence_step_by_step(size):
    given = smoothable(size)
    levels, fitted, seasons = smooth_in_blocks(*given)
    for row in range(3):
        level, ahead = by_hand(*(part[..., row].tolist() for part in given))
        np.testing.assert_allclose(levels[:, row], level, rtol=1e-9)
        np.testing.assert_allclose(seasons[..., row].flatten(), ahead, rtol=1e-9)
        np.testing.assert_allclose(fitted[:, row], ahead[:-size], rtol=1e-9)


def test_smoothing_has_the_gradient_of_what_it_computes():
    values, seen, *rest = smoothable(3, 2)
    given = [values * seen, *rest]
    for part in given:
        part.requires_grad_(True)
    assert torch.autograd.gradcheck(lambda y, *other: smooth_in_blocks(y, seen, *other), given)


def test_a_smoothing_constant_of_one_follows_the_values():
    values = torch.randn(8, 1)
    levels, _, _ = smooth_in_blocks(
        values, values > -9, torch.ones(1), torch.zeros(1), torch.zeros(4, 1)
    )
    torch.testing.assert_close(levels, values, rtol=1e-4, atol=1e-4)


def test_a_step_takes_its_place_in_the_season_from_the_age_of_its_series():
    net = net_of("smoothing", BARE)
    batch = batch_for(net, BARE)
    before = forecast(net, batch._replace(age=batch.age + 1))[:3]
    with torch.no_grad():
        net.season.copy_(net.season.roll(-1, 1))
    torch.testing.assert_close(forecast(net, batch)[:3], before)
    assert not torch.allclose(forecast(net, batch._replace(age=batch.age + 2))[:3], before)


def departures(values, seen):
    """How each step of a season departs from its block's mean, over the first two blocks."""
    blocks = np.where(seen, values, np.nan)[: 2 * SEASON].reshape(2, SEASON)
    return np.nan_to_num(np.nanmean(blocks - np.nanmean(blocks, 1, keepdims=True), 0))


def test_smoothing_forecasts_level_and_season_where_the_network_is_silent():
    net = net_of("smoothing", BARE, loss="mse")
    torch.nn.init.zeros_(net.head.weight)
    torch.nn.init.zeros_(net.head.bias)
    batch = batch_for(net, BARE, rows=1)
    batch.age[:] -= int(batch.age[0, 0])
    constants = net.constants[0].sigmoid().tolist()
    past = [part[: net.lookback, 0].tolist() for part in (batch.values, batch.seen)]
    season = net.season[0].numpy(force=True) + departures(*past)
    level, ahead = by_hand(*past, *constants, season.tolist())
    wanted = [level[-1] + ahead[net.lookback + h] for h in range(HORIZON)]
    np.testing.assert_allclose(forecast(net, batch)[0, :, 0], wanted, rtol=1e-4)
