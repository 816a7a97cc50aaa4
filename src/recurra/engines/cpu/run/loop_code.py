"""A cell's compiled loop over sequences as torch's code has them: any layout, any order of lengths.

Ragged rows are sorted and packed before the loop, and put back after it.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engines.base import LoopRun, Sequences
from recurra.engines.cpu.run.bound_call import CallSteps
from recurra.engines.cpu.run.compiled_loop import Binding, Compiled, ForwardTape, Gradients
from recurra.engines.cpu.run.packed_rows import PackedRows, find_rows
from recurra.engines.interpreter import Interpreter, interpret_run
from recurra.engines.torch_layout import Parameters, named
from recurra.ir import Graph, Loop, Node, in_order
from recurra.passes import Lowered, lower
from recurra.ragged import within

__all__ = ["CpuLoop"]


class _Order(NamedTuple):
    """The steps and rows of a run, sorted by length where they are ragged; its bound code."""

    steps: CallSteps
    rows: PackedRows | None = None
    binding: Binding | None = None


class CpuLoop:
    """A cell's loop as machine code; `given` are the indices of its inputs that aren't computed."""

    key: str
    graph: Graph
    lowered: Lowered
    compiled: Compiled
    loop: Loop
    given: tuple[int, ...]
    meaning: Interpreter

    def __init__(self, key: str, graph: Graph) -> None:
        self.key, self.graph = key, graph
        self.lowered = lower(graph)
        self.compiled = Compiled(self.lowered)
        self.loop = self.lowered.loops["forward"]
        self.given = self.compiled.given
        self._timed = tuple(self.loop.inputs[i].timed for i in self.given)
        self._nodes = [self.loop.inputs[i].node for i in self.given]
        self._names = _names_of(self._nodes)
        self.meaning = Interpreter(graph)

    def arguments(self, x: Tensor, params: Parameters, sequences: Sequences) -> list[Tensor]:
        """The tensors that the loop reads, those of `given`."""
        params = named(params, self.graph)
        if self._names is not None:
            return [x if name is None else params[name] for name in self._names]
        if sequences.lengths is not None and not sequences.is_packed:
            # The values before the loop are computed in the padding too, where NaN may stand.
            x = x.masked_fill(~within(sequences.lengths, len(x)).unsqueeze(-1), 0)
        return self.meaning.evaluate(self._nodes, x, params)

    def placed(self, tensors: Sequence[Tensor]) -> list[Tensor | None]:
        """The given inputs in their places among all, None for those that are computed."""
        found: list[Tensor | None] = [None] * len(self.loop.inputs)
        for index, tensor in zip(self.given, tensors, strict=True):
            found[index] = tensor
        return found

    def forward(
        self,
        inputs: Sequence[Tensor],
        states: Sequence[Tensor],
        sequences: Sequences,
        *,
        keep: bool,
        rows: int | None = None,
    ) -> LoopRun:
        """Run all steps; `keep` leaves a tape. `rows` is how many to allocate, if more."""
        steps, order = _order_of(sequences, states[0].shape[-2])
        sort = None if order is None else order.order
        firsts = [s.contiguous() if sort is None else s[sort] for s in states]
        after, last, tape, binding = self.compiled.forward(
            self._sorted(inputs, order), firsts, steps, rows or _size(steps, order),
            keep=keep, every=sequences.every,
        )  # fmt: skip
        saved = (*tape.states, tape.saved, *tape.new_states) if keep else ()
        used = _Order(steps, order, binding)
        if order is None:
            return LoopRun(after[0], last, after[1:], saved, used)
        y, *others = after
        last = tuple(_last_of_rows(order, s) for s in last)
        padded = tuple(_padded(order, s, sequences) for s in others)
        y = _unsorted(order, y, sequences, keep=keep)
        return LoopRun(y, last, padded, saved, used)

    def backward(
        self,
        inputs: Sequence[Tensor],
        tape: Sequence[Tensor],
        gradients: Sequence[Tensor | None],
        sequences: Sequences,
        wanted: Sequence[bool],
        order: _Order | None = None,
    ) -> list[Tensor | None]:
        """Gradients of the inputs and first states that are wanted."""
        few = len(self.loop.states)
        if order is None:
            known = next(g for g in gradients[1:] if g is not None)
            order = _Order(*_order_of(sequences, known.shape[-2]))
        rows, kept = order.rows, ForwardTape(tuple(tape[:few]), tape[few], tuple(tape[few + 1 :]))
        sort = None if rows is None else rows.order
        seeds: list[Tensor] = []
        strides: list[tuple[int, ...]] = []
        for i, state in enumerate(kept.states):
            seed = gradients[0] if i == 0 else gradients[few + i] if sequences.every else None
            if seed is None:
                seeds.append(_zeros(state.dtype, state.shape[-1]))
                strides.append((0, 0))
                continue
            seed, distances = _seed(seed, rows, is_padded=i > 0 or not sequences.is_packed)
            seeds.append(seed)
            strides.append(distances)
        last = gradients[1 : few + 1]
        last = [None if g is None else g.contiguous() if sort is None else g[sort] for g in last]
        found, firsts = self.compiled.backward(
            self._sorted(inputs, rows), kept, Gradients(seeds, tuple(strides), last), order.steps,
            tuple(wanted), None if rows is None else rows.before, sequences.bptt_clip,
            order.binding,
        )  # fmt: skip
        placed = [found[i] for i in self.given]
        for i, timed in enumerate(self._timed):
            if timed and wanted[i]:
                placed[i] = _placed(placed[i], inputs[i], rows)
        if rows is not None and rows.back is not None:
            firsts = [None if f is None else f[rows.back] for f in firsts]
        return placed + firsts

    def recorded(
        self, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
    ) -> list[Tensor]:
        """The same by torch operations: outputs, last states, and the others after each step."""
        rows = [s.reshape(-1, s.shape[-1]) for s in states]
        y, *rest = interpret_run(self.lowered, self.placed(inputs), rows, sequences)
        last = (v.view(s.shape) for v, s in zip(rest, states, strict=False))
        return [y, *last, *rest[len(rows) :]]

    def rows(self, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences) -> int:
        """Rows of outputs and tape, those of no lengths at all."""
        if not sequences.is_packed:
            return sequences.steps * states[0].shape[0]
        pairs = zip(self.given, inputs, strict=True)
        return next(t for i, t in pairs if self.loop.inputs[i].timed).shape[0]

    def tape_shapes(
        self, inputs: Sequence[Tensor], states: Sequence[Tensor], rows: int, sequences: Sequences
    ) -> list[tuple[int, int]]:
        """The shapes of a tape: kept states, saved values, and new states where they are apart."""
        is_plain = sequences.lengths is None and sequences.resets is None
        single, batch = is_plain and sequences.steps == 1, states[0].shape[0]
        kept = [(batch if single else rows + batch, s.shape[1]) for s in states]
        width = self.compiled.saved_width(self.placed(inputs), states)
        has_new_states = single or sequences.resets is not None
        new_states = [(rows, s.shape[1]) for s in states] if has_new_states else []
        return [*kept, (rows, width), *new_states]

    def multiplications(self, inputs: Sequence[Tensor]) -> int:
        """Multiplications of one row's step: the elements of each product's matrix."""
        tensors, total = self.placed(inputs), 0
        loop = self.lowered.loops.get("merged forward", self.loop)
        for node in in_order(loop.results):
            if node.op == "product":
                where = in_order(node.args[:1])[0].detail
                assert isinstance(where, tuple)
                index, part = where
                matrix = tensors[index]
                assert matrix is not None
                total += matrix.numel() // (1 if part is None else loop.inputs[index].parts)
        return total

    def _sorted(self, inputs: Sequence[Tensor], rows: PackedRows | None) -> Sequence[Tensor]:
        """The inputs with the rows of timed ones in the loop's order."""
        if rows is None or rows.index is None:
            return inputs
        return [
            _rows_of(t, rows.index) if timed else t
            for t, timed in zip(inputs, self._timed, strict=True)
        ]


def _order_of(sequences: Sequences, batch: int) -> tuple[CallSteps, PackedRows | None]:
    """The steps of a run, and the order of its rows where they are ragged."""
    lengths = sequences.lengths
    steps, rows = CallSteps(sequences.steps, batch, sequences.reverse), None
    if lengths is None and sequences.resets is None:
        return steps, None
    marks = sequences.starts
    if lengths is not None:
        rows = find_rows(lengths, reverse=sequences.reverse, is_packed=sequences.is_packed)
        marks = None if marks is None else marks.flatten()[rows.padded]
        steps = CallSteps(rows.count, batch, False, rows.ragged)
    if marks is not None:
        steps = steps._replace(marks=marks.contiguous())
    return steps, rows


def _size(steps: CallSteps, rows: PackedRows | None) -> int:
    """The rows of all steps."""
    return steps.number * steps.batch if rows is None else len(rows)


def _names_of(nodes: Sequence[Node]) -> list[str | None] | None:
    """Names of parameters and givens, None for the input, where the values are nothing else."""
    if any(n.op not in ("input", "given", "probe", "param") for n in nodes):
        return None
    details = [n.detail if isinstance(n.detail, tuple) else (None, None) for n in nodes]
    if any(gate is not None for _, gate in details):
        return None  # a part of a parameter
    return [name for name, _ in details]


def _rows_of(tensor: Tensor, index: Tensor) -> Tensor:
    return tensor.flatten(0, -2).index_select(0, index)


def _last_of_rows(rows: PackedRows, kept: Tensor) -> Tensor:
    last = kept if len(kept) == len(rows.last) else kept[rows.last]
    return last if rows.back is None else last[rows.back]


def _unsorted(rows: PackedRows, y: Tensor, sequences: Sequences, *, keep: bool) -> Tensor:
    """Outputs where the input's steps were, zeros after the ends; apart from what is kept."""
    if not sequences.is_packed:
        return _padded(rows, y, sequences)
    y = y[: len(rows)]
    if rows.index is None:
        return y.clone() if keep else y
    return torch.empty_like(y).index_copy_(0, rows.index, y)


def _padded(rows: PackedRows, y: Tensor, sequences: Sequences) -> Tensor:
    padded = y.new_zeros(sequences.steps, len(rows.last), y.shape[1])
    padded.flatten(0, 1).index_copy_(0, rows.padded, y[: len(rows)])
    return padded


def _seed(
    gradient: Tensor, rows: PackedRows | None, *, is_padded: bool
) -> tuple[Tensor, tuple[int, ...]]:
    """The gradients of a state after each step as the loop reads them, and their strides."""
    if rows is not None:
        index = rows.padded if is_padded else rows.index
        gradient = gradient if index is None else _rows_of(gradient, index)
    strides = gradient.stride()
    if strides[-1] == 1:
        return gradient, strides[:-1]
    if rows is None and not any(strides):
        # All are the same number, as a sum or mean gives it.
        return gradient.as_strided((gradient.shape[-1],), (0,)).contiguous(), (0, 0)
    gradient = gradient.contiguous()
    return gradient, gradient.stride()[:-1]


@functools.lru_cache(maxsize=64)
def _zeros(dtype: torch.dtype, size: int) -> Tensor:
    return torch.zeros(size, dtype=dtype, device="cpu")


def _placed(g: Tensor | None, like: Tensor, rows: PackedRows | None) -> Tensor | None:
    """A gradient of what is given with each step, in its shape."""
    if g is None:
        return None
    if rows is None or rows.index is None:
        return g.view(like.shape)
    flat = g.new_zeros(like.numel() // max(1, like.shape[-1]), like.shape[-1])
    return flat.index_copy_(0, rows.index, g).view(like.shape)
