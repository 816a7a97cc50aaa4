"""int8 steps of the CPU engine: numpy's whole numbers, every cell, NaN, widths, fallbacks."""

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from recurra.cells import CELLS
from recurra.engines.cpu.plan.target import Target
from recurra.engines.cpu.run.quantised_panels import quantised_rows
from recurra.errors import ConfigError, EngineError
from recurra.nn import GRU, LSTM, RNN, Recurrent
from recurra.nn.module_steps import steps_of

F = np.float32


def whole_numbers(values):
    """Rows (..., K) as whole numbers with their scale (...), computed in float32."""
    most = np.abs(values).max(-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.rint(values * (F(127) / most))
    return np.nan_to_num(found).astype(np.int32), most / F(127)


def product(weight, x):
    """The scheme by numpy: whole numbers multiplied exactly, then scaled."""
    (w, by_row), (v, scale) = whole_numbers(weight), whole_numbers(x)
    return (v @ w.T).astype(F) * (scale * by_row[:, 0])


def drawn(shape, seed, size=1.0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * size


def identity_rnn(inputs, size, weight):
    """A layer whose output is relu(W x), so that the products are seen."""
    layer = RNN(inputs, size, nonlinearity="relu", bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(weight)
        layer.weight_hh_l0.zero_()
    return layer


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize(("inputs", "size"), [(1, 1), (3, 5), (37, 50), (130, 200)])
def test_products_are_numpys_to_the_last_bit(inputs, size, batch):
    weight, x = drawn((size, inputs), 1), drawn((4, batch, inputs), 2, 3.0)
    steps = steps_of(identity_rnn(inputs, size, weight), batch, quantize=True)
    expected = np.maximum(product(weight.numpy(), x.numpy()), 0)
    np.testing.assert_array_equal(steps.feed(x).numpy(), expected)


def test_the_largest_bytes_do_not_saturate():
    weight = torch.where(drawn((40, 64), 1) > 0, 1.0, -1.0)
    x = torch.where(drawn((2, 1, 64), 2) > 0, 1.0, -1.0)
    weight[0], x[0] = 1.0, 1.0
    got = steps_of(identity_rnn(64, 40, weight), quantize=True).feed(x)
    exact = np.maximum(product(weight.numpy(), x.numpy()), 0)
    np.testing.assert_array_equal(got.numpy(), exact)
    assert got[0, 0, 0] == pytest.approx(64)


def lstm_by_numpy(layer, x):
    """The outputs (T, O) of a quantised LSTM."""
    w, u, b, d = (p.detach().numpy() for p in layer.parameters())
    h = c = np.zeros(u.shape[1], F)
    outputs = []
    for row in x:
        i, f, g, o = np.split(product(w, row) + product(u, h) + b + d, 4)
        i, f, o = (1 / (1 + np.exp(-v)) for v in (i, f, o))
        c = f * c + i * np.tanh(g)
        h = o * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs)


def test_an_lstm_carries_float_states_between_steps():
    layer, x = LSTM(20, 33), drawn((9, 20), 3)
    got = steps_of(layer, quantize=True).feed(x[:, None])[:, 0]
    np.testing.assert_allclose(got.numpy(), lstm_by_numpy(layer, x.numpy()), atol=2e-3)
    plain = steps_of(layer).feed(x[:, None])[:, 0]
    assert 0 < (got - plain).abs().max() < 0.02


INPUT_ALONE = {"mingru", "minlstm", "qrnn_f", "qrnn_fo", "qrnn_ifo", "rglru"}
STEPPED = sorted(set(CELLS) - INPUT_ALONE)
SOME = {"gru_original", "lstm_projected", "lstm_layernorm", "slstm", "antisymmetric"}


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in SOME else pytest.mark.slow) for n in STEPPED]
)
def test_every_cell_has_steps_near_those_of_float32(name):
    torch.manual_seed(4)
    layer, x = Recurrent(name, 16, 16), drawn((12, 3, 16), 5)
    plain, rounded = steps_of(layer, 3), steps_of(layer, 3, quantize=True)
    expected, got = plain.feed(x), rounded.feed(x)
    assert ((got - expected).norm() / expected.norm()) < 0.05
    assert not torch.equal(got, expected)


@pytest.mark.parametrize("name", sorted(INPUT_ALONE))
def test_cells_that_multiply_their_input_alone_are_refused(name):
    with pytest.raises(EngineError, match="nothing to make int8"):
        steps_of(Recurrent(name, 16, 16), quantize=True)


@pytest.mark.parametrize("make", [lambda: LSTM(9, 20, 2), lambda: GRU(9, 20)])
def test_chunks_single_steps_and_rows_agree_bit_for_bit(make):
    layer, x = make(), drawn((7, 3, 9), 6)
    steps = steps_of(layer, 3, quantize=True)
    whole = steps.feed(x)
    steps.reset()
    assert torch.equal(torch.stack([steps.step(row) for row in x]), whole)
    steps.reset()
    for row in x[:3]:
        for which in range(3):
            rows = torch.tensor([which])
            found = steps.step_rows(row[rows], rows)
    assert torch.equal(found[0], whole[2, 2])


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_and_infinity_reach_their_own_row_alone(value):
    layer, x = LSTM(9, 20), drawn((4, 3, 9), 7)
    clean = steps_of(layer, 3, quantize=True).feed(x)
    x[1, 1, 4] = value
    found = steps_of(layer, 3, quantize=True).feed(x)
    assert found[1:, 1].isnan().all()
    assert torch.equal(found[:, [0, 2]], clean[:, [0, 2]])


def test_zeros_give_the_biases_alone():
    layer = LSTM(9, 20)
    zeros = torch.zeros(1, 1, 9)
    got, plain = steps_of(layer, quantize=True).feed(zeros), steps_of(layer).feed(zeros)
    torch.testing.assert_close(got, plain)


def test_new_weights_are_quantised_by_refresh():
    layer, x = GRU(9, 20), drawn((4, 1, 9), 8)
    steps = steps_of(layer, quantize=True)
    with torch.no_grad():
        layer.weight_hh_l0.mul_(2)
    steps.refresh(layer)
    assert torch.equal(steps.feed(x), steps_of(layer, quantize=True).feed(x))


def test_rows_of_zeros_and_of_nan():
    found = quantised_rows(torch.tensor([[0.0, 0.0], [float("nan"), 1.0]]))
    assert found.weights.tolist() == [[0, 0], [0, 0]]
    assert found.scales[0] == 0
    assert found.scales[1].isnan()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(3, 4).double(), r"float32 weights, and these are torch.float64"),
        (lambda: torch.nn.Sequential(torch.nn.Linear(2, 2)), r"no input_size"),
        (lambda: Recurrent("lstm", 3, 4, zoneout=0.1), r"no compiled steps"),
    ],
)
def test_what_can_not_be_quantised(make, message):
    with pytest.raises(ConfigError, match=message):
        steps_of(make(), quantize=True)


def test_products_without_an_instruction_for_bytes_are_numpys_too(monkeypatch):
    monkeypatch.setattr(Target, "byte_dot", "")
    weight, x = drawn((45, 29), 9), drawn((4, 2, 29), 10)
    steps = steps_of(identity_rnn(29, 45, weight), 2, quantize=True)
    expected = np.maximum(product(weight.numpy(), x.numpy()), 0)
    np.testing.assert_array_equal(steps.feed(x).numpy(), expected)


@pytest.mark.slow
def test_narrower_registers_give_the_same_numbers(tmp_path):
    script = (
        "import sys, torch; from recurra.nn import LSTM; "
        "from recurra.nn.module_steps import steps_of; torch.manual_seed(0); layer = LSTM(37, 50); "
        "x = torch.randn(5, 2, 37); y = steps_of(layer, 2, quantize=True).feed(x); "
        "torch.save(y, sys.argv[1])"
    )
    found = []
    for name in ("", "avx2"):
        environment = {k: v for k, v in os.environ.items() if k != "RECURRA_TARGET"}
        environment |= {"RECURRA_TARGET": name} if name else {}
        path = tmp_path / f"{name or 'widest'}.pt"
        subprocess.run([sys.executable, "-c", script, str(path)], env=environment, check=True)
        found.append(torch.load(path))
    torch.testing.assert_close(*found, rtol=0, atol=1e-4)
