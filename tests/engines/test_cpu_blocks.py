"""Block-diagonal matrices, compiled: in the loop and around it, at sizes that fill no register."""

import pytest
import torch
from contract import assert_same, distance, draw, everything, marks, widened
from fresh import by_columns, guarded_all, hoisted, renamed, threads
from runs import run_cell
from torch.utils.flop_counter import FlopCounterMode

from helpers.own_cells import HeadsLSTM
from recurra.cells import Cell, sigmoid, sLSTM, tanh
from recurra.compile import Sequences, kernel
from recurra.engines.cpu.plan import tiling
from recurra.engines.cpu.plan.target import Target
from recurra.engines.cpu.run import compiled_loop
from recurra.engines.cpu.run.products import add_gradient
from recurra.passes import lower


class Original(Cell):
    """A product of what this step has computed."""

    states = ("h",)
    gates = ("r", "z", "n")
    blocks = {"U": "heads"}
    heads: int = 2

    def step(self, x, h, W, U, b):
        r = sigmoid(W.r @ x + U.r @ h + b.r)
        z = sigmoid(W.z @ x + U.z @ h + b.z)
        return (1 - z) * tanh(W.n @ x + U.n @ (r * h) + b.n) + z * h


class Beside(Cell):
    """Two numbers of blocks and a dense matrix in one sum."""

    states = ("h",)
    sizes = {"x": "hidden_size"}
    blocks = {"U": "heads", "W": "groups"}
    heads: int = 2
    groups: int = 3

    def step(self, x, h, W, U, V, b):
        return tanh(W @ x + U @ h + V @ h + b)


class Narrow(Cell):
    """Blocks that are not square, both ways."""

    states = ("h", "c")
    gates = ("i", "g")
    sizes = {"h": "narrow"}
    blocks = {"U": "heads", "R": "heads"}
    heads: int = 2
    narrow: int = 6

    def step(self, x, h, c, W, U, R):
        c = 0.5 * c + sigmoid(W.i @ x + U.i @ h) * tanh(W.g @ x + U.g @ h)
        return R @ tanh(c), c


class Inputs(Cell):
    """An input product of blocks, all gates at once, beside a dense one of the state."""

    states = ("h", "c")
    gates = ("i", "f")
    sizes = {"x": "hidden_size"}
    blocks = {"W": "heads"}
    heads: int = 2

    def step(self, x, h, c, W, U, b):
        a = W @ x + U @ h + b
        return sigmoid(a.i) * h + (1 - sigmoid(a.f)) * c, tanh(c * sigmoid(a.f))


class Only(Cell):
    """Nothing but the blocks tells the loop its sizes, the state's aside."""

    states = ("h",)
    blocks = {"U": "heads"}
    heads: int = 3

    def step(self, x, h, U):
        return tanh(U @ h)


@pytest.fixture(autouse=True)
def _verified(monkeypatch):
    monkeypatch.setenv("RECURRA_DEBUG", "3")


@pytest.mark.parametrize(
    ("cell", "hidden"),
    [
        (HeadsLSTM(heads=3), 3),
        (HeadsLSTM(heads=2), 40),
        (sLSTM(heads=4), 20),
        (Original(heads=4), 32),
        (Narrow(), 16),
        (Inputs(heads=2), 40),
        (Only(), 12),
    ],
    ids=lambda v: repr(v) if isinstance(v, Cell) else None,
)
def test_values_and_gradients(cell, hidden):
    drawn = guarded_all(draw(cell, hidden=hidden, batch=7, scale=0.3))
    assert_same(cell, drawn, reverse=hidden == 20)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    ("cell", "hidden"), [(HeadsLSTM(heads=8), 24), (Beside(), 36), (Narrow(), 8)]
)
def test_few_steps_read_weights_where_they_lie(cell, hidden, steps):
    drawn = draw(cell, hidden=hidden, batch=3, steps=steps, scale=0.3, dtype=torch.float32)
    assert_same(cell, guarded_all(drawn))


@pytest.mark.parametrize(
    ("cell", "reverse"), [(HeadsLSTM(heads=3), False), (Original(heads=3), True)]
)
def test_ragged_rows_and_segments(cell, reverse):
    lengths, resets = marks(6, 9)
    options = {"lengths": lengths, "resets": resets, "reverse": reverse}
    assert_same(cell, draw(cell, hidden=27, batch=9, scale=0.3), **options)


def test_packed_sequences():
    cell, lengths = HeadsLSTM(heads=3), torch.tensor([6, 5, 5, 2, 1])
    params, x, states = draw(cell, hidden=27, batch=5, scale=0.3)
    rows = x.detach()[torch.arange(6).unsqueeze(1) < lengths].requires_grad_()
    assert_same(cell, (params, rows, states), lengths=lengths, is_packed=True)


@pytest.mark.parametrize("batch", [1, 2, 3, 13, 48, 49, 70])
def test_rows_of_every_count(batch):
    """More than 32 rows over all steps bring the engine's own gradients of weights."""
    cell = HeadsLSTM(heads=2)
    assert_same(cell, guarded_all(draw(cell, hidden=18, batch=batch, steps=4, scale=0.3)))


@pytest.mark.parametrize(("cell", "steps"), [(Inputs(heads=3), 9), (Beside(), 2)], ids=repr)
def test_input_products_before_the_loop(cell, steps, monkeypatch):
    hoisted(monkeypatch)
    other = renamed(cell)
    with threads(2):
        assert_same(other, guarded_all(draw(other, hidden=18, batch=7, steps=steps, scale=0.3)))


@pytest.mark.parametrize("number", [2, 3])
def test_columns_are_shared(number, monkeypatch):
    by_columns(monkeypatch)
    for cell in (HeadsLSTM(heads=3), Beside()):
        drawn = draw(cell, hidden=42, batch=2, scale=0.2)
        with threads(number):
            assert_same(renamed(cell), drawn)


def test_rows_are_shared():
    with threads(3):
        assert_same(Original(heads=2), draw(Original(), hidden=10, batch=70, scale=0.3))


def test_panels_in_pieces(monkeypatch):
    monkeypatch.setattr(tiling, "_NEAREST_CACHE", 300)
    cell = renamed(Beside())
    assert_same(cell, draw(cell, hidden=42, batch=7, scale=0.2))


@pytest.mark.parametrize("width", [16, 64])
def test_registers_of_other_widths(width, monkeypatch):
    host = compiled_loop.host()
    target = Target(host.cpu, host.features, width, 32)
    monkeypatch.setattr(compiled_loop, "host", lambda: target)
    cell = renamed(HeadsLSTM(heads=2))
    assert_same(cell, draw(cell, hidden=40, batch=7, scale=0.2, dtype=torch.float32))


def test_second_gradients():
    for cell in (HeadsLSTM(), Inputs()):
        assert_same(cell, draw(cell, hidden=4, steps=2, batch=2), order=2, tolerance=1e-11)


def test_two_thousand_steps():
    cell = HeadsLSTM(heads=2)
    drawn = draw(cell, hidden=6, steps=2000, batch=1, scale=0.35, dtype=torch.float32)
    found = everything(cell, "cpu", drawn)
    assert distance(found, everything(cell, "interp", widened(drawn))) < 1e-5


@pytest.mark.parametrize("steps", [1, 5])
def test_heads_do_not_meet(steps):
    """What is not finite in one head stays there, in values and in gradients."""
    params, x, states = draw(HeadsLSTM(heads=3), hidden=15, steps=steps)
    with torch.no_grad():
        states[0][:, 5:10] = float("nan")
    y, _ = run_cell(kernel(HeadsLSTM(heads=3), engine="cpu"), x, states, params)
    (g,) = torch.autograd.grad(y.sum(), states[:1])
    mine = torch.arange(15) // 5 == 1
    for values in (y, g):
        assert values[..., mine].isnan().any()
        assert values[..., ~mine].isfinite().all()


def work(heads, kind):
    """Weights that a loop's products read in a step."""
    lowered, sizes = lower(HeadsLSTM(heads=heads).graph()), {"input_size": 8, "hidden_size": 64}
    loop, schedule = lowered.loops[kind], lowered.schedules[kind]
    made = tiling.make_plan(loop, schedule, sizes, "float", compiled_loop.host())
    return sum(t.columns * p.operand.depth * len(p.matrices) for t, p in made.panels)


@pytest.mark.parametrize("kind", ["forward", "backward"])
def test_blocks_are_all_that_is_computed(kind):
    assert [work(heads, kind) for heads in (1, 2, 4, 8)] == [4 * 64 * 64 // h for h in (1, 2, 4, 8)]


def test_operations_are_those_of_the_blocks():
    counts = []
    for heads in (1, 4):
        cell = HeadsLSTM(heads=heads)
        params, x, states = draw(cell, hidden=8, inputs=3)
        loop = kernel(cell, engine="cpu")
        with FlopCounterMode(display=False) as counter:
            loop.sequence(x, states, params, Sequences(6))
        counts.append(counter.get_total_flops())
    assert counts == [2 * 30 * 4 * 8 * (3 + 8 // heads) for heads in (1, 4)]


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("rows", [5, 33, 513])
@pytest.mark.parametrize(("m", "n"), [(1, 1), (7, 5), (20, 33)])
def test_gradient_of_blocks(m, n, rows, number):
    gates, blocks = 3, 4
    g = torch.randn(rows, gates * blocks * m + 7)[:, 2:-5].double()
    x, bias = torch.randn(rows, blocks * n).double(), torch.ones(g.shape[1]).double()
    weight, offsets = torch.empty(g.shape[1], n).double(), torch.randint(0, rows, (rows,))
    read = x[offsets].unflatten(1, (blocks, n))
    with threads(number):
        add_gradient(weight, g, x, offsets * x.stride(0), bias, blocks, gates)
    wanted = torch.einsum("rgbm,rbn->gbmn", g.unflatten(1, (gates, blocks, m)), read)
    torch.testing.assert_close(weight, wanted.flatten(0, 2))
    torch.testing.assert_close(bias, 1 + g.sum(0))
