"""Remedies that change the equations of a step: dropout of states and candidates, zoneout, starts.

Each changes a cell's graph, which is then compiled like any other. Random draws are inputs of a
step, vectors beside x.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

from recurra.cells.cell import Cell
from recurra.ir import CellError, Graph, Node, Param, in_order, rewrite

__all__ = ["Regularised", "probed", "recurrent_matrices"]


class Regularised(Cell):
    """A cell with remedies in its step; each reads an input for every step and row.

    | option       | effect                                               | input              |
    |--------------|------------------------------------------------------|--------------------|
    | state_masks  | products read mask * h instead of h, as do recurrent | mask_state         |
    |              | weights of single units                              |                    |
    | inner_masks  | the cell's candidate is multiplied by a mask         | mask_candidate     |
    | zoneout      | a state s becomes z * s + (1 - z) * new s            | zone_STATE         |
    | starts       | adds to each state its learnt start, the parameter   | begin_STATE        |
    |              | initial_STATE, where the mark is 1                   |                    |

    Sources: Gal & Ghahramani 2016, arXiv:1512.05287 (state masks); Semeniuta et al. 2016,
    arXiv:1603.05118 (candidate); Krueger et al. 2017, arXiv:1606.01305 (zoneout).

    Example:
        >>> from recurra.cells import LSTM
        >>> print(Regularised(cell=LSTM(), zoneout=("c",)).show().splitlines()[-2].strip())
        cₜ = zone_cₜ ⊙ cₜ₋₁ + (1 - zone_cₜ) ⊙ c′ₜ
    """

    cell: Cell
    state_masks: bool = False
    inner_masks: bool = False
    zoneout: tuple[str, ...] = ()
    starts: bool = False

    def graph(self, *, bias: bool = True) -> Graph:
        """The cell's graph with the remedies in it."""
        return _graph(self, bias)


def recurrent_matrices(graph: Graph) -> tuple[str, ...]:
    """The names of the matrices that multiply what depends on a state."""
    products = (n for n in graph.nodes if n.op == "product" and n.args[1] in graph.stateful)
    leaves = (leaf.detail for n in products for leaf in in_order(n.args[:1]))
    return tuple(dict.fromkeys(str(d[0]) for d in leaves if isinstance(d, tuple)))


@functools.lru_cache(maxsize=256)
def _graph(remedy: Regularised, bias: bool) -> Graph:
    graph = remedy.cell.graph(bias=bias)
    if remedy.inner_masks:
        graph = _with_inner_masks(graph, remedy.cell)
    if remedy.zoneout:
        graph = _with_zoneout(graph, remedy.zoneout)
    if remedy.state_masks:
        graph = _with_state_masks(graph)
    return _with_starts(graph) if remedy.starts else graph


def _given(graph: Graph, name: str, like: Node, op: str = "given") -> tuple[Graph, Node]:
    """A graph with one more input, and its leaf."""
    leaf = Node(op, (), (name, None), like.shape, like.where)
    return dataclasses.replace(graph, givens=(*graph.givens, (name, like.shape[0]))), leaf


def _made(op: str, *args: Node, name: str | None = None) -> Node:
    return Node(op, args, None, max((a.shape for a in args), key=len), args[-1].where, name)


def probed(graph: Graph) -> Graph:
    """A graph with `probe` added to the new output state: its gradient is dL/dh_t."""
    new, *others = graph.results
    graph, leaf = _given(graph, "probe", new, op="probe")
    return dataclasses.replace(graph, results=(_made("add", new, leaf), *others))


def _changed(graph: Graph, rule: Callable[[Node], Node]) -> Graph:
    return dataclasses.replace(graph, results=rewrite(graph.results, rule))


def _with_inner_masks(graph: Graph, cell: Cell) -> Graph:
    found = [n for n in graph.nodes if cell.candidate and n.name == cell.candidate]
    if not found:
        raise CellError(
            f"{graph.cell} has no candidate, so recurrent dropout has nothing to act on; use "
            "state_dropout or zoneout, or name one of the cell's values as its `candidate`."
        )
    graph, mask = _given(graph, "mask_candidate", found[-1])

    def rule(node: Node) -> Node:
        return _made("mul", mask, node) if node.name == cell.candidate and node.args else node

    return _changed(graph, rule)


def _with_zoneout(graph: Graph, states: tuple[str, ...]) -> Graph:
    results = []
    for state, new in zip(graph.states, graph.results, strict=True):
        if state in states:
            old = _state(graph, state, new)
            graph, mask = _given(graph, f"zone_{state}", old)
            one = Node("const", (), 1.0, (), new.where)
            kept = _made("mul", mask, old)
            new = _made("add", kept, _made("mul", _made("sub", one, mask), new))
        results.append(new)
    return dataclasses.replace(graph, results=tuple(results))


def _state(graph: Graph, name: str, like: Node) -> Node:
    """The leaf of a state, that of the equations if they read it."""
    leaves = (n for n in graph.nodes if n.op == "state" and n.detail == name)
    fresh = Node("state", (), name, (graph.state_sizes[graph.states.index(name)],), like.where)
    return next(leaves, fresh)


def _with_state_masks(graph: Graph) -> Graph:
    output = graph.states[0]
    leaf = next((n for n in graph.nodes if n.op == "state" and n.detail == output), None)
    if leaf is None or not any(_weighs(n, leaf) for n in graph.nodes):
        raise CellError(
            f"{graph.cell} multiplies its state {output} by no recurrent weights, so state_dropout "
            "has nothing to act on; use zoneout or output_dropout."
        )
    graph, mask = _given(graph, "mask_state", leaf)
    masked = _made("mul", mask, leaf)
    # Only operands of a product, or of a unit's weight, read the masked state.
    weighing = [n for n in graph.nodes if _weighs(n, leaf)]
    swapped: dict[Node, Node] = {}

    def under(node: Node) -> Node:
        (found,) = rewrite((node,), lambda n: masked if n.op == "state" and n == leaf else n)
        return found

    for node in weighing:
        if node.op == "product":
            args = (node.args[0], under(node.args[1]))
        else:
            args = tuple(masked if a is leaf else a for a in node.args)  # type: ignore[assignment]
        swapped[node] = dataclasses.replace(node, args=args)
    return dataclasses.replace(graph, results=_replaced(graph.results, swapped))


def _replaced(results: tuple[Node, ...], swapped: dict[Node, Node]) -> tuple[Node, ...]:
    done: dict[Node, Node] = {}
    for node in in_order(results):
        args = tuple(done[a] for a in node.args)
        done[node] = swapped.get(node) or dataclasses.replace(node, args=args)
    return tuple(done[r] for r in results)


def _weighs(node: Node, state: Node) -> bool:
    """True for a product of the state, or the state times a parameter of each unit."""
    if node.op == "product":
        return state in in_order(node.args[1:])
    return node.op == "mul" and state in node.args and any(a.op == "param" for a in node.args)


def _with_starts(graph: Graph) -> Graph:
    begun: dict[str, Node] = {}
    params = list(graph.params)
    for state, size in zip(graph.states, graph.state_sizes, strict=True):
        leaf = _state(graph, state, graph.results[0])
        graph, mark = _given(graph, f"begin_{state}", leaf)
        start = Node("param", (), (f"initial_{state}", None), leaf.shape, leaf.where)
        begun[state] = _made("add", leaf, _made("mul", mark, start))
        params.append(Param(f"initial_{state}", "vector", rows=size, init="zeros"))
    graph = dataclasses.replace(graph, params=tuple(params))

    def rule(node: Node) -> Node:
        return begun[str(node.detail)] if node.op == "state" else node

    return _changed(graph, rule)
