"""The contract of engines: they give what the interpreter gives, cell by cell."""

import subprocess
import sys

import pytest
import torch
from contract import (
    COMPILED,
    CORE,
    ENGINES_OF,
    VARIED,
    B,
    T,
    assert_same,
    draw,
    marks,
    slow_but,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from odd_cells import ODD
from runs import run_cell
from torch.func import grad, jvp, vmap

from recurra.cells import CELLS, Cell, exp, maximum, minimum, relu, sigmoid, sqrt, tanh
from recurra.compile import ENGINES, kernel
from recurra.engines.cpu.emit.equations import RULES
from recurra.errors import EngineError
from recurra.ir import in_order
from recurra.nn import Recurrent
from recurra.passes import lower
from recurra.passes.derive import RULES as DERIVATIVES

TYPES = [torch.float64, torch.float32]
OTHERS = [name for name in COMPILED if name not in CORE]
TOLD_APART = [name for name in [*OTHERS, *ODD] if name in VARIED or name in ODD]


def options_of(masked, reverse, batch=B, steps=T):
    lengths, resets = marks(steps, batch) if masked else (None, None)
    return {"lengths": lengths, "resets": resets, "reverse": reverse}


RUNNERS = [(name, engine) for name in CORE for engine in ENGINES_OF[name]]


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize(("name", "engine"), RUNNERS)
def test_contract(name, engine, masked):
    for reverse in (False, True):
        options = options_of(masked, reverse)
        assert_same(CELLS[name], draw(CELLS[name]), engine=engine, **options)


@pytest.mark.parametrize("masked", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("name", "engine"), RUNNERS)
def test_contract_in_single_precision(name, engine, masked):
    drawn = draw(CELLS[name], dtype=torch.float32)
    for reverse in (False, True):
        assert_same(CELLS[name], drawn, engine=engine, **options_of(masked, reverse))


@pytest.mark.parametrize("name", slow_but(TOLD_APART, [*OTHERS, *ODD]))
def test_contract_of_other_cells(name):
    cell = (COMPILED | ODD)[name]
    # 38 ends in columns that fill no block; that is the same code for all cells.
    hidden = 38 if name in VARIED or name in ODD else 16
    for reverse in (False, True):
        assert_same(cell, draw(cell, hidden=hidden, scale=0.1), **options_of(True, reverse))


@pytest.mark.parametrize("name", slow_but([n for n in OTHERS if n in VARIED], OTHERS))
def test_contract_of_other_cells_whole_in_single_precision(name):
    assert_same(COMPILED[name], draw(COMPILED[name], hidden=38, scale=0.1, dtype=torch.float32))


def operations(name):
    """The words and products of all loops that a cell is compiled to."""
    loops = lower((COMPILED | ODD)[name].graph()).loops.values()
    roots = [n for loop in loops for n in (*loop.results, *(e.node for e in loop.emissions))]
    return {node.op for node in in_order(tuple(roots))}


def test_the_cells_of_every_run_ask_for_every_operation():
    kept = set().union(*map(operations, [*CORE, *TOLD_APART]))
    assert kept >= set().union(*map(operations, COMPILED | ODD))


@pytest.mark.parametrize("batch", [1, 2, 3, 13])
@pytest.mark.parametrize("name", ["Chain", "Late", "Early", "gru_original"])
def test_what_is_overwritten_in_place_is_read_before(name, batch):
    """More columns than a tile has, so that a product reads what its own phase writes."""
    cell = (COMPILED | ODD)[name]
    assert_same(cell, draw(cell, hidden=37, batch=batch, scale=0.1))


@pytest.mark.parametrize("engine", ["cpu", "torch"])
@pytest.mark.parametrize("name", ["lstm", "gru", "lstm_projected"])
@pytest.mark.parametrize("masked", [False, True])
def test_second_gradients(name, masked, engine):
    options = options_of(masked, False)
    drawn = draw(CELLS[name])
    assert_same(CELLS[name], drawn, order=2, tolerance=1e-11, engine=engine, **options)


sizes = st.integers(1, 19)


@given(sizes, sizes, sizes, sizes, st.sampled_from(["lstm", "gru"]), st.booleans())
@settings(max_examples=8, deadline=None, derandomize=True)
def test_contract_at_random_sizes(steps, batch, inputs, hidden, name, masked):
    shape = {"steps": steps, "batch": batch, "inputs": inputs, "hidden": hidden}
    for engine in ENGINES_OF[name]:
        options = options_of(masked, True, batch, steps)
        assert_same(CELLS[name], draw(CELLS[name], **shape), engine=engine, **options)


def test_fewer_threads_than_asked_for_do_all_rows():
    code = (
        "import torch, recurra.nn; torch.set_num_threads(2);"
        "m = recurra.nn.GRU(3, 5, engine='cpu');"
        "x = torch.randn(4, 13, 3); y = m(x)[0]; torch.set_num_threads(1);"
        "assert torch.allclose(y, m(x)[0], atol=1e-6)"
    )
    environment = {"OMP_THREAD_LIMIT": "1", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


class Words(Cell):
    """Every word whose value at the edges is a matter of care."""

    states = ("h", "c", "d", "e", "f")
    sizes = {"x": "hidden_size"}

    def step(self, x, h, c, d, e, f):
        return relu(x) + h, tanh(x) + c, sigmoid(x) + d, exp(x) + e, maximum(x, minimum(f, x))


@pytest.mark.parametrize("dtype", TYPES, ids=str)
def test_values_at_the_edges(dtype):
    inf = float("inf")
    x = torch.tensor(
        [float("nan"), inf, -inf, 0.0, -0.0, 1e38, -1e38, 88.5, -88.5, 720.0], dtype=dtype
    )
    states = [torch.zeros(1, len(x), dtype=dtype) for _ in range(5)]
    found = [
        run_cell(kernel(Words(), engine=e), x.view(1, 1, -1), states, {}) for e in ("cpu", "interp")
    ]
    torch.testing.assert_close(found[0], found[1], equal_nan=True, rtol=3e-7, atol=1e-37)


class Rooted(Cell):
    """A cell with a word that the tests take away from the engine."""

    states = ("h",)

    def step(self, x, h, W, U):
        return sqrt(1 + (W @ x + U @ h) ** 2)


@pytest.fixture
def without_a_rule(monkeypatch):
    monkeypatch.delitem(RULES, "sqrt")


@pytest.mark.usefixtures("without_a_rule")
def test_refusals_name_the_line_and_who_can():
    where = r"it has no rule for `sqrt` \(test_cpu_engine.py:\d+, .*Engines that can: interp\."
    with pytest.raises(EngineError, match=where):
        kernel(Rooted(), engine="cpu")


def test_a_missing_derivative_is_refused_too(monkeypatch):
    monkeypatch.delitem(DERIVATIVES, "sqrt")
    with pytest.raises(EngineError, match=r"has no derivative of `sqrt` \(test_cpu_engine\.py:"):
        kernel(Rooted(), engine="cpu")


@pytest.mark.usefixtures("without_a_rule")
def test_auto_falls_back_and_says_so_once(caplog):
    with caplog.at_level("INFO", logger="recurra"):
        layers = [Recurrent(Rooted, 3, 4, engine="auto") for _ in range(2)]
        assert [layer.engine for layer in layers] == ["interp"] * 2
        layers[0](torch.randn(2, 3, 3))
    (record,) = (r for r in caplog.records if r.name.startswith("recurra"))
    text = "engine auto: Rooted runs on interp: the cpu engine has no rule for `sqrt` (test_cpu_eng"
    assert record.getMessage().startswith(text)
    assert record.getMessage().endswith("; the torch engine has no operation for these equations")


@pytest.mark.parametrize(
    ("name", "engine"), [("lstm", "cpu"), ("gru_original", "cpu"), ("gru", "torch")]
)
def test_gradcheck(name, engine):
    params, x, states = draw(CELLS[name], steps=3, batch=2, inputs=2, hidden=3)
    names = list(params)

    def flat(*values):
        given = dict(zip(names, values, strict=False))
        x, *states = values[len(names) :]
        y, last = run_cell(kernel(CELLS[name], engine=engine), x, states, given)
        return (y, *last)

    values = [*params.values(), x, *states]
    assert torch.autograd.gradcheck(flat, values, fast_mode=True)
    assert torch.autograd.gradgradcheck(flat, values, fast_mode=True)


@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_torch_func(name):
    params, x, _ = draw(CELLS[name])
    layers = [Recurrent(name, x.shape[2], 4, engine=e).double() for e in ENGINES]
    for layer in layers[1:]:
        layer.load_state_dict(layers[0].state_dict())
    for transform in (
        lambda f: grad(lambda v: f(v).square().sum())(x),
        lambda f: vmap(lambda v: f(v.unsqueeze(1)), in_dims=1)(x),
        lambda f: vmap(grad(lambda v: f(v.unsqueeze(1)).square().sum()), in_dims=1)(x),
        lambda f: jvp(f, (x,), (torch.ones_like(x),)),
    ):
        found = [transform(lambda v, layer=layer: layer(v)[0]) for layer in layers]
        torch.testing.assert_close(found[0], found[2])
        torch.testing.assert_close(found[1], found[2])
    assert params
