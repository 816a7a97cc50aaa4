"""Recurrent layers in ONNX: its own operators where a cell is one of them, else its equations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from recurra.cells import GRU, IRNN, LSTM, RNN, OriginalGRU
from recurra.deploy.export.cell_values import CellValues
from recurra.deploy.export.onnx_equations import OnnxEquations
from recurra.deploy.export.onnx_graph import OnnxGraph, onnx_library
from recurra.ir import Node
from recurra.nn.program import Recurrence

__all__ = ["recurrence_nodes"]

FLOAT, BOOL = 1, 9
"""Numbers of element types in ONNX."""


def recurrence_nodes(
    graph: OnnxGraph,
    recurrence: Recurrence,
    x: str,
    before: Sequence[str],
    lengths: str | None,
    active: str | None,
) -> tuple[str, list[str]]:
    """The outputs (T, B, size) of one direction of a layer for x (T, B, I), and its states after.

    before: states (rows, B, size). lengths (B,) int64 and active (T, B, 1) bool: None where every
    row has all steps.
    """
    plain = recurrence.dilation == 1 and recurrence.time_skip == 0
    operator = _operator_of(recurrence) if plain else None
    if operator is not None:
        return _by_operator(graph, recurrence, operator, x, before, lengths)
    return _by_scan(graph, recurrence, x, before, active)


class _Operator(NamedTuple):
    name: str
    order: Sequence[int]
    attributes: Mapping[str, Any]


def _operator_of(recurrence: Recurrence) -> _Operator | None:
    """ONNX's operator with these equations, and where it has its gates."""
    digest = recurrence.graph.digest()
    with_bias = "b" in recurrence.params
    known: list[tuple[Any, _Operator]] = [
        (LSTM(), _Operator("LSTM", (0, 3, 1, 2), {})),
        (GRU(), _Operator("GRU", (1, 0, 2), {"linear_before_reset": 1})),
        (OriginalGRU(), _Operator("GRU", (1, 0, 2), {"linear_before_reset": 0})),
        (RNN(), _Operator("RNN", (0,), {"activations": ["Tanh"]})),
        (RNN(nonlinearity="relu"), _Operator("RNN", (0,), {"activations": ["Relu"]})),
        (IRNN(), _Operator("RNN", (0,), {"activations": ["Relu"]})),
    ]
    return next((op for cell, op in known if cell.graph(bias=with_bias).digest() == digest), None)


def _by_operator(
    graph: OnnxGraph,
    recurrence: Recurrence,
    operator: _Operator,
    x: str,
    before: Sequence[str],
    lengths: str | None,
) -> tuple[str, list[str]]:
    params = {name: value.numpy() for name, value in recurrence.params.items()}
    gates = len(operator.order)
    w, u = (_ordered(params[name], operator.order) for name in ("W", "U"))
    bias = np.zeros((2, gates * recurrence.size), np.float32)
    if "b" in params:
        bias[0] = _ordered(params["b"], operator.order)
    if "b_h" in params:
        bias[1, -recurrence.size :] = params["b_h"]
    sequence_lens = "" if lengths is None else graph.add("Cast", lengths, to=6)
    args = [
        x,
        graph.constant(w[None]),
        graph.constant(u[None]),
        graph.constant(bias.reshape(1, -1)),
        sequence_lens,
        *before,
    ]
    y, *after = graph.add_many(
        operator.name,
        args,
        1 + len(before),
        hidden_size=recurrence.size,
        direction="reverse" if recurrence.reverse else "forward",
        **operator.attributes,
    )
    if lengths is not None:
        # ONNX Runtime gives zeros, not the initial state, for a row without steps.
        empty = graph.add("Equal", lengths, graph.integers(0))
        empty = graph.unsqueeze(empty, 1)
        after = [graph.add("Where", empty, b, a) for b, a in zip(before, after, strict=True)]
    return graph.squeeze(y, 1), after


def _ordered(stacked: Any, order: Sequence[int]) -> Any:
    """The gates of a stored parameter in another order."""
    parts = np.split(stacked, len(order))
    return np.concatenate([parts[place] for place in order])


def _by_scan(
    graph: OnnxGraph, recurrence: Recurrence, x: str, before: Sequence[str], active: str | None
) -> tuple[str, list[str]]:
    """A loop over time whose body is a step; what no state reaches is computed before it."""
    values = CellValues(recurrence)
    stepped = values.graph.stateful
    own_input = recurrence.time_skip > 0
    writer = OnnxEquations(graph, values)
    outside: dict[Node, str] = {}
    for node in values.graph.nodes:
        if node.op == "input":
            outside[node] = x
        elif node in values.timed and node not in stepped and not own_input:
            writer.write(node, outside)
    inside_nodes = [n for n in values.timed if n not in outside]
    read = {a for n in (*inside_nodes, *values.graph.results) for a in n.args} | {
        *values.graph.results
    }
    crossing = [n for n in outside if n in read]
    scanned = [outside[n] for n in crossing] or [x]
    body = _Body(graph, recurrence, values, crossing, active is not None)
    inputs = [*before, *scanned, *([] if active is None else [active])]
    direction = [int(recurrence.reverse)]
    outputs = graph.add_many(
        "Scan",
        inputs,
        len(before) + 1,
        body=body.made(inside_nodes),
        num_scan_inputs=len(inputs) - len(before),
        scan_input_directions=direction * (len(inputs) - len(before)),
        scan_output_directions=direction,
    )
    return outputs[-1], outputs[:-1]


class _Body:
    """The body of a loop: states (rows, B, size), what a step reads, and whether rows go on."""

    def __init__(
        self,
        outer: OnnxGraph,
        recurrence: Recurrence,
        values: CellValues,
        crossing: Sequence[Node],
        has_active: bool,
    ) -> None:
        self._graph = OnnxGraph(outer)
        self._recurrence, self._values = recurrence, values
        self._crossing, self._has_active = crossing, has_active

    def made(self, nodes: Sequence[Node]) -> Any:
        """The body that computes these nodes."""
        graph, own = self._graph, self._recurrence
        states = [graph.name("state") for _ in own.state_sizes]
        skipped = [graph.name("skipped")] if own.time_skip else []
        scanned = [graph.name("scanned") for _ in range(max(1, len(self._crossing)))]
        active = [graph.name("active")] if self._has_active else []
        known: dict[Node, str] = dict(zip(self._crossing, scanned, strict=False))
        rows = own.dilation
        first = [graph.squeeze(graph.slice(name, 0, 0, 1), 0) for name in states]
        for node in self._values.graph.nodes:
            if node.op == "state":
                known[node] = first[self._values.graph.states.index(str(node.detail))]
            elif node.op == "input" and own.time_skip:
                past = graph.squeeze(graph.slice(skipped[0], 0, 0, 1), 0)
                known[node] = graph.add("Concat", scanned[0], past, axis=-1)
        writer = OnnxEquations(graph, self._values)
        for node in nodes:
            writer.write(node, known)
        new = [
            self._expanded(writer.read(node, known), name)
            for node, name in zip(self._values.graph.results, first, strict=True)
        ]
        y = new[0]
        after = [
            self._shifted(name, value, rows, active)
            for name, value in zip(states, new, strict=True)
        ]
        if active:
            y = graph.add("Where", active[0], y, graph.constant(0))
        if skipped:
            after.append(self._shifted(skipped[0], new[0], own.time_skip, active))
        return self._model([*states, *skipped], [*scanned, *active], after, y)

    def _expanded(self, value: str, like: str) -> str:
        """A value as wide as a state: a constant or a number of each row may be narrower."""
        graph = self._graph
        return graph.add("Expand", value, graph.add("Shape", like))

    def _shifted(self, rows: str, new: str, count: int, active: Sequence[str]) -> str:
        """Rows (count, B, size) with the oldest gone and a new one at the end."""
        graph = self._graph
        found = graph.unsqueeze(new, 0)
        if count > 1:
            found = graph.add("Concat", graph.slice(rows, 0, 1, count), found, axis=0)
        return graph.add("Where", active[0], found, rows) if active else found

    def _model(
        self, states: Sequence[str], scanned: Sequence[str], after: Sequence[str], y: str
    ) -> Any:
        graph, helper = self._graph, onnx_library("onnx.helper")
        kinds = [FLOAT] * len(states) + [
            BOOL if self._has_active and name == scanned[-1] else FLOAT for name in scanned
        ]
        ins = [
            helper.make_tensor_value_info(name, kind, None)
            for name, kind in zip([*states, *scanned], kinds, strict=True)
        ]
        # An output of a body must be made in it, once for each.
        outs = [graph.add("Identity", name) for name in (*after, y)]
        made = [helper.make_tensor_value_info(name, FLOAT, None) for name in outs]
        return helper.make_graph(graph.nodes, graph.name("step"), ins, made)
