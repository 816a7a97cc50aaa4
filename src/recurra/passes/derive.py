"""derive: one step of back-propagation through time, from a table of derivatives.

The backward loop is a loop as the forward one is: its states are the gradients of the forward
states, its steps go back in time, and it reads forward values. `RULES` is the one place where a
derivative is written. Two operations stand in backward loops alone: `zero_up_to(a, b, g)` is g, but
0 where a <= b; `zero_below(a, b, g)` is g, but 0 where a < b.

`clip` limits each element of dL/dh_t in such a loop, as it flows back through a step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from recurra.errors import EngineError
from recurra.ir import ROOT_BOUND, Emission, Loop, LoopInput, Node, in_order

__all__ = ["RULES", "clip", "derive"]

DerivativeRule = Callable[[Node, Node], tuple[Node | None, ...]]


def _node(op: str, *args: Node) -> Node:
    where = args[0].where
    return Node(op, args, None, max((a.shape for a in args), key=len), where)


def _const(value: float) -> Node:
    return Node("const", (), value, ())


def mul(a: Node, b: Node) -> Node:
    """a * b."""
    return _node("mul", a, b)


def neg(a: Node) -> Node:
    """-a."""
    return _node("neg", a)


def _sigmoid(y: Node, g: Node) -> tuple[Node, ...]:
    return (mul(mul(g, y), _node("sub", _const(1.0), y)),)


def _tanh(y: Node, g: Node) -> tuple[Node, ...]:
    return (mul(g, _node("sub", _const(1.0), mul(y, y))),)


def _sqrt(y: Node, g: Node) -> tuple[Node, ...]:
    return (_node("div", mul(_const(0.5), g), y),)


def _positive(a: Node, g: Node) -> Node:
    """g where a is positive or, as torch has it, NaN."""
    return _node("zero_up_to", a, _const(0.0), g)


def _larger(a: Node, b: Node, g: Node) -> Node:
    """g where a is the larger or one is NaN, half of it where they are equal, as torch has it."""
    both = _node("add", _node("zero_up_to", a, b, g), _node("zero_below", a, b, g))
    return mul(_const(0.5), both)


def _mean(y: Node, g: Node) -> tuple[Node, ...]:
    return (_share(y, g),) * len(y.args)


def _share(y: Node, g: Node) -> Node:
    """The gradient that each element of a row receives from a statistic y of the row."""
    whole = replace(y, op="mean", args=(g,), detail=None, name=None)
    return whole if len(y.args) == 1 else mul(_const(1 / len(y.args)), whole)


def _rstd(y: Node, g: Node) -> tuple[Node, ...]:
    # In this order y^3, which vanishes where the row is wide, stands nowhere.
    mean = replace(y, op="mean", detail=None, name=None)
    scale = neg(mul(mul(_share(y, g), y), y))
    return tuple(mul(scale, mul(y, _node("sub", a, mean))) for a in y.args)


RULES: dict[str, DerivativeRule] = {
    "neg": lambda y, g: (neg(g),),
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "relu": lambda y, g: (_positive(y, g),),
    "exp": lambda y, g: (mul(g, y),),
    "expm1": lambda y, g: (mul(g, _node("exp", y.args[0])),),
    "log": lambda y, g: (_node("div", g, y.args[0]),),
    "log1p": lambda y, g: (_node("div", g, _node("add", _const(1.0), y.args[0])),),
    "sqrt": _sqrt,
    "bounded_sqrt": lambda y, g: (
        _node("zero_up_to", y.args[0], _const(ROOT_BOUND), *_sqrt(y, g)),
    ),
    "softplus": lambda y, g: (mul(g, _node("sigmoid", y.args[0])),),
    "log_sigmoid": lambda y, g: (mul(g, _node("sigmoid", neg(y.args[0]))),),
    "abs": lambda y, g: (_node("sub", _positive(y.args[0], g), _positive(neg(y.args[0]), g)),),
    "add": lambda y, g: (g, g),
    "sub": lambda y, g: (g, neg(g)),
    "mul": lambda y, g: (mul(g, y.args[1]), mul(g, y.args[0])),
    "div": lambda y, g: (
        _node("div", g, y.args[1]),
        neg(_node("div", mul(g, y), y.args[1])),
    ),
    "mean": _mean,
    "rstd": _rstd,
    "maximum": lambda y, g: (_larger(y.args[0], y.args[1], g), _larger(y.args[1], y.args[0], g)),
    "where_positive": lambda y, g: (
        None,
        _positive(y.args[0], g),
        _node("zero_below", _const(0.0), y.args[0], g),
    ),
    "minimum": lambda y, g: (_larger(y.args[1], y.args[0], g), _larger(y.args[0], y.args[1], g)),
}


def derive(loop: Loop) -> Loop:
    """The backward loop: states `h` are dL/dh, reading `seed` h, what comes to it from above.

    Forward values appear in it as they are; `stash` decides which are kept. Raises EngineError for
    an operation without a rule.
    """
    gradients: dict[Node, Node] = {}
    emissions: list[Emission] = []
    for name, result in zip(loop.states, loop.results, strict=True):
        incoming = Node("adjoint", (), name, result.shape, result.where)
        seed = Node("seed", (), name, result.shape, result.where)
        _accumulate(gradients, result, _node("add", incoming, seed))
    for node in reversed(in_order(loop.results)):
        gradient = gradients.get(node)
        if gradient is None:
            continue
        if node.op == "outer":
            emissions += _emission(loop, node, gradient)
        elif node.op == "product":
            _through_product(node, gradient, gradients, emissions)
        elif node.op not in ("state", "const"):
            _through(node, gradient, gradients)
    states = {n.detail: n for n in in_order(loop.results) if n.op == "state"}
    zero = _const(0.0)
    results = tuple(
        gradients.get(states[name], zero) if name in states else zero for name in loop.states
    )
    return replace(loop, results=results, emissions=tuple(emissions), backward=True)


def _accumulate(gradients: dict[Node, Node], node: Node, gradient: Node) -> None:
    known = gradients.get(node)
    gradients[node] = gradient if known is None else _node("add", known, gradient)


def _through(node: Node, gradient: Node, gradients: dict[Node, Node]) -> None:
    if node.op not in RULES:
        raise EngineError(
            f"There is no derivative of `{node.op}` ({node.where}) in a compiled loop."
        )
    for arg, part in zip(node.args, RULES[node.op](node, gradient), strict=True):
        if part is not None and arg.op != "const":
            _accumulate(gradients, arg, part)


def _through_product(
    node: Node, gradient: Node, gradients: dict[Node, Node], emissions: list[Emission]
) -> None:
    matrix, vector = node.args
    back = Node("transpose", (matrix,), None, matrix.shape[::-1], node.where)
    through = Node("product", (back, gradient), None, vector.shape, node.where)
    _accumulate(gradients, vector, through)
    assert isinstance(matrix.detail, tuple)
    emissions.append(Emission("matrix", matrix.detail, gradient, vector))


def _emission(loop: Loop, node: Node, gradient: Node) -> tuple[Emission, ...]:
    """The emission of a leaf's gradient; a given leaf, such as a mask, has none."""
    assert isinstance(node.detail, tuple)
    value = loop.inputs[node.detail[0]]
    if value.node.op == "given":
        return ()
    if value.timed:
        return (Emission("timed", node.detail, gradient),)
    return (Emission("vector" if node.shape else "scalar", node.detail, gradient),)


def clip(loop: Loop) -> Loop:
    """The backward loop with one loop input more, the last: the limit, a scalar."""
    limit = Node("const", (), 0.0, ())
    index = len(loop.inputs)
    bound = Node("outer", (), (index, None), ())
    output = loop.states[0]
    done: dict[Node, Node] = {}
    for root in (*loop.results, *(e.node for e in loop.emissions)):
        for node in in_order((root,)):
            if node not in done:
                rebuilt = _rebuilt(node, done)
                done[node] = _limited(rebuilt, bound) if _is_incoming(node, output) else rebuilt
    emissions = tuple(replace(e, node=done[e.node]) for e in loop.emissions)
    inputs = (*loop.inputs, LoopInput(limit, timed=False))
    results = tuple(done[r] for r in loop.results)
    return replace(loop, inputs=inputs, results=results, emissions=emissions)


def _is_incoming(node: Node, state: str) -> bool:
    """True if a node is the whole of dL/dh_t: from the step after and from the output."""
    leaves = {(a.op, a.detail) for a in node.args}
    return node.op == "add" and leaves == {("adjoint", state), ("seed", state)}


def _rebuilt(node: Node, done: dict[Node, Node]) -> Node:
    args = tuple(done[a] for a in node.args)
    return node if args == node.args else replace(node, args=args)


def _limited(node: Node, bound: Node) -> Node:
    below = Node("minimum", (node, bound), None, node.shape, node.where)
    least = Node("neg", (bound,), None, ())
    return Node("maximum", (below, least), None, node.shape, node.where)
