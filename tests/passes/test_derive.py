"""Every row of the table of derivatives, beside torch's own and beside central differences."""

import pytest
import torch

from recurra.cells import CELLS
from recurra.engines.interpreter import RULES as FORWARD
from recurra.engines.interpreter import statistic
from recurra.errors import EngineError
from recurra.ir import OPS, Node, Size, in_order
from recurra.passes import derive, gates, hoist
from recurra.passes.derive import RULES

SHAPE = (Size("hidden_size"),)
VALUES = FORWARD | {
    "zero_up_to": lambda a, b, g: torch.where(a <= b, torch.zeros_like(g), g),
    "zero_below": lambda a, b, g: torch.where(a < b, torch.zeros_like(g), g),
}
STATISTICS = ("mean", "rstd")
INF, NAN = float("inf"), float("nan")
KINKS = [("relu", [v]) for v in (0.0, -0.0, NAN)] + [("abs", [v]) for v in (0.0, -0.0, NAN)]
PAIRS = [(1.0, 1.0), (INF, INF), (-INF, -INF), (0.0, -0.0), (NAN, 1.0), (1.0, NAN), (INF, 1.0)]
KINKS += [(op, list(pair)) for op in ("maximum", "minimum") for pair in PAIRS]
KINKS += [("where_positive", [v, 1.0, 2.0]) for v in (1.0, 0.0, -0.0, -INF)]
KINKS += [("where_positive", [1.0, 2.0, NAN]), ("where_positive", [-1.0, INF, 2.0])]
KINKS += [("bounded_sqrt", [v]) for v in (0.0, 1e-30, 1e-24, 1.1e-24)]


def leaf(name):
    return Node("state", (), name, SHAPE)


def evaluate(root, known):
    values = dict(known)
    for node in in_order((root,)):
        if node not in values:
            values[node] = value(node, [values[a] for a in node.args])
    return values[root]


def value(node, args):
    if node.op == "const":
        return torch.tensor(node.detail, dtype=torch.float64)
    return statistic(node, args) if node.op in STATISTICS else VALUES[node.op](*args)


def made(op, args):
    leaves = tuple(leaf(str(i)) for i in range(len(args)))
    return leaves, Node(op, leaves, 1e-5 if op == "rstd" else None, SHAPE)


def by_rule(op, args, gradient):
    (leaves, y), g = made(op, args), leaf("g")
    known = dict(zip(leaves, args, strict=True)) | {g: gradient}
    parts = RULES[op](y, g)
    return [torch.zeros_like(gradient) if p is None else evaluate(p, known) for p in parts]


def drawn(op):
    args = [torch.randn(200, dtype=torch.float64) for _ in range(OPS[op].arity or 3)]
    if op in ("log", "log1p", "sqrt", "bounded_sqrt"):
        args = [a.abs() + 0.1 for a in args]
    return args, torch.randn(200, dtype=torch.float64)


def by_torch(op, args, gradient):
    leaves = [a.clone().requires_grad_() for a in args]
    found = value(made(op, leaves)[1], leaves)
    return torch.autograd.grad(found, leaves, gradient, materialize_grads=True)


@pytest.mark.parametrize("op", RULES)
def test_rule_is_torchs(op):
    args, gradient = drawn(op)
    for found, wanted in zip(
        by_rule(op, args, gradient), by_torch(op, args, gradient), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("op", [op for op in RULES if op not in STATISTICS])
def test_rule_is_the_central_difference(op):
    args, gradient = drawn(op)
    step = 1e-6
    for i, found in enumerate(by_rule(op, args, gradient)):
        ahead, behind = (
            FORWARD[op](*(a + sign * step * (j == i) for j, a in enumerate(args)))
            for sign in (1, -1)
        )
        wanted = gradient * (ahead - behind) / (2 * step)
        smooth = (found - wanted).abs() <= 1e-6 * (1 + wanted.abs() * args[-1].abs().reciprocal())
        assert smooth.double().mean() > 0.99  # a kink may lie within a step


def test_a_bounded_root_has_roots_values_and_no_infinite_derivative():
    a = torch.tensor([0.0, 1e-60, 1e-24, 2e-24, 9.0], dtype=torch.float64)
    (found,) = by_rule("bounded_sqrt", [a], torch.ones_like(a))
    wanted = torch.tensor([0.0, 0.0, 0.0, 0.5 / 2e-24**0.5, 1 / 6], dtype=torch.float64)
    torch.testing.assert_close(found, wanted)
    assert torch.equal(FORWARD["bounded_sqrt"](a), a.sqrt())


@pytest.mark.parametrize(("op", "at"), KINKS)
def test_rule_at_the_kink(op, at):
    args = [torch.tensor([v], dtype=torch.float64) for v in at]
    gradient = torch.tensor([3.0], dtype=torch.float64)
    wanted = by_torch(op, args, gradient)
    torch.testing.assert_close(by_rule(op, args, gradient), list(wanted), rtol=0, atol=0)


def test_every_elementwise_word_has_a_rule():
    words = {op.name for op in OPS.values() if op.is_elementwise}
    assert words == RULES.keys() - set(STATISTICS)


def test_a_missing_rule_is_an_error(monkeypatch):
    monkeypatch.delitem(RULES, "tanh")
    loop = hoist(gates(CELLS["lstm"].graph()))
    with pytest.raises(EngineError, match=r"no derivative of `tanh` \(lstm.py:\d+"):
        derive(loop)


def test_an_empty_loop_of_gradients_is_backward_still():
    assert derive(hoist(gates(CELLS["rnn"].graph()))).backward
