"""Writes programs, an operation at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recurra.nn.program.program import Operation, Program, Recurrence, Value, ValueKind

__all__ = ["ProgramBuilder"]


class ProgramBuilder:
    """A program that is being written; every method adds an operation and gives its result.

    kind, size: of the input, `tokens` or `steps` of so many numbers. ragged: see `Program`.

    Example:
        >>> build = ProgramBuilder("steps", 3, ragged=False)
        >>> doubled = build.add(build.input, build.input)
        >>> [op.name for op in build.finished(doubled).operations]
        ['add']
    """

    def __init__(self, kind: ValueKind, size: int, *, ragged: bool) -> None:
        self.input: Value = Value(kind, size)
        self._ragged = ragged
        self._operations: list[Operation] = []

    def finished(self, output: Value) -> Program:
        """The program that gives this value."""
        return Program(self.input, tuple(self._operations), output, self._ragged)

    def columns(self, x: Value, start: int, stop: int) -> Value:
        """The numbers from `start` to before `stop` of each step."""
        if (start, stop) == (0, x.size):
            return x
        return self._put("columns", (x,), self._like(x, stop - start), start=start, stop=stop)

    def embedding(self, tokens: Value, table: Tensor) -> Value:
        """Rows of a table (V, size)."""
        result = Value("steps", table.shape[1], tokens.pooled)
        return self._put("embedding", (tokens,), result, {"table": table})

    def spelling(self, letters: Value, table: Tensor, convolutions: list[Any]) -> Value:
        """For each convolution over the vectors of letters the maximum; letter 0 is padding."""
        tensors = {"table": table}
        for number, convolution in enumerate(convolutions):
            tensors[f"weight{number}"] = convolution.weight
            tensors[f"bias{number}"] = convolution.bias
        size = sum(convolution.out_channels for convolution in convolutions)
        return self._put("spelling", (letters,), Value("steps", size, letters.pooled), tensors)

    def linear(self, x: Value, weight: Tensor, bias: Tensor | None = None) -> Value:
        """W x + b."""
        tensors = {"weight": weight} | ({} if bias is None else {"bias": bias})
        return self._put("linear", (x,), self._like(x, weight.shape[0]), tensors)

    def normalise(self, x: Value, weight: Tensor, bias: Tensor, eps: float) -> Value:
        """Layer normalisation."""
        tensors = {"weight": weight, "bias": bias}
        return self._put("normalise", (x,), self._like(x), tensors, eps=eps)

    def add(self, x: Value, y: Value) -> Value:
        """The sum."""
        return self._put("add", (x, y), self._like(x))

    def multiply(self, x: Value, y: Value) -> Value:
        """The product, number by number."""
        return self._put("multiply", (x, y), self._like(x))

    def concatenate(self, *values: Value) -> Value:
        """The numbers of all side by side."""
        if len(values) == 1:
            return values[0]
        size = sum(value.size for value in values)
        return self._put("concatenate", values, self._like(values[0], size))

    def complement(self, x: Value) -> Value:
        """1 - x."""
        return self._put("complement", (x,), self._like(x))

    def activation(self, name: str, x: Value) -> Value:
        """tanh, sigmoid or log_softmax."""
        return self._put(name, (x,), self._like(x))

    def convolution(
        self,
        x: Value,
        weight: Tensor,
        bias: Tensor | None,
        *,
        causal: bool,
        relu: bool = True,
        features: int = 1,
        pool: tuple[int, int] = (1, 1),
    ) -> Value:
        """A convolution over time, and perhaps over features; then maxima of `pool`.

        weight: (O, C, width), or (O, C, width, width) for steps of C x `features` numbers.
        """
        steps, across = pool
        size = weight.shape[0] * -(-features // across)
        pooled = x.pooled if steps == 1 else (*x.pooled, steps)
        options = {"causal": causal, "relu": relu, "features": features, "pool": pool}
        tensors = {"weight": weight} | ({} if bias is None else {"bias": bias})
        return self._put("convolution", (x,), Value("steps", size, pooled), tensors, **options)

    def recurrence(self, x: Value, recurrence: Recurrence) -> Value:
        """The outputs of one direction of a layer."""
        result = self._like(x, recurrence.size)
        self._operations.append(Operation("recurrence", (x,), result, recurrence=recurrence))
        return result

    def repeat(self, x: Value, times: int) -> Value:
        """Every step several times, as long as the input is."""
        if times == 1:
            return x
        return self._put("repeat", (x,), Value("steps", x.size), times=times)

    def pool(
        self, x: Value, kind: str, *, bidirectional: bool, scores: Value | None = None
    ) -> Value:
        """One vector of all steps."""
        args = (x,) if scores is None else (x, scores)
        result = Value("vectors", x.size, x.pooled)
        return self._put("pool", args, result, kind=kind, bidirectional=bidirectional)

    def _like(self, x: Value, size: int | None = None) -> Value:
        return Value(x.kind, x.size if size is None else size, x.pooled)

    def _put(
        self,
        name: str,
        args: tuple[Value, ...],
        result: Value,
        tensors: Mapping[str, Tensor] | None = None,
        **options: Any,
    ) -> Value:
        kept = {key: _kept(tensor) for key, tensor in (tensors or {}).items()}
        self._operations.append(Operation(name, args, result, kept, options))
        return result


def _kept(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", torch.float32).contiguous()
