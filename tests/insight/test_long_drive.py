"""Exponents of long drives against formulas and against the spectrum by QR."""

import math

import pytest
import torch
from networks import lstm, orthogonal, rnn

from recurra.insight.dynamics import dynamics_of
from recurra.insight.long_drive import drive
from recurra.insight.recorded_model import record
from recurra.nn import Recurrent

X = torch.randn(50, 4, 3, dtype=torch.double, generator=torch.Generator().manual_seed(3))


def driven(model, x=X):
    return drive(record(model, x).runs[0])


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0])
def test_a_linear_network_has_the_logarithm_of_its_factor(factor):
    found = driven(rnn(factor * torch.eye(6), nonlinearity="relu", bias=50.0))
    assert found.exponent == pytest.approx(math.log(factor), abs=1e-6)
    assert found.bounded == (factor < 1 or found.largest < 1e6)


def test_growth_without_bound_is_no_chaos():
    found = driven(rnn(1.2 * torch.eye(6), nonlinearity="relu", bias=0.5))
    assert not found.bounded
    assert not found.is_chaotic
    assert str(found) == "no bound"


def test_a_random_network_of_large_weights_is_chaotic_and_one_of_small_weights_is_not():
    torch.manual_seed(5)
    weights = torch.randn(40, 40) / 40**0.5
    wild, tame = driven(rnn(2.5 * weights)), driven(rnn(0.9 * weights))
    assert wild.is_chaotic
    assert wild.error < 0.05
    assert tame.exponent + 3 * tame.error < 0


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru", "mgu"])
def test_the_exponent_is_that_of_the_spectrum_of_a_long_run(cell):
    torch.manual_seed(7)
    layer = Recurrent(cell, 3, 6).double()
    x = torch.randn(600, 1, 3, generator=torch.Generator().manual_seed(8)).double()
    run = record(layer, x).runs[0]
    spectrum = dynamics_of(run, (0,), warmup=100).spectrum
    assert driven(layer, x).exponent == pytest.approx(spectrum.largest, abs=0.01)


def test_short_runs_of_a_quiet_network_are_no_chaos():
    """The largest exponent of 40 steps from zeros is above 0 here, that of the long run below."""
    torch.manual_seed(9)
    model = rnn(orthogonal(24, 1.15))
    assert not driven(model, X[:40]).is_chaotic


def test_masks_of_each_step_leave_no_drive():
    assert driven(Recurrent("lstm", 3, 4, zoneout=0.2).double()) is None
    assert driven(lstm(3.0)) is not None
