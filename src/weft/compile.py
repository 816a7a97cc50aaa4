"""The one door to the engines: a cell goes in, a kernel comes out, made once and kept."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from weft import settings
from weft.backends.interp import Interpreter
from weft.cells import Cell
from weft.errors import EngineError
from weft.ir import Graph, Node
from weft.operator import Sequences, loop_kernel, run_loop

__all__ = ["ENGINES", "Kernel", "kernel"]

ENGINES = ("cpu", "interp")

_log = logging.getLogger("weft")


class Kernel(Protocol):
    """A cell made to run by an engine. Parameters come by the names of the cell's equations."""

    engine: str
    step_engine: str

    def engine_for(self, weight: Tensor, bptt_clip: float | None) -> str:
        """The engine that runs whole sequences with weights like this one."""

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step: x (..., I), states (..., size) to the new states."""

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
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All steps of x (T, B, I), from states (B, size): outputs (T, B, size), last states."""


class CpuKernel:
    """A cell compiled to machine code; what that can't do is interpreted, and told once.

    `strict` raises EngineError instead, for layers that ask for this engine by name.
    """

    engine = step_engine = "cpu"

    def __init__(self, graph: Graph, *, strict: bool) -> None:
        self.graph, self.strict = graph, strict
        self.interp = Interpreter(graph)
        self.loop = loop_kernel(graph)
        self._nodes = [self.loop.loop.outside[i].node for i in self.loop.inputs]
        self._names = _names_of(self._nodes)

    def engine_for(self, weight: Tensor, bptt_clip: float | None) -> str:
        """The engine that runs whole sequences with weights like this one."""
        reason = _reason_to_interpret(weight, (), {}, bptt_clip)
        return "cpu" if reason is None else "interp"

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step: x (..., I), states (..., size) to the new states."""
        reason = _reason_to_interpret(x, states, params, None)
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
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """All steps of x (T, B, I), from states (B, size): outputs (T, B, size), last states."""
        reason = _reason_to_interpret(x, states, params, bptt_clip)
        if reason is not None:
            self._tell(reason)
            return self.interp.sequence(
                x,
                states,
                params,
                lengths=lengths,
                resets=resets,
                reverse=reverse,
                bptt_clip=bptt_clip,
            )
        marks = None if resets is None else _marks(resets, lengths, reverse=reverse)
        return self._run(x, states, params, Sequences(x.shape[0], reverse, lengths, marks))

    def _run(
        self,
        x: Tensor,
        states: Sequence[Tensor],
        params: Mapping[str, Tensor],
        sequences: Sequences = Sequences(1),  # noqa: B008  (frozen)
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if self._names is None:
            inputs = self.interp.evaluate(self._nodes, x, params)
        else:
            inputs = [x if name is None else params[name] for name in self._names]
        return run_loop(self.loop, inputs, states, sequences)

    def _tell(self, reason: str) -> None:
        if self.strict and reason not in _TRANSFORMS:
            raise EngineError(
                f"The cpu engine can't run {self.graph.cell} here: {reason}. The engine interp can."
            )
        _tell_once(f"{self.graph.cell} runs on interp: {reason}")


_TRANSFORMS = ("a torch.func transform is active", "forward-mode derivatives are asked for")


@functools.cache
def _tell_once(text: str) -> None:
    _log.info(text)


def _reason_to_interpret(
    x: Tensor,
    states: Sequence[Tensor],
    params: Mapping[str, Tensor],
    bptt_clip: float | None,
) -> str | None:
    """Why a sequence must be interpreted; None where it can be compiled."""
    if torch.compiler.is_compiling():
        return _reason_of_kind((x, *states, *params.values()), bptt_clip)
    reason = _reason_of_kind((x, *states, *params.values()), bptt_clip)
    if reason is None and torch._C._functorch.peek_interpreter_stack() is not None:
        return _TRANSFORMS[0]
    if reason is None and torch.autograd.forward_ad._current_level >= 0:
        return _TRANSFORMS[1]
    return reason


def _reason_of_kind(tensors: Sequence[Tensor], bptt_clip: float | None) -> str | None:
    """What it is about the tensors that compiled code can't have."""
    if bptt_clip is not None:
        return "clipping inside BPTT is not compiled"
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
    """Parameters' names, None for the input, where the values are nothing else."""
    if any(n.op not in ("input", "param") for n in nodes):
        return None
    return [n.detail[0] if isinstance(n.detail, tuple) else None for n in nodes]


def _rows(state: Tensor) -> Tensor:
    return state.reshape(-1, state.shape[-1])


def _marks(resets: Tensor, lengths: Tensor | None, *, reverse: bool) -> Tensor:
    """Where a segment begins in the direction of the run."""
    if not reverse:
        return resets
    # Going back, a segment begins one step before the mark of the one after it.
    if lengths is not None:
        resets = resets & (torch.arange(len(resets)).unsqueeze(-1) < lengths)
    return torch.cat([resets[1:], torch.zeros_like(resets[:1])])


def kernel(cell: Cell, *, bias: bool = True, engine: str | None = None) -> Kernel:
    """The kernel of a cell. `engine` None takes the setting WEFT_ENGINE.

    `auto` is cpu for cells that it can compile, and tells once which it chose and why. Raises
    EngineError for an engine that doesn't exist or can't run the cell.
    """
    return _kernel(cell, bias, engine or settings.default_engine())


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
