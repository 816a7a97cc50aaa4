"""The roles of a cell's gates, found in its equations: what writes to a state, what lets it out.

What keeps a state is told by `NamedValue.keeps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from recurra.ir import Graph, Node
from recurra.nn.observe.recording import gate_of, sum_terms

__all__ = ["GateRole", "gate_roles"]


class GateRole(NamedTuple):
    """What a gate does where it is open: it writes to a state, or lets a state out.

    `inverted`: it does so where it is 0, as z writes in (1 - z) n + z h.
    """

    name: str
    role: Literal["writes", "outputs"]
    inverted: bool


def gate_roles(graph: Graph) -> tuple[GateRole, ...]:
    """The roles of the gates whose values have a name, in the order of the states."""
    results = dict(zip(graph.states, graph.results, strict=True))
    found: dict[GateRole, None] = {}
    for state, result in results.items():
        others = [other for name, other in results.items() if name != state]
        terms = sum_terms(result)
        for term in terms:
            found |= dict.fromkeys(_roles(term, state, others, is_alone=len(terms) == 1))
    return tuple(found)


def _roles(term: Node, state: str, others: Sequence[Node], *, is_alone: bool) -> Iterator[GateRole]:
    """The roles of the factors of one term of a state's next value."""
    if term.op != "mul":
        return
    for factor, value in (term.args, term.args[::-1]):
        gate = gate_of(factor)
        if gate is None or not gate[0].name or (value.op == "state" and value.detail == state):
            continue
        if not is_alone:
            yield GateRole(gate[0].name, "writes", gate[1])
        elif _reads(value, others):
            yield GateRole(gate[0].name, "outputs", gate[1])


def _reads(node: Node, wanted: Sequence[Node]) -> bool:
    """Whether a value is computed of one of these."""
    return node in wanted or any(_reads(arg, wanted) for arg in node.args)
