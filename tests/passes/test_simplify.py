"""simplify: what it rewrites, what it leaves alone, and that every bit stays."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "engines"))
from contract import COMPILED, draw
from odd_cells import ODD
from runs import run_cell

from recurra.cells import CELLS, Cell, maximum, relu, tanh
from recurra.engines.interpreter import Interpreter
from recurra.ir import Graph, Node, Size, in_order
from recurra.passes import derive, gates, hoist, norms, phases, simplify, simplify_loop, stash

SHAPE = (Size("hidden_size"),)
SPECIAL = [0.0, -0.0, 1.0, -1.5, 0.1, 3e38, -3e38, 1e-45, float("inf"), -float("inf"), float("nan")]
X, Y = (Node("state", (), name, SHAPE) for name in "xy")


def const(value):
    return Node("const", (), value, ())


def make(op, *args):
    return Node(op, args, None, max((a.shape for a in args), key=len))


def simple(*nodes):
    graph = Graph("Any", ("x", "y"), (), SHAPE * 2, (), nodes)
    return simplify(graph).results


def text(node):
    if not node.args:
        return repr(node.detail) if node.op == "const" else str(node.detail)
    return f"{node.op}({', '.join(map(text, node.args))})"


def evaluate(node, dtype):
    pairs = torch.tensor(SPECIAL, dtype=dtype)
    known = {X: pairs.repeat_interleave(len(pairs)), Y: pairs.repeat(len(pairs))}
    values = Interpreter(Graph("Any", ("x", "y"), (), SHAPE * 2, (), (node, node)))
    return values.step(known[X], (known[X], known[Y]), {})[0]


REWRITTEN = {
    "x": [
        make("mul", X, const(1.0)),
        make("mul", const(1.0), X),
        make("div", X, const(1.0)),
        make("sub", X, const(0.0)),
        make("add", X, const(-0.0)),
        make("add", const(-0.0), X),
        make("neg", make("neg", X)),
        make("maximum", X, X),
        make("mul", make("sub", X, make("mul", const(0.0), const(3.0))), const(1.0)),
    ],
    "neg(x)": [
        make("mul", const(-1.0), X),
        make("sub", const(-0.0), X),
        make("div", X, const(-1.0)),
    ],
    "sub(x, y)": [make("add", X, make("neg", Y)), make("add", make("neg", Y), X)],
    "add(x, y)": [make("sub", X, make("neg", Y))],
    "mul(x, y)": [make("mul", make("neg", X), make("neg", Y))],
    "sub(x, mul(x, y))": [make("add", make("mul", make("neg", Y), X), X)],
    "neg(div(x, y))": [make("div", X, make("neg", Y))],
    "mul(x, 0.25)": [make("div", X, const(4.0))],
    "abs(x)": [make("abs", make("neg", X)), make("abs", make("abs", X))],
    "relu(x)": [make("relu", make("relu", X))],
    "mul(x, 3.5)": [make("mul", X, make("add", const(3.0), const(0.5)))],
}
PAIRS = [(wanted, node) for wanted, nodes in REWRITTEN.items() for node in nodes]


@pytest.mark.parametrize(
    ("wanted", "node"), PAIRS, ids=lambda v: v if isinstance(v, str) else text(v)
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_rewriting_keeps_every_bit(wanted, node, dtype):
    (found, _) = simple(node, Y)
    if wanted != "sub(x, mul(x, y))":
        assert text(found) == wanted
    before, after = evaluate(node, dtype), evaluate(found, dtype)
    torch.testing.assert_close(after, before, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(after.signbit() & ~after.isnan(), before.signbit() & ~before.isnan())


LEFT = [
    make("add", X, const(0.0)),
    make("sub", const(0.0), X),
    make("sub", X, const(-0.0)),
    make("mul", X, const(0.0)),
    make("sub", X, X),
    make("div", X, X),
    make("neg", make("sub", X, Y)),
    make("div", X, const(3.0)),
    make("mul", X, make("add", const(0.1), const(0.2))),
    make("add", make("add", X, Y), X),
]


@pytest.mark.parametrize("node", LEFT, ids=text)
def test_what_would_change_a_bit_is_left_alone(node):
    assert text(simple(node, Y)[0]) == text(node)


def test_equal_values_are_computed_once():
    a, b = make("tanh", make("mul", X, Y)), make("tanh", make("mul", Y, X))
    (found, other) = simple(a, b)
    assert found is other
    first, second = simple(make("maximum", X, Y), make("maximum", Y, X))
    assert first is not second
    zeros = simple(make("add", X, const(0.0)), make("sub", X, const(-0.0)))
    assert sum(n.op == "const" for n in in_order(zeros)) == 2


class Wordy(Cell):
    """More operations than it needs, in the loop and outside."""

    states = ("h",)

    def step(self, x, h, W, U, b):
        a = 1.0 * tanh(W @ x + U @ h + b / 1.0)
        m = -relu(relu(a))
        c = -m * 1.0
        return maximum(c, c) - (-(0.5 * a)) + tanh(W @ x + U @ h + b) / 2.0


@pytest.mark.parametrize("name", [*CELLS, "Wordy"])
def test_simplify_changes_no_value_of_a_cell(name):
    cell = Wordy() if name == "Wordy" else CELLS[name]
    params, x, states = draw(cell)
    graph = gates(cell.graph())
    found = run_cell(Interpreter(simplify(graph)), x, states, params)
    wanted = run_cell(Interpreter(graph), x, states, params)
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


def test_a_wordy_cell_is_cut_short():
    before = gates(Wordy().graph())
    assert len(before.nodes) - len(simplify(before).nodes) >= 8
    assert len(simplify(simplify(before)).nodes) == len(simplify(before).nodes)


def backward_of(cell):
    loop = hoist(simplify(gates(norms(cell.graph()))))
    backward = stash(loop, derive(loop))[1]
    return backward, simplify_loop(backward)


def size(loop):
    return len(in_order((*loop.results, *(e.node for e in loop.emissions))))


def test_what_derive_makes_gets_shorter():
    sizes = [[size(loop) for loop in backward_of(CELLS[n])] for n in ("lstm", "gru", "rnn")]
    assert [before - after for before, after in sizes] == [4, 5, 0]
    assert all(after <= before for before, after in sizes)


@pytest.mark.parametrize("name", COMPILED | ODD)
def test_a_backward_loop_runs_in_as_few_phases_and_sums(name):
    before, after = (phases(loop).phases for loop in backward_of((COMPILED | ODD)[name]))
    assert len(before) == len(after)
    assert sum(len(p.sums) for p in after) <= sum(len(p.sums) for p in before)
