"""Jacobians and Lyapunov exponents against known cases and brute force."""

import math

import pytest
import torch
from networks import lstm, rnn

from recurra.errors import InsightError
from recurra.insight import Spectrum, jacobians
from recurra.insight.dynamics import step_jacobians
from recurra.insight.recorded_model import record
from recurra.nn import GRU, RNN, Recurrent

X = torch.randn(30, 2, 3, dtype=torch.double, generator=torch.Generator().manual_seed(3))


def linear(matrix):
    """A network that is linear where it runs: relu far above zero."""
    return rnn(torch.as_tensor(matrix, dtype=torch.double), nonlinearity="relu", bias=1e3)


def test_a_linear_network_has_the_logarithms_of_its_eigenvalues():
    values = torch.tensor([0.9, 0.5, 0.2])
    found = jacobians(linear(torch.diag(values)), X)[0]
    torch.testing.assert_close(found.spectrum.exponents, values.double().log())
    assert found.mean_radius == pytest.approx(0.9)
    assert found.norm.unique().tolist() == pytest.approx([0.9])


def test_a_sheared_linear_network_tends_to_them():
    found = jacobians(linear([[0.8, 0.3], [0.0, 0.4]]), X, warmup=10)[0]
    expected = torch.tensor([0.8, 0.4], dtype=torch.double).log()
    torch.testing.assert_close(found.spectrum.exponents, expected, atol=1e-3, rtol=0)
    assert float(found.norm[0, 0]) > 0.8


def test_the_identity_neither_grows_nor_shrinks():
    spectrum = jacobians(linear(torch.eye(4)), X)[0].spectrum
    assert spectrum.exponents.tolist() == [0.0] * 4
    assert spectrum.dimension == 4


@pytest.mark.parametrize(("gain", "chaotic"), [(0.5, False), (2.5, True)])
def test_a_random_network_is_chaotic_beyond_a_gain_of_one(gain, chaotic):
    size = 60
    torch.manual_seed(0)
    model = RNN(1, size, bias=False)
    with torch.no_grad():
        model.weight_hh_l0.normal_(0, gain / math.sqrt(size))
    batch = (torch.zeros(60, 1, 1), torch.randn(1, 1, size))
    largest = jacobians(model, batch, exponents=3, samples=1, warmup=10)[0].spectrum.largest
    assert (largest > 0.05) == chaotic
    assert (largest < -0.05) != chaotic


@pytest.mark.parametrize("cell", ["gru", "lstm", "rnn"])
def test_exponents_are_those_of_the_product(cell):
    model = Recurrent(cell, 3, 4, bidirectional=True).double()
    for run, found in zip(record(model, X[:8]).runs, jacobians(model, X[:8]), strict=True):
        product = torch.eye(len(found.spectrum.exponents), dtype=torch.double)
        for _, jacobian in step_jacobians(run, 0):
            product = jacobian @ product
        growth = torch.linalg.qr(product).R.diagonal().abs().log() / 8
        expected = growth.sort(descending=True).values
        torch.testing.assert_close(found.spectrum.exponents[:3], expected[:3])


def one_step(model, x, states):
    return torch.cat([s.flatten() for s in model(x, tuple(states.view(2, 1, 1, 3)))[1]])


def test_jacobians_are_those_of_autograd():
    model = lstm(1.0, size=3)
    run = record(model, X[:4]).runs[0]
    for t, found in step_jacobians(run, 1):
        before = torch.cat([s[1].detach() for s in run.before[t]])
        x = X[t : t + 1, 1:]
        expected = torch.autograd.functional.jacobian(lambda s, x=x: one_step(model, x, s), before)
        torch.testing.assert_close(found, expected)


def test_radius_and_norm_at_sampled_steps():
    model = GRU(3, 5).double()
    every = jacobians(model, X)[0]
    some = jacobians(model, X, samples=4)[0]
    assert some.times.tolist() == [0, 10, 19, 29]
    torch.testing.assert_close(some.radius, every.radius[:, some.times])
    torch.testing.assert_close(some.norm, every.norm[:, some.times])
    torch.testing.assert_close(some.spectrum.exponents, every.spectrum.exponents)


def test_fewer_exponents_are_the_largest():
    model = GRU(3, 5).double()
    every = jacobians(model, X)[0].spectrum
    some = jacobians(model, X, exponents=2)[0].spectrum
    torch.testing.assert_close(some.exponents, every.exponents[:2])
    assert some.size == 5


def test_rows_that_end_and_segments_that_begin():
    model, lengths = GRU(3, 4).double(), torch.tensor([30, 12])
    resets = torch.zeros(30, 2, dtype=torch.bool)
    resets[5, 0] = True
    batch = {"input": X, "lengths": lengths, "resets": resets}
    found = jacobians(model, batch, rows=(0, 1))[0]
    assert bool(found.radius[0, 5].isnan())
    assert bool(found.radius[1, 12:].isnan().all())
    assert int(found.radius.isfinite().sum()) == 29 + 12
    assert found.spectrum.steps == 12


def test_an_orthogonal_network_is_at_the_edge():
    found = jacobians(linear(torch.eye(5).roll(1, 0)), X)[0]
    assert found.mean_radius == pytest.approx(1, abs=1e-6)
    assert found.spectrum.largest == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("exponents", "size", "dimension"),
    [([0.3, -0.1, -0.4], 3, 2.5), ([-0.1, -0.2], 2, 0.0), ([0.2, 0.1], 2, 2.0)],
)
def test_the_dimension_of_known_spectra(exponents, size, dimension):
    assert Spectrum(torch.tensor(exponents), 9, size).dimension == pytest.approx(dimension)


def test_the_dimension_is_unknown_where_exponents_are_missing():
    assert math.isnan(Spectrum(torch.tensor([0.2, 0.1]), 9, 5).dimension)


def test_a_row_that_is_not_there_and_steps_that_are_not():
    with pytest.raises(InsightError, match="row = 2 is not in the batch of 2 rows"):
        jacobians(GRU(3, 4).double(), X, rows=(2,))
    with pytest.raises(InsightError, match="has 30 and 30 are left out"):
        jacobians(GRU(3, 4).double(), X, warmup=30)
