"""The torch engine: torch's own fused operations, for the cells that torch has.

They run on any device, a whole stack of layers and directions in one call. Limits and states of
every step are left to other engines; second derivatives, for which the operations of GPUs have no
rule, are interpreted.

Those operations know packed sequences alone, so lengths and resets become a batch of segments. A
segment lies between two resets. Each is a sequence of its own, longest first, so that all of them
run in one call: layers and directions are cut at the same places. Forwards its first step, and
backwards its last, starts from zeros or from the state of its sequence.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor

from recurra.engines.base import Call, Operator, Sequences, States
from recurra.engines.interpreter import Interpreter
from recurra.engines.recorded import are_recorded, gradients_of
from recurra.engines.torch_layout import Parameters, TorchParameters, as_autocast, stored
from recurra.ir import Graph

__all__ = [
    "FUSED",
    "Segments",
]


@dataclass(frozen=True)
class Segments:
    """S segments of B sequences, with N steps in all; everything lies on the CPU.

    Args:
        sizes: segments that have each step, a packed sequence's `batch_sizes`.
        index: (N,) where each packed step lies among those given, None where they are the same.
        rows: (S,) the sequence of each segment.
        fresh: (2, S) bool, forwards and backwards: segments that start from zeros.
        ends: (2, B) forwards and backwards: the segment that a sequence's last state comes from.
        is_empty: (B,) bool, sequences without a step.
        reverse: whether the first direction is the one that goes backwards.
    """

    sizes: Tensor
    index: Tensor | None
    rows: Tensor
    fresh: Tensor
    ends: Tensor
    is_empty: Tensor
    reverse: bool

    @classmethod
    def of(cls, s: Sequences, batch: int) -> Segments:
        """The segments of a run; those of a reversed one are read from their ends."""
        lengths = torch.full((batch,), s.steps) if s.lengths is None else s.lengths.cpu()
        resets = None if s.resets is None else s.resets.cpu()
        row, begin, end = _cut(s.steps, lengths, resets)
        fresh = begin > 0 if resets is None else (begin > 0) | resets[0, row]
        active = end - begin > torch.arange(s.steps).unsqueeze(1)
        sizes = active.sum(1)
        is_same = s.is_packed and resets is None and not s.reverse
        return cls(
            sizes[sizes > 0],
            None if is_same else _index(s, lengths, active, row, begin, end),
            row,
            torch.stack([fresh, end < lengths[row]]),
            torch.stack([_segments_with(row, end == lengths[row], batch),
                         _segments_with(row, begin == 0, batch)]),
            lengths == 0,
            s.reverse,
        )  # fmt: skip

    def packed(self, x: Tensor, is_packed: bool) -> Tensor:
        """The steps (N, I) of an input (T, B, I), or one packed by sequences."""
        flat = x if is_packed else x.flatten(0, 1)
        return flat if self.index is None else flat.index_select(0, self.index.to(x.device))

    def unpacked(self, y: Tensor, steps: int, is_packed: bool) -> Tensor:
        """Outputs where the input's steps were, zeros after the ends."""
        if self.index is None:
            return y
        rows = len(y) if is_packed else steps * len(self.is_empty)
        flat = y.new_zeros(rows, y.shape[1]).index_copy(0, self.index.to(y.device), y)
        return flat if is_packed else flat.view(steps, -1, y.shape[1])

    def first_states(self, states: Sequence[Tensor], directions: int) -> States:
        """States (L*D, S, size) of segments, from those (L*D, B, size) of sequences."""
        device = states[0].device
        rows, fresh = self.rows.to(device), self._by_row(self.fresh, states[0], directions)
        return tuple(s.index_select(1, rows).masked_fill(fresh.unsqueeze(-1), 0) for s in states)

    def last_states(
        self, found: Sequence[Tensor], states: Sequence[Tensor], directions: int
    ) -> States:
        """States (L*D, B, size) of sequences, from those of segments; empty ones keep theirs."""
        ends = self._by_row(self.ends, states[0], directions).unsqueeze(-1)
        is_empty = self.is_empty.to(states[0].device).unsqueeze(-1)
        return tuple(
            torch.where(is_empty, s, f.gather(1, ends.expand(-1, -1, f.shape[-1])))
            for f, s in zip(found, states, strict=True)
        )

    def _by_row(self, both: Tensor, state: Tensor, directions: int) -> Tensor:
        """Of values forwards and backwards those of each layer and direction, (L*D, ...)."""
        used = both if directions == 2 else both[1:] if self.reverse else both[:1]
        return used.repeat(state.shape[0] // directions, 1).to(state.device)


def _cut(steps: int, lengths: Tensor, resets: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of each segment the sequence, the first step and the end; longest first."""
    begins = torch.arange(steps).unsqueeze(1) < lengths
    if resets is None:
        begins[1:] = False
    else:
        begins[1:] &= resets[1:]
    row, begin = begins.t().nonzero(as_tuple=True)
    end = lengths[row]
    if len(row):
        is_followed = row[1:] == row[:-1]
        end[:-1] = torch.where(is_followed, begin[1:], end[:-1])
    order = torch.argsort(end - begin, descending=True, stable=True)
    return row[order], begin[order], end[order]


def _index(
    s: Sequences, lengths: Tensor, active: Tensor, row: Tensor, begin: Tensor, end: Tensor
) -> Tensor:
    """Where each packed step lies among all steps, (T * B) or those of packed sequences."""
    step, segment = active.nonzero(as_tuple=True)
    time = end[segment] - 1 - step if s.reverse else begin[segment] + step
    if not s.is_packed:
        return time * len(lengths) + row[segment]
    counts = (lengths > torch.arange(s.steps).unsqueeze(1)).sum(1)
    return (counts.cumsum(0) - counts)[time] + row[segment]


def _segments_with(row: Tensor, chosen: Tensor, batch: int) -> Tensor:
    """Of each sequence the segment that is chosen; any for those that have none."""
    return torch.zeros(batch, dtype=torch.int64).index_put(
        (row[chosen],), chosen.nonzero().squeeze(1)
    )


_MODES = {
    "9719cea0ec5c5b5a": "rnn_tanh",
    "4efafbc1f7980f2b": "rnn_tanh",
    "15dc2b15b28cfa3b": "rnn_relu",
    "8e973e56c7135f56": "rnn_relu",
    "e74a53d538a95bc3": "lstm",
    "6cf544addc260337": "lstm",
    "44e440f0192c6aac": "gru",
    "26dc7a852f4052b0": "gru",
    "86871ca1a48856c5": "lstm",
    "237f4c0c7f91140e": "lstm",
}
"""torch's operation for each cell that it has, with and without biases: RNN of either function,
LSTM, GRU, LSTM with projection. The keys are digests of the equations, which a test derives.
"""


class FusedLoop:
    """A cell of torch's, run by torch's operation."""

    graph: Graph
    mode: str
    is_traced: bool
    meaning: Interpreter

    def __init__(self, graph: Graph, *, is_traced: bool) -> None:
        self.graph, self.mode, self.is_traced = graph, _MODES[graph.digest()], is_traced
        self.meaning = Interpreter(graph)
        self._run_steps: Any = getattr(torch._VF, self.mode)
        self._run_step: Any = getattr(torch._VF, f"{self.mode}_cell")

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I), from states (B, size): outputs (T, B, size), last states."""
        rows = [s.unsqueeze(0) for s in states]
        y, last = self.stack(x, rows, [params], sequences, 1)
        return y, tuple(s.squeeze(0) for s in last)

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (B, I), states (B, size) to the new states."""
        weight_ih, weight_hh, bias_ih, bias_hh, weight_hr = p = stored(params)
        if weight_hr is not None:
            _, last = self.sequence(x.unsqueeze(0), states, p, Sequences(1))
            return last
        if self.mode == "lstm":
            found: States = self._run_step(x, states, weight_ih, weight_hh, bias_ih, bias_hh)
            return found
        return (self._run_step(x, states[0], weight_ih, weight_hh, bias_ih, bias_hh),)

    def stack(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        params: Sequence[Parameters],
        sequences: Sequences,
        directions: int,
    ) -> tuple[Tensor, States]:
        """All layers and directions in one operation, states (L*D, B, size)."""
        weights = [stored(p) for p in params]
        tensors = [x, *states, *chain(*(w.tensors() for w in weights))]
        # The only operation that is oneDNN's, and gives autocast's dtype for wider states.
        is_onednns = self.mode == "lstm" and weights[0].weight_hr is None
        if is_onednns and self._lacks_autocast(x.device):
            tensors = [as_autocast(t) for t in tensors]
        run = _StackRun(self, weights[0], len(weights), directions, sequences)
        keep = torch.is_grad_enabled() and any(t.requires_grad for t in tensors)
        if self.is_traced:
            with _without_onednn():
                # torch.jit.trace runs a second time without gradients, and wants the same program.
                y, *last = run(tensors, is_training=keep or _is_tracing())
        elif keep:
            y, *last = _Recorded.apply(run, *tensors)  # type: ignore[no-untyped-call]
        else:
            y, *last = run(tensors, is_training=False)
        return y, tuple(last)

    def _lacks_autocast(self, device: torch.device) -> bool:
        """True under autocast on a CPU if oneDNN isn't to run, or would refuse, lowered inputs."""
        if device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return False
        if self.is_traced:
            return True
        if torch.get_autocast_dtype("cpu") is torch.float16:
            return not torch.ops.mkldnn._is_mkldnn_fp16_supported()
        return not torch.ops.mkldnn._is_mkldnn_bf16_supported()

    def _as_hidden(self, states: Sequence[Tensor]) -> Any:
        return tuple(states) if self.mode == "lstm" else states[0]

    def run(
        self,
        x: Tensor,
        sizes: Tensor | None,
        states: Sequence[Tensor],
        weights: Sequence[Tensor],
        *options: Any,
    ) -> list[Tensor]:
        """torch's operation: outputs and last states. `sizes` are those of a packed input."""
        hidden, flat = self._as_hidden(states), [w.contiguous() for w in weights]
        if sizes is None:
            return list(self._run_steps(x, hidden, flat, *options, False))
        return list(self._run_steps(x, sizes, hidden, flat, *options))


def _is_tracing() -> bool:
    """True while torch.jit.trace records."""
    return torch._C._get_tracing_state() is not None


@contextlib.contextmanager
def _without_onednn() -> Iterator[None]:
    """Run torch's plain operations on CPUs: a traced program can't derive oneDNN's."""
    before = torch._C._get_mkldnn_enabled()
    torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        torch._C._set_mkldnn_enabled(before)


class _StackRun:
    """A run of a stack, as a function of the tensors: x, states, weights of every layer."""

    def __init__(
        self,
        loop: FusedLoop,
        like: TorchParameters,
        rows: int,
        directions: int,
        sequences: Sequences,
    ) -> None:
        self.loop, self.like, self.sequences = loop, like, sequences
        self.rows, self.directions = rows, directions
        self.few = 1 + len(loop.graph.states)

    def __call__(self, tensors: Sequence[Tensor], *, is_training: bool) -> list[Tensor]:
        """Outputs and last states, by torch's operation."""
        (x, *states), weights, s = tensors[: self.few], tensors[self.few :], self.sequences
        # Dropout is 0: cuDNN's backward pass exists in training mode alone.
        options = (
            self.like.bias_ih is not None, self.rows // self.directions, 0.0, is_training,
            self.directions == 2,
        )  # fmt: skip
        if s.lengths is None and s.resets is None:
            y, *last = self.loop.run(x.flip(0) if s.reverse else x, None, states, weights, *options)
            return [y.flip(0) if s.reverse else y, *last]
        segments = Segments.of(s, states[0].shape[1])
        packed = segments.packed(x, s.is_packed)
        if not len(packed):
            return [x.new_zeros(s.steps, x.shape[1], self.width(states[0])), *states]
        firsts = segments.first_states(states, self.directions)
        y, *last = self.loop.run(packed, segments.sizes, firsts, weights, *options)
        return [
            segments.unpacked(y, s.steps, s.is_packed),
            *segments.last_states(last, states, self.directions),
        ]

    def width(self, state: Tensor) -> int:
        """The size of a step's output."""
        return state.shape[-1] * self.directions

    def interpreted(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Outputs and last states, by operations that torch can derive again."""
        (x, *states), rest = tensors[: self.few], list(tensors[self.few :])
        each, last = len(rest) // self.rows, []
        for first in range(0, self.rows, self.directions):
            outputs = []
            for row in range(first, first + self.directions):
                own = iter(rest[row * each : (row + 1) * each])
                params = TorchParameters._make(None if t is None else next(own) for t in self.like)
                s = self.sequences._replace(reverse=True) if row > first else self.sequences
                rows = [v.select(0, row) for v in states]
                y, found = self.loop.meaning.sequence(x, rows, params, s)
                outputs.append(y)
                last.append(found)
            x = torch.cat(outputs, -1) if self.directions == 2 else outputs[0]
        return [x, *(torch.stack(v) for v in zip(*last, strict=True))]


class _Recorded(torch.autograd.Function):
    """A run whose gradients are torch's, or interpreted where they are themselves recorded."""

    @staticmethod
    def forward(ctx: Any, run: _StackRun, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Outputs and last states; torch's own graph of the run is kept inside."""
        with torch.enable_grad():
            ctx.aliases = [t.detach().requires_grad_(t.requires_grad) for t in tensors]
            ctx.results = run(ctx.aliases, is_training=True)
        ctx.run = run
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        return tuple(t.detach() for t in ctx.results)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        """Gradients of the tensors."""
        tensors, pairs = ctx.saved_tensors, list(zip(ctx.results, gradients, strict=True))
        if are_recorded([g for g in gradients if g is not None]):
            every = [torch.zeros_like(t) if g is None else g for t, g in pairs]
            return None, *gradients_of(ctx.run.interpreted, tensors, every)
        # Where every sequence is empty, the results are zeros and the states themselves.
        used = [(t, g) for t, g in pairs if g is not None and t.requires_grad]
        wanted = [t for t in ctx.aliases if t.requires_grad]
        if not used:
            parts = iter([torch.zeros_like(t) for t in wanted])
        else:
            results, given = zip(*used, strict=True)
            parts = iter(
                torch.autograd.grad(
                    results, wanted, given, allow_unused=True, materialize_grads=True,
                    retain_graph=torch._C._autograd._get_current_graph_task_keep_graph(),
                )
            )  # fmt: skip
        return None, *(next(parts) if t.requires_grad else None for t in ctx.aliases)


class _TorchEngine:
    """Runs torch's cells by torch's own operations, wherever torch runs."""

    name = "torch"
    devices: frozenset[str] | None = None
    dtypes: frozenset[torch.dtype] | None = frozenset(
        {torch.float16, torch.bfloat16, torch.float32, torch.float64}
    )
    options: frozenset[str] = frozenset({"autocast", "as_torch"})
    step_options: frozenset[str] = frozenset({"autocast", "transforms", "as_torch"})

    def refusal(self, graph: Graph) -> str | None:
        """None for the cells that torch has."""
        return None if graph.digest() in _MODES else "has no operation for these equations"

    def note(self, call: Call) -> str:
        """A remark on operations that are slower than one would think."""
        return "torch's GRU is slower on mps than on the CPU" if call.device == "mps" else ""

    def compile(self, graph: Graph, operator: Operator, *, is_traced: bool) -> FusedLoop:
        """The cell's operation."""
        return FusedLoop(graph, is_traced=is_traced)

    def steps(
        self,
        graph: Graph,
        params: Parameters,
        inputs: Tensor,
        widths: Sequence[int],
        *,
        quantize: bool = False,
    ) -> None:
        """None: a step is a call like any other."""

    def linear(self, graph: Graph) -> None:
        """None: torch's product."""


FUSED = _TorchEngine()
