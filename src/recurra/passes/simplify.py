"""norms, gates and simplify: the same values from fewer kinds of operations, and from fewer.

`norm(v)` becomes `(v - mean(v)) * rstd(v) * gain + bias`; `rstd(v)` is 1 / sqrt(variance + eps).
`(W @ x + U @ h + b).i` becomes `W.i @ x + U.i @ h + b.i`, so that no vector holds several gates.

simplify changes no bit: NaN, infinities and the sign of zero come out as they did, in float32 and
float64 (a NaN's own sign and payload aside, which nobody reads). What is therefore not done:

| not done                    | because                                                           |
|-----------------------------|-------------------------------------------------------------------|
| x + 0 to x, 0 - x to -x     | -0 + 0 is 0, and 0 - 0 is 0; x - 0, x + -0 and -0 - x are done    |
| x * 0 to 0, x - x to 0      | infinity and NaN give NaN                                         |
| x / x to 1                  | 0, infinity and NaN give NaN                                      |
| -(a - b) to b - a           | where a = b that is -0, not 0                                     |
| sums and factors in another | they round at other places; a + b and b + a are the same          |
| order                       |                                                                   |
| max(a, b) as max(b, a)      | of 0 and -0 the second is taken                                   |
| constants that no float32   | in float32 they are rounded first: 0.1 + 0.2 differs from 0.3     |
| holds, folded               |                                                                   |
| quotients and functions of  | they may be rounded twice; an engine's tanh isn't Python's        |
| constants                   |                                                                   |
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import replace

from recurra.ir import OPS, Graph, Loop, Node, Size, in_order, rewrite

__all__ = [
    "gates",
    "norms",
    "simplify",
    "simplify_loop",
]


_COMMUTE = ("add", "mul")
_EXPONENTS = 64  # powers of two whose reciprocals are ordinary numbers in float32, too


def simplify(graph: Graph) -> Graph:
    """The graph with equal values computed once, and without operations that do nothing."""
    return replace(graph, results=_Simplifying().all(graph.results))


def simplify_loop(loop: Loop) -> Loop:
    """The same for a backward loop, once `stash` has made leaves of what is kept.

    Before that, a value which the loop could compute from others that are kept might be found equal
    to one of the forward loop, and kept as well.
    """
    count = len(loop.results)
    nodes = _Simplifying().all((*loop.results, *(e.node for e in loop.emissions)))
    pairs = zip(loop.emissions, nodes[count:], strict=True)
    emissions = tuple(replace(emission, node=node) for emission, node in pairs)
    return replace(loop, results=nodes[:count], emissions=emissions)


class _Simplifying:
    """`settled` are nodes as simple as they get, with a number for each."""

    def __init__(self) -> None:
        self.settled: dict[Node, int] = {}
        self.done: dict[Node, Node] = {}
        self.shared: dict[object, Node] = {}

    def all(self, roots: tuple[Node, ...]) -> tuple[Node, ...]:
        """The roots made simpler, from the leaves up."""
        for node in in_order(roots):
            if node not in self.done:
                self.done[node] = self._simple(node, tuple(self.done[a] for a in node.args))
        return tuple(self.done[r] for r in roots)

    def _simple(self, node: Node, args: tuple[Node, ...]) -> Node:
        """The node with these arguments, or what it comes to, which may be simpler still."""
        if node in self.settled:
            return node
        if args != node.args:
            node = replace(node, args=args)
        for rule in _RULES.get(node.op, ()):
            found = rule(node)
            if found is not None:
                return self._made_simple(found)
        return self._once(node)

    def _made_simple(self, made: Node) -> Node:
        """The nodes that a rule has made, few of them on top of settled ones, made simple."""
        if made in self.settled:
            return made
        return self._simple(made, tuple(self._made_simple(a) for a in made.args))

    def _once(self, node: Node) -> Node:
        args = [self.settled[a] for a in node.args]
        if node.op in _COMMUTE:
            args.sort()
        detail = repr(node.detail)  # 0.0 and -0.0 are equal, and not the same
        found = self.shared.setdefault((node.op, tuple(args), detail, node.shape), node)
        self.settled.setdefault(found, len(self.settled))
        return found


def _made(op: str, like: Node, *args: Node) -> Node:
    return Node(op, args, None, like.shape, like.where, like.name)


def _const(like: Node, value: float) -> Node:
    return Node("const", (), value, (), like.where)


def _is(node: Node, value: float) -> bool:
    """True if a node is that constant, the sign of zero included."""
    return node.op == "const" and repr(node.detail) == repr(value)


Rewrite = Callable[[Node], Node | None]
_FOLDS: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
}


def _fold(node: Node) -> Node | None:
    """Two constants as one: float64 holds such sums and products of float32 so well that rounding
    twice is rounding once."""
    values = [a.detail for a in node.args if a.op == "const"]
    numbers = [v for v in values if isinstance(v, float) and _is_single(v)]
    return None if len(numbers) < 2 else _const(node, _FOLDS[node.op](*numbers))


def _is_single(value: float) -> bool:
    if not math.isfinite(value) or abs(value) > 3e38:
        return False
    single: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return single == value


def _neg(node: Node) -> Node | None:
    (inner,) = node.args
    if inner.op == "const" and isinstance(inner.detail, float):
        return _const(node, -inner.detail)
    return inner.args[0] if inner.op == "neg" else None


def _add(node: Node) -> Node | None:
    a, b = node.args
    if _is(b, -0.0):
        return a
    if _is(a, -0.0):
        return b
    if b.op == "neg":
        return _made("sub", node, a, b.args[0])
    return _made("sub", node, b, a.args[0]) if a.op == "neg" else None


def _sub(node: Node) -> Node | None:
    a, b = node.args
    if _is(b, 0.0):
        return a
    if _is(a, -0.0):
        return _made("neg", node, b)
    return _made("add", node, a, b.args[0]) if b.op == "neg" else None


def _mul(node: Node) -> Node | None:
    a, b = node.args
    for one, other in ((a, b), (b, a)):
        if _is(one, 1.0):
            return other
        if _is(one, -1.0):
            return _made("neg", node, other)
    return _signs(node)


def _div(node: Node) -> Node | None:
    a, b = node.args
    if _is(b, 1.0):
        return a
    if b.op == "const" and isinstance(b.detail, float) and b.detail != 0:
        fraction, exponent = math.frexp(b.detail)
        if abs(fraction) == 0.5 and abs(exponent) < _EXPONENTS:
            return _made("mul", node, a, _const(node, 1 / b.detail))
    return _signs(node)


def _signs(node: Node) -> Node | None:
    """Minus signs of factors before the whole, where a sum may take them up."""
    a, b = (arg.args[0] if arg.op == "neg" else arg for arg in node.args)
    count = sum(arg.op == "neg" for arg in node.args)
    if not count or max(a.shape, b.shape, key=len) != node.shape:
        return None
    whole = _made(node.op, node, a, b)
    return whole if count == 2 else _made("neg", node, whole)


def _magnitude(node: Node) -> Node | None:
    (inner,) = node.args
    if inner.op == "neg":
        return _made("abs", node, inner.args[0])
    return inner if inner.op == "abs" else None


def _again(node: Node) -> Node | None:
    """relu(relu(x)), and the transpose of a transpose."""
    (inner,) = node.args
    if inner.op != node.op:
        return None
    return inner if node.op == "relu" else inner.args[0]


def _same(node: Node) -> Node | None:
    return node.args[0] if node.args[0] is node.args[1] else None


_RULES: dict[str, tuple[Rewrite, ...]] = {
    "neg": (_neg,),
    "add": (_fold, _add),
    "sub": (_fold, _sub),
    "mul": (_fold, _mul),
    "div": (_div,),
    "abs": (_magnitude,),
    "relu": (_again,),
    "transpose": (_again,),
    "maximum": (_same,),
    "minimum": (_same,),
}


def norms(graph: Graph) -> Graph:
    """The same graph with every normalisation spelt out."""
    return replace(graph, results=rewrite(graph.results, _without_norm))


def _without_norm(node: Node) -> Node:
    if node.op != "normalize":
        return node
    vector, gain, bias = node.args

    def made(op: str, *args: Node, detail: object = None) -> Node:
        return Node(op, args, detail, node.shape, node.where)

    centred = made("sub", vector, made("mean", vector))
    scaled = made("mul", centred, made("rstd", vector, detail=node.detail))
    return replace(made("add", made("mul", scaled, gain), bias), name=node.name)


def gates(graph: Graph) -> Graph:
    """The same graph with each gate taken as early as can be: at the parameters."""
    return replace(
        graph, results=rewrite(graph.results, lambda node: _with_early_gate(graph, node))
    )


def _with_early_gate(graph: Graph, node: Node) -> Node:
    if node.op != "gate":
        return node
    assert isinstance(node.detail, tuple)
    return replace(_part(graph, node.args[0], str(node.detail[1])), name=node.name)


def _part(graph: Graph, node: Node, gate: str) -> Node:
    """One gate's part of a vector that holds all, or of the matrix whose product does."""
    if not _holds_all(graph, node):
        return node
    shape = (Size(node.shape[0].name), *node.shape[1:])
    if node.op == "param":
        assert isinstance(node.detail, tuple)
        return replace(node, detail=(node.detail[0], gate), shape=shape)
    if node.op == "product":
        matrix = _part(graph, node.args[0], gate)
        return replace(node, args=(matrix, node.args[1]), shape=shape, name=None)
    if OPS[node.op].is_elementwise:
        args = tuple(_part(graph, a, gate) for a in node.args)
        return replace(node, args=args, shape=shape, name=None)
    if node.op in ("mean", "rstd"):
        args = tuple(_part(graph, a, g) for a in node.args for g in graph.gates)
        return replace(node, args=args, shape=shape, name=None)
    return Node("gate", (node,), (graph.gates.index(gate), gate), shape, node.where)


def _holds_all(graph: Graph, node: Node) -> bool:
    return bool(node.shape) and node.shape[0].times == len(graph.gates) > 1
