"""A program as an ONNX model, its nodes written one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recurra.deploy.export.onnx_cells import FLOAT, recurrence_nodes
from recurra.deploy.export.onnx_graph import OnnxGraph, onnx_library
from recurra.deploy.export.onnx_operations import WRITTEN
from recurra.nn.program import Operation, Program, Recurrence, Value

__all__ = ["OPSET", "onnx_model", "state_shapes"]

OPSET = 20
INT64 = 7
IR_VERSION = 9


def state_shapes(program: Program) -> dict[str, tuple[int, int, Any]]:
    """What is handed on from call to call where a program carries: rows, size, and the start.

    `(rows, B, size)` is the shape of each; the start is (size,), the same for every row.
    """
    found: dict[str, tuple[int, int, Any]] = {}
    if not program.carries:
        return found
    for number, op in enumerate(program.operations):
        own = op.recurrence
        if own is not None:
            for name, size, start in zip(
                own.graph.states, own.state_sizes, own.initial, strict=True
            ):
                found[f"{name}_{number}"] = (own.dilation, size, start.numpy())
            if own.time_skip:
                zeros = np.zeros(own.size, np.float32)
                found[f"y_{number}"] = (own.time_skip, own.size, zeros)
        elif op.name == "convolution" and op.tensors["weight"].shape[2] > 1:
            rows, size = op.tensors["weight"].shape[2] - 1, op.args[0].size
            found[f"past_{number}"] = (rows, size, np.zeros(size, np.float32))
    return found


def onnx_model(program: Program, metadata: Mapping[str, str], name: str = "recurra") -> Any:
    """The model, an onnx.ModelProto: dynamic in time and batch, with the metadata.

    Inputs are `input` (T, B, size), float32 or int64; `lengths` (B,), int64, where rows are ragged;
    and the states before, where the program carries. Outputs are `output` and the states after,
    `NAME_after`.

    Raises MissingExtra without the library onnx.
    """
    return _ModelWriter(program).model(metadata, name)


class _ModelWriter:
    def __init__(self, program: Program) -> None:
        self._program, self._graph = program, OnnxGraph()
        self._names: dict[Value, str] = {program.input: "input"}
        self._shapes = state_shapes(program)
        self._after: dict[str, str] = {}
        self._ends: dict[tuple[int, ...], tuple[str, str]] = {}

    def model(self, metadata: Mapping[str, str], name: str) -> Any:
        program, graph, helper = self._program, self._graph, onnx_library("onnx.helper")
        for number, op in enumerate(program.operations):
            self._names[op.result] = self._written(number, op)
        graph.nodes.append(helper.make_node("Identity", [self._names[program.output]], ["output"]))
        for state, value in self._after.items():
            graph.nodes.append(helper.make_node("Identity", [value], [f"{state}_after"]))
        made = helper.make_graph(
            graph.nodes, name, self._inputs(), self._outputs(), initializer=graph.constants
        )
        opset = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(
            made, opset_imports=opset, producer_name="recurra", ir_version=IR_VERSION
        )
        starts = {
            state: start.tolist() for state, (_, _, start) in self._shapes.items() if start.any()
        }
        more = {"initial_states": json.dumps(starts)} if starts else {}
        helper.set_model_props(model, {**metadata, **more})
        onnx_library().checker.check_model(model, full_check=True)
        return model

    def _inputs(self) -> list[Any]:
        info, own = onnx_library("onnx.helper").make_tensor_value_info, self._program.input
        kind = INT64 if own.kind == "tokens" else FLOAT
        found = [info("input", kind, ["T", "B", own.size])]
        if self._program.ragged:
            found.append(info("lengths", INT64, ["B"]))
        for state, (rows, size, _) in self._shapes.items():
            found.append(info(state, FLOAT, [rows, "B", size]))
        return found

    def _outputs(self) -> list[Any]:
        info, own = onnx_library("onnx.helper").make_tensor_value_info, self._program.output
        shape: list[Any] = ["B", own.size] if own.kind == "vectors" else [None, "B", own.size]
        found = [info("output", FLOAT, shape)]
        for state, (rows, size, _) in self._shapes.items():
            found.append(info(f"{state}_after", FLOAT, [rows, "B", size]))
        return found

    def _written(self, number: int, op: Operation) -> str:
        args = [self._names[value] for value in op.args]
        if op.recurrence is not None:
            return self._recurrence(number, op, op.recurrence, args[0])
        if op.name == "convolution":
            return self._convolution(number, op, args[0])
        if op.name == "pool":
            return self._pool(op, args)
        return WRITTEN[op.name](self._graph, op, args)

    def _lengths(self, value: Value) -> tuple[str, str] | None:
        """The lengths (B,) at a value, and which steps are there (T, B, 1); None: all."""
        if not self._program.ragged:
            return None
        return self._ends_of(value.pooled, self._names[value])

    def _ends_of(self, pooled: tuple[int, ...], like: str) -> tuple[str, str]:
        """For steps of which so many are one; `like` has as many (T, B, ...)."""
        graph = self._graph
        if pooled not in self._ends:
            lengths = "lengths"
            if pooled:
                before, _ = self._ends[pooled[:-1]]
                more = graph.add("Add", before, graph.integers(pooled[-1] - 1))
                lengths = graph.add("Div", more, graph.integers(pooled[-1]))
            steps = graph.squeeze(graph.add("Shape", like, start=0, end=1), 0)
            zero, one = graph.constant(0, np.int64), graph.constant(1, np.int64)
            numbers = graph.unsqueeze(graph.add("Range", zero, steps, one), 1)
            active = graph.unsqueeze(graph.add("Less", numbers, lengths), 2)
            self._ends[pooled] = lengths, active
        return self._ends[pooled]

    def _recurrence(self, number: int, op: Operation, own: Recurrence, x: str) -> str:
        names = [f"{name}_{number}" for name in own.graph.states]
        names += [f"y_{number}"] if own.time_skip else []
        before = names if self._program.carries else self._starts(own, x)
        lengths, active = self._lengths(op.args[0]) or (None, None)
        y, after = recurrence_nodes(self._graph, own, x, before, lengths, active)
        if self._program.carries:
            self._after |= dict(zip(names, after, strict=True))
        return y

    def _starts(self, own: Recurrence, x: str) -> list[str]:
        """The initial states (rows, B, size), as many as x (T, B, I) has rows."""
        graph = self._graph
        batch = graph.add("Shape", x, start=1, end=2)
        starts = [(own.dilation, start.numpy()) for start in own.initial]
        starts += [(own.time_skip, np.zeros(own.size))] if own.time_skip else []
        found = []
        for rows, start in starts:
            ints = graph.integers
            shape = graph.add("Concat", ints(rows), batch, ints(len(start)), axis=0)
            found.append(graph.add("Expand", graph.constant(start), shape))
        return found

    def _convolution(self, number: int, op: Operation, x: str) -> str:
        graph, options = self._graph, op.options
        weight = op.tensors["weight"]
        ends = self._lengths(op.args[0])
        if ends is not None:
            x = graph.add("Where", ends[1], x, graph.constant(0))
        width = weight.shape[2]
        if options["causal"] and width > 1:
            past = f"past_{number}"
            if self._program.carries:
                x = graph.add("Concat", past, x, axis=0)
                self._after[past] = self._last_rows(op.args[0], x, width - 1, ends)
            else:
                x = graph.add("Pad", x, graph.integers(width - 1, 0, 0, 0, 0, 0))
        planes = weight.dim() == 4
        rows = graph.add("Transpose", x, perm=[1, 2, 0])
        pads = [0, 0] if options["causal"] else [width // 2] * 2
        if planes:
            across = graph.integers(0, weight.shape[1], options["features"], -1)
            rows = graph.add("Reshape", rows, across)
            rows = graph.add("Transpose", rows, perm=[0, 1, 3, 2])
            pads = [pads[0], weight.shape[3] // 2, pads[1], weight.shape[3] // 2]
        args = [rows, graph.constant(weight.numpy())]
        if "bias" in op.tensors:
            args.append(graph.constant(op.tensors["bias"].numpy()))
        rows = graph.add("Conv", *args, pads=pads)
        if options["relu"]:
            rows = graph.add("Relu", rows)
        if options["pool"] != (1, 1):
            if ends is not None:
                rows = self._cleared(rows, ends[1], planes)
            shape = list(options["pool"]) if planes else [options["pool"][0]]
            rows = graph.add("MaxPool", rows, kernel_shape=shape, strides=shape, ceil_mode=1)
        if planes:
            rows = graph.add("Transpose", rows, perm=[0, 1, 3, 2])
            rows = graph.add("Reshape", rows, graph.integers(0, op.result.size, -1))
        y = graph.add("Transpose", rows, perm=[2, 0, 1])
        if self._program.ragged:
            self._ends_of(op.result.pooled, y)
        return y

    def _cleared(self, rows: str, active: str, planes: bool) -> str:
        """Rows (B, C, T) or (B, C, T, F) with zeros after their ends."""
        graph = self._graph
        mask = graph.add("Transpose", active, perm=[1, 2, 0])
        mask = graph.unsqueeze(mask, 3) if planes else mask
        return graph.add("Where", mask, rows, graph.constant(0))

    def _last_rows(self, value: Value, x: str, count: int, ends: tuple[str, str] | None) -> str:
        """The last `count` steps of each row of x, which begins with `count` of before."""
        graph = self._graph
        if ends is None:
            last = 2**31
            return graph.slice(x, 0, -count, last)
        places = graph.unsqueeze(graph.constant(range(count), np.int64), 1)
        places = graph.add("Add", places, graph.unsqueeze(ends[0], 0))
        shape = [graph.integers(count), graph.add("Shape", x, start=1, end=3)]
        whole = graph.add("Concat", *shape, axis=0)
        index = graph.add("Expand", graph.unsqueeze(places, 2), whole)
        return graph.add("GatherElements", x, index, axis=0)

    def _pool(self, op: Operation, args: Sequence[str]) -> str:
        graph, kind, ends = self._graph, op.options["kind"], self._lengths(op.args[0])
        x, axes = args[0], graph.integers(0)
        if kind == "last":
            return self._last(x, op, None if ends is None else ends[0])
        if kind == "max":
            least = graph.constant(-np.inf)
            kept = x if ends is None else graph.add("Where", ends[1], x, least)
            return graph.add("ReduceMax", kept, axes, keepdims=0)
        kept = x if ends is None else graph.add("Where", ends[1], x, graph.constant(0))
        if kind == "mean":
            if ends is None:
                return graph.add("ReduceMean", kept, axes, keepdims=0)
            count = graph.add("Max", ends[0], graph.integers(1))
            count = graph.unsqueeze(graph.add("Cast", count, to=FLOAT), 1)
            return graph.add("Div", graph.add("ReduceSum", kept, axes, keepdims=0), count)
        scores = args[1]
        if ends is not None:
            scores = graph.add("Where", ends[1], scores, graph.constant(-np.inf))
        weights = graph.add("Softmax", scores, axis=0)
        return graph.add("ReduceSum", graph.add("Mul", weights, kept), axes, keepdims=0)

    def _last(self, x: str, op: Operation, lengths: str | None) -> str:
        graph, size = self._graph, op.args[0].size
        if lengths is None:
            last = graph.squeeze(graph.slice(x, 0, -1, 2**31), 0)
        else:
            place = graph.add(
                "Sub", graph.add("Max", lengths, graph.integers(1)), graph.integers(1)
            )
            width = graph.add("Shape", x, start=1, end=3)
            shape = graph.add("Concat", graph.integers(1), width, axis=0)
            index = graph.unsqueeze(graph.unsqueeze(place, 1), 0)
            found = graph.add("GatherElements", x, graph.add("Expand", index, shape), axis=0)
            last = graph.squeeze(found, 0)
        if not op.options["bidirectional"]:
            return last
        first = graph.squeeze(graph.slice(x, 0, 0, 1), 0)
        halves = [graph.slice(last, 1, 0, size // 2), graph.slice(first, 1, size // 2, size)]
        return graph.add("Concat", *halves, axis=1)
