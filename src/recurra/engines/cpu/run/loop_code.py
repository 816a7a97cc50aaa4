"""A cell's compiled loop over sequences as torch's code has them: any layout, any order of lengths.

Ragged rows are sorted and packed before the loop, and put back after it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recurra.engines.base import LoopRun, Sequences
from recurra.engines.cpu.run.bound_call import CallSteps
from recurra.engines.cpu.run.compiled_loop import Compiled, ForwardTape
from recurra.engines.cpu.run.packed_rows import PackedRows, find_rows
from recurra.engines.interpreted_loop import interpret_run
from recurra.engines.interpreter import Interpreter
from recurra.engines.torch_layout import Parameters, named
from recurra.ir import Graph, Loop, Node, in_order
from recurra.passes import Lowered, lower
from recurra.ragged import within

__all__ = ["CpuLoop"]


class _Prepared(NamedTuple):
    """A run as compiled code has it: tensors laid out, ragged rows sorted, R rows in all."""

    inputs: list[Tensor | None]
    steps: CallSteps
    rows: PackedRows | None
    size: int


class CpuLoop:
    """A cell's loop as machine code; `given` are the indices of its inputs that aren't computed."""

    key: str
    graph: Graph
    lowered: Lowered
    compiled: Compiled
    loop: Loop
    given: tuple[int, ...]

    def __init__(self, key: str, graph: Graph) -> None:
        self.key, self.graph = key, graph
        self.lowered = lower(graph)
        self.compiled = Compiled(self.lowered)
        self.loop = self.lowered.loops["forward"]
        values = {a.value for a in self.lowered.affine}
        self.given = tuple(i for i in range(len(self.loop.inputs)) if i not in values)
        self._nodes = [self.loop.inputs[i].node for i in self.given]
        self._names = _names_of(self._nodes)
        self._meaning = Interpreter(graph)

    def arguments(self, x: Tensor, params: Parameters, sequences: Sequences) -> list[Tensor]:
        """The tensors that the loop reads, those of `given`."""
        params = named(params, self.graph)
        if self._names is not None:
            return [x if name is None else params[name] for name in self._names]
        if sequences.lengths is not None and not sequences.is_packed:
            # The values before the loop are computed in the padding too, where NaN may stand.
            x = x.masked_fill(~within(sequences.lengths, len(x)).unsqueeze(-1), 0)
        return self._meaning.evaluate(self._nodes, x, params)

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
        run = self._prepare(inputs, states[0].shape[0], sequences)
        order = None if run.rows is None else run.rows.order
        firsts = [s.contiguous() if order is None else s[order] for s in states]
        after, last, tape = self.compiled.forward(
            run.inputs, firsts, run.steps, run.size if rows is None else rows,
            keep=keep, every=sequences.every,
        )  # fmt: skip
        saved = (*tape.states, tape.saved, *tape.new_states) if keep else ()
        y, *others = after if sequences.every else after[:1]
        if run.rows is None:
            y, *others = (
                v[: run.size].view(sequences.steps, *s.shape)
                for v, s in zip((y, *others), states, strict=False)
            )
            return LoopRun(y, last, tuple(others), saved, None)
        padded = tuple(_padded(run, s, sequences) for s in others)
        last = tuple(_last_of_rows(run.rows, s) for s in last)
        return LoopRun(_unsorted(run, y, sequences), last, padded, saved, run.rows)

    def backward(
        self,
        inputs: Sequence[Tensor],
        tape: Sequence[Tensor],
        gradients: Sequence[Tensor],
        sequences: Sequences,
        wanted: Sequence[bool],
        order: Any = None,
    ) -> tuple[list[Tensor | None], list[Tensor]]:
        """Gradients of the inputs that are wanted and of the first states."""
        few = len(self.loop.states)
        seed, last, others = gradients[0], gradients[1 : few + 1], gradients[few + 1 :]
        run = self._prepare(inputs, last[0].shape[0], sequences, order)
        adjoints = [
            g.clone(memory_format=torch.contiguous_format) if run.rows is None or
            run.rows.order is None else g[run.rows.order]
            for g in last
        ]  # fmt: skip
        every = [False] * len(run.inputs)
        for index, flag in zip(self.given, wanted, strict=True):
            every[index] = flag
        seeds = [_timed(seed, run.rows), *(_seed(g, run, sequences) for g in others)]
        if not others:
            # What nobody reads gets nothing: the same zeros for every step and row.
            zeros = (f.new_zeros(f.shape[-1]) for f in last[1:])
            seeds += (z.as_strided((1, 1, len(z)), (0, 0, 1)) for z in zeros)
        kept = ForwardTape(tuple(tape[:few]), tape[few], tuple(tape[few + 1 :]))
        found, first = self.compiled.backward(
            run.inputs, kept, seeds, adjoints, run.steps, every,
            None if run.rows is None else run.rows.before, sequences.bptt_clip,
        )  # fmt: skip
        placed = [
            _placed(found[i], t, self.loop.inputs[i].timed, run.rows)
            for i, t in zip(self.given, inputs, strict=True)
        ]
        back = None if run.rows is None else run.rows.back
        return placed, [f if back is None else f[back] for f in first]

    def recorded(
        self, inputs: Sequence[Tensor], states: Sequence[Tensor], sequences: Sequences
    ) -> list[Tensor]:
        """The same by torch operations: outputs, last states, and the others after each step."""
        return interpret_run(self.lowered, self.placed(inputs), states, sequences)

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

    def _prepare(
        self,
        inputs: Sequence[Tensor],
        batch: int,
        sequences: Sequences,
        rows: PackedRows | None = None,
    ) -> _Prepared:
        marks, lengths = sequences.starts, sequences.lengths
        steps = CallSteps(sequences.steps, batch, sequences.reverse)
        count = sequences.steps * batch
        if lengths is not None:
            rows = rows or find_rows(
                lengths, reverse=sequences.reverse, is_packed=sequences.is_packed
            )
            marks = None if marks is None else marks.flatten()[rows.padded]
            steps = CallSteps(rows.count, batch, ragged=rows.ragged)
            count = len(rows)
        if marks is not None:
            steps = CallSteps(steps.count, batch, steps.reverse, steps.ragged, marks.contiguous())
        placed = self.placed(inputs)
        for index in self.given:
            tensor = placed[index]
            assert tensor is not None
            timed = self.loop.inputs[index].timed
            placed[index] = _timed(tensor, rows) if timed else tensor.contiguous()
        return _Prepared(placed, steps, rows, count)


def _names_of(nodes: Sequence[Node]) -> list[str | None] | None:
    """Names of parameters and givens, None for the input, where the values are nothing else."""
    if any(n.op not in ("input", "given", "probe", "param") for n in nodes):
        return None
    details = [n.detail if isinstance(n.detail, tuple) else (None, None) for n in nodes]
    if any(gate is not None for _, gate in details):
        return None  # a part of a parameter
    return [name for name, _ in details]


def _timed(tensor: Tensor, rows: PackedRows | None) -> Tensor:
    """A value of every step as the loop reads it: in place where its elements lie side by side."""
    if rows is not None and rows.index is not None:
        return tensor.flatten(0, -2).index_select(0, rows.index)
    return tensor if tensor.stride(-1) == 1 else tensor.contiguous()


def _last_of_rows(rows: PackedRows, kept: Tensor) -> Tensor:
    last = kept if len(kept) == len(rows.last) else kept[rows.last]
    return last if rows.back is None else last[rows.back]


def _unsorted(run: _Prepared, y: Tensor, sequences: Sequences) -> Tensor:
    """Outputs where the input's steps were, zeros after the ends."""
    assert run.rows is not None
    if not sequences.is_packed:
        return _padded(run, y, sequences)
    y, index = y[: run.size], run.rows.index
    return y if index is None else torch.empty_like(y).index_copy_(0, index, y)


def _padded(run: _Prepared, y: Tensor, sequences: Sequences) -> Tensor:
    assert run.rows is not None
    padded = y.new_zeros(sequences.steps * run.steps.batch, y.shape[1])
    padded.index_copy_(0, run.rows.padded, y[: run.size])
    return padded.view(sequences.steps, -1, y.shape[1])


def _seed(gradient: Tensor, run: _Prepared, sequences: Sequences) -> Tensor:
    """The gradient of a state other than the output: padded where rows are packed, too."""
    if run.rows is None or not sequences.is_packed:
        return _timed(gradient, run.rows)
    return gradient.flatten(0, 1).index_select(0, run.rows.padded)


def _placed(g: Tensor | None, like: Tensor, timed: bool, rows: PackedRows | None) -> Tensor | None:
    """A gradient in the shape of its tensor."""
    if g is None or not timed:
        return g
    if rows is None or rows.index is None:
        return g.view(like.shape)
    flat = g.new_zeros(like.numel() // max(1, like.shape[-1]), like.shape[-1])
    return flat.index_copy_(0, rows.index, g).view(like.shape)
