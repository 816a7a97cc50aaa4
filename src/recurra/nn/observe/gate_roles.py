"""The roles of a cell's gates, found in its equations: what keeps, what writes, what lets out."""

from __future__ import annotations

from typing import Literal, NamedTuple

from recurra.ir import Graph, Node
from recurra.nn.observe.recording import sum_terms

__all__ = ["GateRole", "gate_roles"]


class GateRole(NamedTuple):
    """What a gate does where it is open: it keeps a state, writes to it, or lets a state out.

    `inverted`: it does so where it is 0, as z writes in (1 - z) n + z h.
    """

    name: str
    role: Literal["keeps", "writes", "outputs"]
    inverted: bool


def gate_roles(graph: Graph) -> tuple[GateRole, ...]:
    """The roles of the gates whose values have a name, in the order of the states."""
    roles: dict[GateRole, None] = {}
    results = dict(zip(graph.states, graph.results, strict=True))
    for state, result in results.items():
        terms = sum_terms(result)
        for term in terms:
            if term.op != "mul":
                continue
            for gate, other in (term.args, term.args[::-1]):
                found = _gate(gate)
                if found is None:
                    continue
                name, inverted = found
                if other.op == "state" and other.detail == state:
                    roles[GateRole(name, "keeps", inverted)] = None
                elif len(terms) == 1 and _reads(
                    other, [r for s, r in results.items() if s != state]
                ):
                    roles[GateRole(name, "outputs", inverted)] = None
                elif len(terms) > 1:
                    roles[GateRole(name, "writes", inverted)] = None
    return tuple(roles)


def _gate(node: Node) -> tuple[str, bool] | None:
    """The name of a gate and whether it is taken from 1; None for another value."""
    if node.op == "sub" and node.args[0].op == "const" and _is_sigmoid(node.args[1]):
        return (node.args[1].name, True) if node.args[1].name else None
    return (node.name, False) if _is_sigmoid(node) and node.name else None


def _is_sigmoid(node: Node) -> bool:
    inner = node.args[0] if node.op == "gate" else node
    return inner.op == "sigmoid"


def _reads(node: Node, wanted: list[Node]) -> bool:
    """Whether a value is computed of one of these."""
    return node in wanted or any(_reads(arg, wanted) for arg in node.args)
