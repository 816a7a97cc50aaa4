"""Operations on every step by itself as nodes of ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from recurra.deploy.export.onnx_cells import FLOAT
from recurra.deploy.export.onnx_graph import OnnxGraph
from recurra.nn.program import Operation

__all__ = ["WRITTEN"]


def _columns(graph: OnnxGraph, op: Operation, args: Sequence[str]) -> str:
    return graph.slice(args[0], 2, op.options["start"], op.options["stop"])


def _embedding(graph: OnnxGraph, op: Operation, args: Sequence[str]) -> str:
    tokens = graph.squeeze(args[0], 2)
    return graph.add("Gather", graph.constant(op.tensors["table"].numpy()), tokens)


def _spelling(graph: OnnxGraph, op: Operation, args: Sequence[str]) -> str:
    letters, count = args[0], op.args[0].size
    table = op.tensors["table"].numpy()
    words = graph.add("Reshape", letters, graph.integers(-1, count))
    rows = graph.add("Gather", graph.constant(table), words)
    rows = graph.add("Transpose", rows, perm=[0, 2, 1])
    there = graph.unsqueeze(graph.add("Not", graph.add("Equal", words, graph.integers(0))), 1)
    there = graph.add("Cast", there, to=FLOAT)
    maxima = []
    for number in range((len(op.tensors) - 1) // 2):
        weight, bias = op.tensors[f"weight{number}"], op.tensors[f"bias{number}"]
        pad = weight.shape[2] // 2
        read = graph.add(
            "Conv",
            rows,
            graph.constant(weight.numpy()),
            graph.constant(bias.numpy()),
            pads=[pad, pad],
        )
        read = graph.add("Relu", graph.slice(read, 2, 0, count))
        maxima.append(
            graph.add("ReduceMax", graph.add("Mul", read, there), graph.integers(2), keepdims=0)
        )
    found = maxima[0] if len(maxima) == 1 else graph.add("Concat", *maxima, axis=1)
    lead = graph.add("Shape", letters, start=0, end=2)
    shape = graph.add("Concat", lead, graph.integers(op.result.size), axis=0)
    return graph.add("Reshape", found, shape)


def _linear(graph: OnnxGraph, op: Operation, args: Sequence[str]) -> str:
    found = graph.add("MatMul", args[0], graph.constant(op.tensors["weight"].numpy().T))
    if "bias" not in op.tensors:
        return found
    return graph.add("Add", found, graph.constant(op.tensors["bias"].numpy()))


def _normalise(graph: OnnxGraph, op: Operation, args: Sequence[str]) -> str:
    more = [graph.constant(op.tensors[name].numpy()) for name in ("weight", "bias")]
    eps = op.options["eps"]
    return graph.add("LayerNormalization", args[0], *more, axis=-1, epsilon=eps)


def _repeat(graph: OnnxGraph, op: Operation, args: Sequence[str]) -> str:
    """Steps one after another several times, and as many as the input has."""
    times, size = op.options["times"], op.result.size
    wide = graph.add("Tile", graph.unsqueeze(args[0], 1), graph.integers(1, times, 1, 1))
    batch = graph.add("Shape", args[0], start=1, end=2)
    shape = graph.add("Concat", graph.integers(-1), batch, graph.integers(size), axis=0)
    rows = graph.add("Reshape", wide, shape)
    steps = graph.add("Shape", "input", start=0, end=1)
    return graph.add("Slice", rows, graph.integers(0), steps, graph.integers(0))


def _plain(name: str, **attributes: Any) -> Callable[[OnnxGraph, Operation, Sequence[str]], str]:
    return lambda graph, op, args: graph.add(name, *args, **attributes)


WRITTEN: Mapping[str, Callable[[OnnxGraph, Operation, Sequence[str]], str]] = {
    "columns": _columns,
    "embedding": _embedding,
    "spelling": _spelling,
    "linear": _linear,
    "normalise": _normalise,
    "repeat": _repeat,
    "add": _plain("Add"),
    "multiply": _plain("Mul"),
    "concatenate": _plain("Concat", axis=-1),
    "complement": lambda graph, op, args: graph.add("Sub", graph.constant(1), args[0]),
    "tanh": _plain("Tanh"),
    "sigmoid": _plain("Sigmoid"),
    "log_softmax": _plain("LogSoftmax", axis=-1),
}
"""Adds an operation of the name to a graph, from the names of its arguments; gives its result's."""
