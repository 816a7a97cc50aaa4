"""The operations of a network outside training, in order, on sequences of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from torch import Tensor

from recurra.ir import Graph

__all__ = ["Operation", "Program", "Recurrence", "Value", "ValueKind"]

ValueKind = Literal["tokens", "steps", "vectors"]
Steps = TypeVar("Steps", int, Tensor)


@dataclass(frozen=True, eq=False)
class Value:
    """What operations read and make: (T, B, size), or (B, size) for `vectors`.

    tokens: whole numbers. pooled: of how many steps each operation before has made one, in turn, so
    that a sequence of n input steps has ceil(ceil(n / a) / b) here.
    """

    kind: ValueKind
    size: int
    pooled: tuple[int, ...] = ()

    def steps_of(self, steps: Steps) -> Steps:
        """The steps that so many of the input become: a number, or the lengths of rows (B,)."""
        for pooled in self.pooled:
            steps = -(-steps // pooled)
        return steps


@dataclass(frozen=True, eq=False)
class Recurrence:
    """One direction of one recurrent layer: its equations, parameters and states.

    params: by the names of the equations. givens: what the equations read at every step besides x
    and parameters, the same number for all. initial: of each state, (size,). With dilation d step t
    reads the states of step t - d; with a time skip s it reads [x; its own output of step t - s].
    """

    name: str
    graph: Graph
    params: Mapping[str, Tensor]
    givens: Mapping[str, float]
    state_sizes: tuple[int, ...]
    initial: tuple[Tensor, ...]
    reverse: bool = False
    dilation: int = 1
    time_skip: int = 0

    @property
    def size(self) -> int:
        """Numbers of an output."""
        return self.state_sizes[0]


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation: `result` from `args`, by `tensors` and `options`.

    | name        | tensors             | options                      | result              |
    |-------------|---------------------|------------------------------|---------------------|
    | columns     |                     | start, stop                  | part of each step   |
    | embedding   | table               |                              | the row of a token  |
    | spelling    | table, weight0, ... |                              | maxima over letters |
    | linear      | weight, (bias)      |                              | W x + b             |
    | normalise   | weight, bias        | eps                          | layer normalisation |
    | add         |                     |                              | x + y               |
    | multiply    |                     |                              | x y                 |
    | concatenate |                     |                              | all side by side    |
    | complement  |                     |                              | 1 - x               |
    | tanh        |                     |                              | of each number      |
    | sigmoid     |                     |                              | of each number      |
    | log_softmax |                     |                              | of each step        |
    | convolution | weight, (bias)      | causal, relu, features, pool | over time           |
    | recurrence  |                     |                              | of `recurrence`     |
    | repeat      |                     | times                        | every step so often |
    | pool        |                     | kind, bidirectional          | a vector of all     |

    Pooling by attention reads scores (T, B, 1) as its second argument. A convolution over features
    as well has a weight of four axes, and reads steps of channels x `features` numbers.
    """

    name: str
    args: tuple[Value, ...]
    result: Value
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    recurrence: Recurrence | None = None

    @property
    def waits(self) -> bool:
        """Whether it gives no output for some of its inputs, until others come."""
        if self.name != "convolution":
            return False
        return not self.options["causal"] or self.options["pool"][0] > 1

    @property
    def carries(self) -> bool:
        """Whether a sequence can be run in parts, with what it keeps handed on."""
        if self.recurrence is not None:
            return not self.recurrence.reverse
        if self.name == "pool":
            return bool(self.options["kind"] == "last")
        return not self.waits


@dataclass(frozen=True, eq=False)
class Program:
    """The operations of a network: from `input` to `output`.

    ragged: sequences of a batch differ in length, and what lies after their ends counts for
    nothing; else all have T steps.
    """

    input: Value
    operations: Sequence[Operation]
    output: Value
    ragged: bool

    @property
    def recurrences(self) -> list[Recurrence]:
        """The layers' directions, from the lowest up."""
        return [op.recurrence for op in self.operations if op.recurrence is not None]

    @property
    def carries(self) -> bool:
        """Whether a sequence can be run in parts, with states handed on."""
        return all(op.carries for op in self.operations)
