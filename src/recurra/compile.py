"""The one door to the engines: a cell goes in, a kernel comes out, made once and kept."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra import settings
from recurra.cells import Cell
from recurra.cells.regularised import probed
from recurra.engines.interpreter import Interpreter
from recurra.errors import EngineError
from recurra.ir import Graph, Node
from recurra.operator import (
    Kernel,
    Sequences,
    TracedKernel,
    loop_kernel,
    name_kernel,
    needs_operator,
    run_loop,
)
from recurra.ragged import within

__all__ = ["ENGINES", "Kernel", "kernel", "segment_starts", "with_probe"]

ENGINES = ("cpu", "interp")

_log = logging.getLogger("recurra")


class CpuKernel:
    """A cell compiled to machine code; what that can't do is interpreted, and told once.

    `strict` raises EngineError instead, for layers that ask for this engine by name.
    """

    engine = step_engine = "cpu"

    def __init__(self, graph: Graph, *, strict: bool) -> None:
        self.graph, self.strict = graph, strict
        self.interp = Interpreter(graph)
        self.loop = loop_kernel(graph)
        self._nodes = [self.loop.loop.inputs[i].node for i in self.loop.given]
        self._names = _names_of(self._nodes)

    def engine_for(self, weight: Tensor) -> str:
        """The engine that runs whole sequences with weights like this one."""
        reason = _reason_to_interpret(weight, (), {})
        return "cpu" if reason is None else "interp"

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step: x (..., I), states (..., size) to the new states."""
        reason = _reason_to_interpret(x, states, params)
        if reason is not None:
            self._tell(reason)
            return self.interp.step(x, states, params)
        _, last = self._run(x.reshape(1, -1, x.shape[-1]), [_rows(s) for s in states], params)
        return tuple(n.view(*s.shape[:-1], -1) for n, s in zip(last, states, strict=True))

    def sequence(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        params: Mapping[str, Tensor],
        *,
        lengths: Tensor | None = None,
        resets: Tensor | None = None,
        reverse: bool = False,
        bptt_clip: float | None = None,
        is_packed: bool = False,
        every: bool = False,
    ) -> tuple[Any, ...]:
        """All steps of x (T, B, I), from states (B, size): outputs (T, B, size), last states.

        With `is_packed` x is (N, I), the outputs (N, size), and `lengths` are sorted. With `every`
        a third value holds each state after each step, (T, B, size), zeros after the ends.
        """
        reason = _reason_to_interpret(x, states, params)
        if reason is not None:
            self._tell(reason)
        if every and reason is None and needs_operator((x, *states, *params.values())):
            reason = _RECORDED
        if reason is not None:
            return self.interp.sequence(
                x,
                states,
                params,
                lengths=lengths,
                resets=resets,
                reverse=reverse,
                bptt_clip=bptt_clip,
                is_packed=is_packed,
                every=every,
            )
        marks = None if resets is None else segment_starts(resets, lengths, reverse=reverse)
        if self._names is None and lengths is not None and not is_packed:
            # What is computed outside the loop is computed in the padding too, where NaN may stand.
            x = x.masked_fill(~within(lengths, len(x)).unsqueeze(-1), 0)
        steps = int(lengths[0]) if is_packed and lengths is not None else x.shape[0]
        sequences = Sequences(steps, reverse, lengths, marks, is_packed, bptt_clip, every)
        return self._run(x, states, params, sequences)

    def _run(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        params: Mapping[str, Tensor],
        sequences: Sequences = Sequences(1),  # noqa: B008  (frozen)
    ) -> tuple[Any, ...]:
        if self._names is None:
            inputs = self.interp.evaluate(self._nodes, x, params)
        else:
            inputs = [x if name is None else params[name] for name in self._names]
        return run_loop(self.loop, inputs, states, sequences)

    def _tell(self, reason: str) -> None:
        if self.strict and reason not in (*_TRANSFORMS, _RECORDED):
            raise EngineError(
                f"The cpu engine can't run {self.graph.cell} here: {reason}. The engine interp can."
            )
        _tell_once(f"{self.graph.cell} runs on interp: {reason}")


_RECORDED = "states after every step are asked for where operations are recorded"
_TRANSFORMS = ("a torch.func transform is active", "forward-mode derivatives are asked for")


@functools.cache
def _tell_once(text: str) -> None:
    _log.info(text)


def _reason_to_interpret(
    x: Tensor,
    states: Sequence[Tensor],
    params: Mapping[str, Tensor],
) -> str | None:
    """Why a sequence must be interpreted; None where it can be compiled."""
    reason = _reason_of_kind((x, *states, *params.values()))
    if reason is None and torch._C._functorch.peek_interpreter_stack() is not None:
        return _TRANSFORMS[0]
    if reason is None and torch.autograd.forward_ad._current_level >= 0:
        return _TRANSFORMS[1]
    return reason


def _reason_of_kind(tensors: Sequence[Tensor]) -> str | None:
    """What it is about the tensors that compiled code can't have."""
    dtype = tensors[0].dtype
    for tensor in tensors:
        if not tensor.is_cpu:
            return f"its tensors are on {tensor.device}, and cpu is compiled"
        if tensor.dtype is not dtype or dtype not in _COMPILED:
            return f"its dtype is {tensor.dtype}, and float32 and float64 are compiled"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and float32 and float64 are compiled"
    return None


_COMPILED = (torch.float32, torch.float64)


def _names_of(nodes: Sequence[Node]) -> list[str | None] | None:
    """Names of what is learnt or given, None for the input, where the values are nothing else."""
    if any(n.op not in ("input", "given", "probe", "param") for n in nodes):
        return None
    details = [n.detail if isinstance(n.detail, tuple) else (None, None) for n in nodes]
    if any(gate is not None for _, gate in details):
        return None  # a part of a parameter
    return [name for name, _ in details]


def _rows(state: Tensor) -> Tensor:
    return state.reshape(-1, state.shape[-1])


def segment_starts(resets: Tensor, lengths: Tensor | None, *, reverse: bool) -> Tensor:
    """Where a segment begins in the direction of the run, (T, B), from marks of first steps."""
    if not reverse:
        return resets
    # Going back, a segment begins one step before the mark of the one after it.
    if lengths is not None:
        resets = resets & within(lengths, len(resets))
    return torch.cat([resets[1:], torch.zeros_like(resets[:1])])


def kernel(cell: Cell, *, bias: bool = True, engine: str | None = None) -> Kernel:
    """The kernel of a cell. `engine` None takes the setting RECURRA_ENGINE.

    `auto` is cpu for cells that it can compile, and tells once which it chose and why. Raises
    EngineError for an engine that doesn't exist or can't run the cell.
    """
    if torch.compiler.is_dynamo_compiling():
        return TracedKernel(_kernel_name(cell, bias, engine))
    return _kernel(cell, bias, engine or settings.default_engine())


def _kernel_name(cell: Cell, bias: bool, engine: str | None) -> str:
    """The name under which torch.compile's graphs find a kernel."""
    found = kernel(cell, bias=bias, engine=engine)
    graph = cell.graph(bias=bias)
    name = f"{graph.cell}-{graph.digest()}-{engine or settings.default_engine()}"
    name_kernel(name, found)
    return name


# What torch.compiler.assume_constant_result does, which loads torch._dynamo to do it.
_kernel_name._dynamo_marked_constant = True  # type: ignore[attr-defined]


def with_probe(kernel: Kernel) -> Kernel:
    """A kernel that also takes zeros `probe`, (T, B, size), whose gradient is dL/dh_t."""
    strict = kernel.strict if isinstance(kernel, CpuKernel) else None
    assert isinstance(kernel, CpuKernel | Interpreter)
    return _with_probe(kernel.graph, strict)


@functools.lru_cache(maxsize=256)
def _with_probe(graph: Graph, strict: bool | None) -> Kernel:
    changed = probed(graph)
    return Interpreter(changed) if strict is None else CpuKernel(changed, strict=strict)


@functools.lru_cache(maxsize=256)
def _kernel(cell: Cell, bias: bool, engine: str) -> Kernel:
    if engine not in ("auto", *ENGINES):
        raise EngineError(
            f"There is no engine {engine!r}; the engines are auto, {', '.join(ENGINES)}."
        )
    graph = cell.graph(bias=bias)
    if settings.debug_level() >= 3:
        _log.info("%s:\n%s", graph.cell, cell.show())
    if engine == "interp":
        return Interpreter(graph)
    try:
        compiled = CpuKernel(graph, strict=engine == "cpu")
    except EngineError as refusal:
        if engine == "cpu":
            raise
        _tell_once(f"engine auto: {graph.cell} runs on interp: {refusal}")
        return Interpreter(graph)
    if engine == "auto":
        _tell_once(f"engine auto: {graph.cell} runs on cpu, which compiles it")
    return compiled


settings.show_log()
