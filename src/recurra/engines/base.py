"""The interface of an engine: a run's options, an engine's abilities, and what it compiles.

    Engine          a name, its abilities, and `compile`
      │ compile(graph, operator)
    CompiledLoop    runs a cell over sequences, for tensors that the engine accepts
      ▲ operator(code)
    LoopCode        forward and backward code that autograd doesn't record: `recurra.operator`
                    makes a CompiledLoop of it. Engines made of torch's operations have none.

A new engine is a module with an Engine, and a line in the table of `recurra.engines.choice`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from recurra.engines.torch_layout import Parameters
from recurra.ir import Graph
from recurra.ragged import within

__all__ = [
    "OPTIONS",
    "Call",
    "CompiledLoop",
    "Engine",
    "LinearMap",
    "LoopCode",
    "LoopRun",
    "Operator",
    "Sequences",
    "States",
    "StepRun",
]

States = tuple[Tensor, ...]


class Sequences(NamedTuple):
    """The options of a run, one value from the layer to the engine.

    Args:
        steps: T, of the longest sequence.
        reverse: each sequence is read from its own end.
        lengths: (B,) int64 steps of each sequence, in any order; sorted, longest first, if packed.
        resets: (T, B) bool, marks the first step of a new segment, whose state starts at zeros.
        is_packed: inputs and outputs are (N, size), only the steps before `lengths`.
        bptt_clip: limits each element of dL/dh_t as it flows back through a step.
        every: the states after each step are wanted, not the last ones.
    """

    steps: int
    reverse: bool = False
    lengths: Tensor | None = None
    resets: Tensor | None = None
    is_packed: bool = False
    bptt_clip: float | None = None
    every: bool = False

    @property
    def starts(self) -> Tensor | None:
        """Steps with which a segment begins, (T, B), in the direction of the run."""
        if self.resets is None or not self.reverse:
            return self.resets
        # Going back, a segment begins one step before the mark of the one after it.
        resets = self.resets
        if self.lengths is not None:
            resets = resets & within(self.lengths, len(resets), resets.device)
        return torch.cat([resets[1:], torch.zeros_like(resets[:1])])

    def active(self, device: torch.device) -> Tensor | None:
        """Steps that come before their sequence's end, (T, B); None where all do."""
        return None if self.lengths is None else within(self.lengths, self.steps, device)


class Call(NamedTuple):
    """The kind of a call: what decides which engine runs it. An empty `device` is a mixture.

    `is_traced` says that it must be made of operators that torch knows: it is traced, or in a mode.
    `as_torch` says that what is traced is a program of torch's own operations.
    """

    device: str
    dtype: torch.dtype | None
    is_step: bool = False
    autocast: bool = False
    transforms: bool = False
    bptt_clip: bool = False
    every: bool = False
    ragged_trace: bool = False
    as_torch: bool = False
    is_traced: bool = False

    @property
    def options(self) -> list[str]:
        """The abilities that it asks of an engine, names in `OPTIONS`."""
        return [name for name in OPTIONS if getattr(self, name)]


OPTIONS = {
    "autocast": "autocast",
    "transforms": "torch.func transforms and forward-mode derivatives",
    "bptt_clip": "limits of the gradient at each step (bptt_clip)",
    "every": "states after every step",
    "ragged_trace": "lengths and resets where operations are traced",
    "as_torch": "programs of torch's own operations (torch.jit.trace, torch.onnx.export)",
}
"""The abilities that engines differ in, beside devices and dtypes, in words."""


class CompiledLoop(Protocol):
    """A cell as an engine runs it, over tensors that the engine accepts."""

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I), from states (B, size): outputs (T, B, size), last states.

        With `sequences.every` the states after each step, (T, B, size), zeros after the ends, come
        instead of the last ones; with `is_packed` x is (N, I) and the outputs are (N, size).
        """

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (..., I), states (..., size) to the new states."""

    def stack(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        params: Sequence[Parameters],
        sequences: Sequences,
        directions: int,
    ) -> tuple[Tensor, States] | None:
        """All layers and directions in one operation, states (L*D, B, size); None if it has none.

        `params` are those of each layer and direction, and there may be one alone.
        """


class LoopRun(NamedTuple):
    """The results of a forward run.

    Args:
        outputs: the first state after each step, (T, B, size) or packed (N, size).
        last: the states after each sequence's last step, (B, size).
        others: with `every`, the other states after each step, (T, B, size).
        tape: the values that the backward run needs.
        order: whatever else the backward run can use again, such as the order of ragged rows.
    """

    outputs: Tensor
    last: States
    others: States
    tape: States
    order: Any


class LoopCode(Protocol):
    """A cell's loop as code that works on memory, and that autograd doesn't record."""

    @property
    def key(self) -> str:
        """The name of the loop in programs that torch has traced; equal for equal graphs."""

    @property
    def graph(self) -> Graph:
        """The cell's graph."""

    def arguments(self, x: Tensor, params: Parameters, sequences: Sequences) -> list[Tensor]:
        """The tensors that the loop reads: parameters, input, and values computed of these."""

    def forward(
        self,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        sequences: Sequences,
        *,
        keep: bool,
        rows: int | None = None,
    ) -> LoopRun:
        """Run all steps; `keep` leaves a tape. `rows` is how many to allocate, if more.

        States are (B, size) or (1, B, size), and so are the last ones.
        """

    def backward(
        self,
        inputs: Sequence[Tensor],
        tape: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        sequences: Sequences,
        wanted: Sequence[bool],
        order: Any = None,
    ) -> list[Tensor | None]:
        """Gradients of those inputs and first states that are wanted, the latter (B, size).

        `gradients` are those of outputs, last states and, with `every`, the other states; None is
        zeros, but not all are without `order`.
        """

    def recorded(
        self, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
    ) -> list[Tensor]:
        """The same by torch operations: outputs, last states, and the others after each step."""

    def tape_shapes(
        self, inputs: Sequence[Tensor], states: Sequence[Tensor], rows: int, sequences: Sequences
    ) -> list[tuple[int, int]]:
        """The shapes of the tape of a run that allocates so many rows."""

    def rows(self, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences) -> int:
        """The rows of outputs and tape that suffice for any lengths: all steps of all sequences."""

    def multiplications(self, inputs: Sequence[Tensor]) -> int:
        """Multiplications of one step of one row in products with matrices."""


class StepRun(Protocol):
    """Steps of one layer in one direction that come one after another, without an allocation.

    Whoever has it writes the inputs of a run into `inputs` (N, B, I), at most N steps. Weights are
    copies.
    """

    inputs: Tensor

    @property
    def outputs(self) -> Tensor:
        """The first state after each step of the last run, (N, B, size), until the next."""

    @property
    def states(self) -> States:
        """The states that the next step starts from, (B, size) each, in memory to be written to."""

    def first_states(self) -> States:
        """Memory for the states that the next run starts from, to be written to before it."""

    def run(self, steps: int) -> None:
        """Run the next `steps`."""

    def run_rows(self, rows: int) -> None:
        """Run one step of the first `rows` alone; the states of the others are lost."""

    def refresh(self, params: Parameters) -> None:
        """Take over the parameters as they are now."""


class LinearMap(Protocol):
    """W x + b of many rows, and its gradients; all tensors are contiguous."""

    def forward(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The results (R, O) of rows (R, I)."""

    def input_gradient(self, gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The gradient (R, I) of x from that of the results (R, O)."""

    def weight_gradient(
        self, gradient: Tensor, x: Tensor, weight: Tensor, *, bias: bool
    ) -> tuple[Tensor, Tensor | None]:
        """The gradients of the matrix and, with `bias`, of the bias."""


Operator = Callable[[LoopCode], CompiledLoop]
"""Makes code known to torch: to autograd, or to tracers and to whoever counts operations."""


class Engine(Protocol):
    """A way to run cells, and what it can do.

    `auto` asks engines in the order of their table, so an engine that compiles stands before one
    that doesn't.
    """

    @property
    def name(self) -> str:
        """The word by which layers ask for it."""

    @property
    def devices(self) -> frozenset[str] | None:
        """The device types that it runs on, None for any."""

    @property
    def dtypes(self) -> frozenset[torch.dtype] | None:
        """The dtypes that it takes, None for any."""

    @property
    def options(self) -> frozenset[str]:
        """The abilities of `OPTIONS` that it has."""

    @property
    def step_options(self) -> frozenset[str]:
        """The abilities that it has for single steps."""

    def refusal(self, graph: Graph) -> str | None:
        """The reason for which it can't run a cell at all, as what follows its name."""

    def note(self, call: Call) -> str:
        """A remark for those whose calls it gets; empty for most."""

    def compile(self, graph: Graph, operator: Operator, *, is_traced: bool) -> CompiledLoop:
        """The cell made ready to run, for calls that are traced or that aren't.

        `operator` makes code known to torch, for such calls.
        """

    def steps(
        self,
        graph: Graph,
        params: Parameters,
        inputs: Tensor,
        widths: Sequence[int],
        *,
        quantize: bool = False,
    ) -> StepRun | None:
        """Steps that read the memory `inputs` (N, B, I); `widths` are the states' sizes.

        `quantize`: weights are int8, for float32 alone.
        None where the engine runs steps by `CompiledLoop` alone.
        """

    def linear(self, graph: Graph) -> LinearMap | None:
        """The product of a graph whose output is W x + b; None where torch's is what it has."""
