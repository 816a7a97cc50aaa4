"""Gradients through 2,000 steps, in float32, against float64 autograd of torch's own layers.

The weights are scaled so that the dynamics aren't chaotic; the drop-in's error is measured beside
torch's float32 error, so that a gradient cut or bent anywhere in time can't hide.
"""

import pytest
import torch

import recurra.nn
from recurra.nn import Recurrent

STEPS = 2000


def loss(y):
    """The last step and every hundredth: what comes back has crossed all of time."""
    return y[-1].square().sum() + y[::100].sum()


def errors(found, wanted):
    pairs = zip(found, wanted, strict=True)
    return max(((a.double() - b).norm() / b.norm()).item() for a, b in pairs)


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
def test_against_torch_in_float64(name):
    ours = getattr(recurra.nn, name)(3, 8)
    exact = getattr(torch.nn, name)(3, 8).double()
    exact.load_state_dict({k: v.double() for k, v in ours.state_dict().items()})
    x = torch.randn(STEPS, 2, 3)
    found = torch.autograd.grad(loss(ours(x)[0]), list(ours.parameters()))
    wanted = torch.autograd.grad(loss(exact(x.double())[0]), list(exact.parameters()))
    assert errors(found, wanted) < 1e-5


def remember(layer):
    """Weights with which a state fades over some thousand steps instead of a few."""
    gates = layer.cell.gates
    with torch.no_grad():
        if not gates:
            layer.U_l0.copy_(0.999 * torch.eye(8))
            layer.W_l0.mul_(0.01)
            layer.b_l0.fill_(0.0 if layer.cell.nonlinearity == "tanh" else 0.1)
            return
        kept = gates.index("f" if "f" in gates else "z")
        layer.b_l0[8 * kept : 8 * kept + 8] = 7.0
        layer.U_l0.mul_(0.3)
        if "i" in gates:  # what is added stays small, so that tanh(c) is not saturated
            layer.b_l0[:8] = -6.0


@pytest.mark.parametrize(
    "name", ["rnn", "rnn_relu", "lstm", "lstm_projected", "gru", "gru_original"]
)
def test_the_first_input_is_felt_at_the_last_step(name):
    layer = Recurrent(name, 3, 8)
    remember(layer)
    exact = Recurrent(name, 3, 8, dtype=torch.double)
    exact.load_state_dict({k: v.double() for k, v in layer.state_dict().items()})
    x = torch.randn(STEPS, 2, 3)
    found, wanted = (
        torch.autograd.grad(module(given)[0][-1].sum(), [given, *module.parameters()])
        for module, given in (
            (layer, x.clone().requires_grad_()),
            (exact, x.double().requires_grad_()),
        )
    )
    reach = wanted[0][:10].norm() / wanted[0][-10:].norm()
    assert reach > 1e-3
    # A float32 gate as near to one as these keeps only four digits of `1 - gate`.
    assert errors(found, wanted) < 1e-4
