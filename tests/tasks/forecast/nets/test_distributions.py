"""Distributions of the next value against their densities written out."""

import math

import pytest
import torch
from forecast_helpers.toys import config

from recurra.errors import ConfigError
from recurra.tasks.forecast.nets.distributions import FAMILIES, RandomNumbers

SCALE = torch.tensor([1.0, 9.0])
GIVEN = torch.tensor([0.3, -0.8, 1.1, 0.2, -0.4, 0.9], dtype=torch.double)


def plus(x):
    return math.log1p(math.exp(x)) + 1e-4


def normal(x, mean, deviation):
    return -0.5 * ((x - mean) / deviation) ** 2 - math.log(deviation * math.sqrt(2 * math.pi))


def gaussian(x, given, scale):
    return normal(x, given[0], plus(given[1]))


def student(x, given, scale):
    v, m, s = 2 + plus(given[0]) - 1e-4, given[1], plus(given[2])
    const = (
        math.lgamma((v + 1) / 2) - math.lgamma(v / 2) - 0.5 * math.log(math.pi * v) - math.log(s)
    )
    return const - (v + 1) / 2 * math.log1p(((x - m) / s) ** 2 / v)


def mixture(x, given, scale):
    weights = [math.exp(w) for w in given[:2]]
    parts = [math.exp(normal(x, m, plus(s))) for m, s in zip(given[2:4], given[4:6], strict=True)]
    return math.log(sum(w * p for w, p in zip(weights, parts, strict=True)) / sum(weights))


def negative_binomial(x, given, scale):
    n, mean, a = round(x * scale), plus(given[0]) * scale, plus(given[1]) / math.sqrt(scale)
    r = 1 / a
    ways = math.lgamma(n + r) - math.lgamma(n + 1) - math.lgamma(r)
    return ways + r * math.log(r / (r + mean)) + n * math.log(mean / (r + mean))


DENSITIES = {
    "gaussian": gaussian,
    "student-t": student,
    "mixture": mixture,
    "negative-binomial": negative_binomial,
}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("scale", [1.0, 9.0])
def test_densities_are_those_of_the_textbook(name, scale):
    family = FAMILIES[name](2)
    given = GIVEN[: family.size]
    for value in (0.0, 1 / 3, 3.0):
        value = round(value * scale) / scale
        found = family.log_prob(given, torch.tensor(value).double(), torch.tensor(scale).double())
        assert float(found) == pytest.approx(DENSITIES[name](value, given.tolist(), scale))


def draws(samples, seed=0, rows=1):
    return RandomNumbers(torch.tensor(seed), torch.arange(rows), torch.full((rows,), 60), samples)


@pytest.mark.parametrize(
    ("name", "mean", "variance"),
    [
        ("gaussian", 0.3, plus(-0.8) ** 2),
        ("negative-binomial", plus(0.3), plus(0.3) / 9 + plus(-0.8) / 3 * plus(0.3) ** 2),
    ],
)
def test_samples_have_mean_and_variance_on_the_scaled_values(name, mean, variance):
    given = GIVEN[:2].float().expand(40_000, 2)
    drawn = FAMILIES[name](2).sample(given, torch.full((40_000,), 9.0), draws(40_000))
    assert float(drawn.mean()) == pytest.approx(mean, abs=5 * math.sqrt(variance / 40_000))
    assert float(drawn.var()) == pytest.approx(variance, rel=0.06)


@pytest.mark.parametrize("name", ["student-t", "mixture"])
def test_samples_lie_where_the_density_says(name):
    family = FAMILIES[name](2)
    given = GIVEN[: family.size].float()
    drawn = family.sample(given.expand(40_000, -1), torch.tensor(1.0), draws(40_000))
    grid = torch.linspace(-80, 1.0, 200_001)
    below = torch.trapezoid(family.log_prob(given, grid, torch.tensor(1.0)).exp(), grid)
    assert float((drawn < 1).float().mean()) == pytest.approx(float(below), abs=0.012)


@pytest.mark.parametrize("name", FAMILIES)
def test_windows_are_sampled_by_numbers_of_their_own(name):
    """The same of a window alone or among others, and unrelated to what its neighbours have."""
    family = FAMILIES[name](2)
    given, samples = GIVEN[: family.size].float(), 4000
    rows = family.sample(
        given.expand(3 * samples, -1), torch.full((3 * samples,), 5.0), draws(samples, rows=3)
    )
    alone = family.sample(given.expand(samples, -1), torch.full((samples,), 5.0), draws(samples))
    rows = rows.view(samples, 3)
    assert torch.equal(rows[:, 0], alone)
    between = torch.corrcoef(rows.argsort(0).argsort(0).float().t())
    assert (between - torch.eye(3)).abs().max() < 4 / samples**0.5


@pytest.mark.parametrize("name", FAMILIES)
def test_samples_stay_finite_far_out(name):
    family = FAMILIES[name](3)
    given = torch.full((4, family.size), 1.0) * torch.tensor([[-60.0], [60.0], [0.0], [-5.0]])
    found = family.sample(given.repeat(500, 1), torch.ones(2000), draws(500, rows=4))
    assert torch.isfinite(found).all()


def test_another_seed_series_or_step_draws_other_numbers():
    seed, key, age = (torch.tensor(n) for n in ([0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]))
    found = [RandomNumbers(*(p[k : k + 1] for p in (seed, key, age)), 9).normal() for k in range(4)]
    assert len({tuple(numbers.tolist()) for numbers in found}) == 4


@pytest.mark.parametrize("name", FAMILIES)
def test_gradients_stay_finite_far_out(name):
    family = FAMILIES[name](3)
    given = torch.full((4, family.size), 1.0) * torch.tensor([[-60.0], [60.0], [0.0], [-5.0]])
    given.requires_grad_(True)
    family.log_prob(given, torch.tensor([0.0, 50.0, 1e4, 3.0]), torch.ones(4)).sum().backward()
    assert torch.isfinite(given.grad).all()


@pytest.mark.parametrize("settings", [{}, {"scaling": "mean", "transform": "log1p"}])
def test_counts_are_refused_where_they_are_scaled_as_what_they_are_not(settings):
    with pytest.raises(ConfigError, match=r"negative-binomial.*scaling = 'mean'"):
        FAMILIES["negative-binomial"](2).check(config(**settings))
    FAMILIES["negative-binomial"](2).check(config(scaling="mean"))
