"""What a step computes by name: gates, candidates and states, and which gates keep a state."""

from dataclasses import dataclass
from typing import Literal, cast, get_args

from recurra.ir import Graph, Node

__all__ = ["Kind", "Named", "named_values"]

Kind = Literal["sigmoid", "tanh", "relu", "other"]


@dataclass(frozen=True)
class Named:
    """One value of a step.

    `kind` is the function it comes out of. `keeps` is the state that a gate multiplies into the
    same state's next value, so that a forget gate shut is memory lost; with `inverted` the gate
    keeps it where it is 0, as in `(1 - f) * h + f * n`.
    """

    name: str
    kind: Kind
    node: Node
    keeps: str | None = None
    inverted: bool = False


_LEAVES = ("input", "state", "param", "given", "const")


def named_values(graph: Graph) -> tuple[Named, ...]:
    """The values that have a name in the equations and every squashed value, in their order.

    A new state has the state's name; `tanh(c)` and the like are called so.
    """
    kept = _kept(graph)
    results = dict(zip(graph.results, graph.states, strict=True))
    found: dict[str, Named] = {}
    for node in sorted(graph.nodes, key=_place):
        name = results.get(node) or node.name or _call(node)
        if name and len(node.shape) == 1 and node.op not in _LEAVES:
            found.setdefault(name, Named(name, _kind(node), node, *kept.get(node, (None, False))))
    return tuple(found.values())


def _place(node: Node) -> tuple[int, int]:
    return (node.where.line, node.where.column) if node.where else (0, 0)


def _call(node: Node) -> str:
    """`tanh(c)` for a squashed value without a name; nothing for other values."""
    if node.op not in get_args(Kind):
        return ""
    arg = node.args[0]
    return f"{node.op}({arg.name or arg.detail if arg.op == 'state' or arg.name else '...'})"


def _kind(node: Node) -> Kind:
    op = (node.args[0] if node.op == "gate" else node).op
    return cast("Kind", op) if op in get_args(Kind) else "other"


def _kept(graph: Graph) -> dict[Node, tuple[str, bool]]:
    """The gates that keep a state: that state, and whether they keep it where they are 0."""
    found: dict[Node, tuple[str, bool]] = {}
    for state, result in zip(graph.states, graph.results, strict=True):
        for term in _terms(result):
            if term.op == "mul":
                found |= _keeper(term, state)
    return found


def _keeper(product: Node, state: str) -> dict[Node, tuple[str, bool]]:
    found = {}
    for gate, other in (product.args, product.args[::-1]):
        if other.op != "state" or other.detail != state:
            continue
        if _kind(gate) == "sigmoid":
            found[gate] = (state, False)
        elif gate.op == "sub" and gate.args[0].op == "const" and _kind(gate.args[1]) == "sigmoid":
            found[gate.args[1]] = (state, True)
    return found


def _terms(node: Node) -> list[Node]:
    """The terms of a sum."""
    if node.op not in ("add", "sub"):
        return [node]
    return [term for arg in node.args for term in _terms(arg)]
