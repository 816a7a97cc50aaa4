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
from weft.ir import Graph
from weft.operator import loop_kernel, run_loop

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

    engine = "cpu"
    step_engine = "interp"

    def __init__(self, graph: Graph, *, strict: bool) -> None:
        self.graph, self.strict = graph, strict
        self.interp = Interpreter(graph)
        self.loop = loop_kernel(graph)

    def engine_for(self, weight: Tensor, bptt_clip: float | None) -> str:
        """The engine that runs whole sequences with weights like this one."""
        reason = _reason_to_interpret(weight, (), {}, bptt_clip)
        return "cpu" if reason is None else "interp"

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step, interpreted: a loop over one step costs more than it saves."""
        return self.interp.step(x, states, params)

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
        steps, batch = x.shape[:2]
        marks = None
        if lengths is not None or resets is not None:
            if lengths is None:
                lengths = torch.full((batch,), steps)
            x, marks = _masked(x, lengths, resets, reverse=reverse)
        outside = self.interp.evaluate([o.node for o in self.loop.loop.outside], x, params)
        return run_loop(
            self.loop, outside, states, steps, reverse=reverse, lengths=lengths, marks=marks
        )

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
    tensors = [x, *states, *params.values()]
    if bptt_clip is not None:
        return "clipping inside BPTT is not compiled"
    if any(t.device.type != "cpu" for t in tensors):
        return f"its tensors are on {x.device}, and cpu is compiled"
    if x.dtype not in (torch.float32, torch.float64) or {t.dtype for t in tensors} != {x.dtype}:
        return f"its dtype is {x.dtype}, and float32 and float64 are compiled"
    if torch.is_autocast_enabled("cpu"):
        return "autocast is on, and float32 and float64 are compiled"
    if torch.compiler.is_compiling():
        return None
    if torch._C._functorch.peek_interpreter_stack() is not None:
        return _TRANSFORMS[0]
    if any(_has_tangent(t) for t in tensors):
        return _TRANSFORMS[1]
    return None


def _has_tangent(tensor: Tensor) -> bool:
    dual: Any = torch.autograd.forward_ad.unpack_dual(tensor)  # type: ignore[no-untyped-call]
    return dual.tangent is not None


def _masked(
    x: Tensor, lengths: Tensor, resets: Tensor | None, *, reverse: bool
) -> tuple[Tensor, Tensor]:
    """x with zeros in its padding, and where a segment begins in the direction of the run."""
    steps, batch = x.shape[:2]
    time = torch.arange(steps).unsqueeze(-1)
    x = x.masked_fill((time >= lengths).unsqueeze(-1), 0)
    if resets is None:
        return x, torch.zeros(steps, batch, dtype=torch.bool)
    if reverse:
        # Going back, a segment begins one step before the mark of the one after it.
        after = resets & (time < lengths)
        resets = torch.cat([after[1:], torch.zeros_like(after[:1])])
    return x, resets


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
