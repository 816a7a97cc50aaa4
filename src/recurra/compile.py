"""The one door to the engines: a cell goes in, a kernel comes out, made once and kept."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from recurra import settings
from recurra.cells import Cell
from recurra.cells.regularised import probed
from recurra.engines import (
    AUTO,
    ENGINES,
    Call,
    CompiledLoop,
    Interpreter,
    LinearMap,
    Parameters,
    Sequences,
    States,
    StepRun,
    TorchParameters,
    check_asked,
    choose,
    log_once,
    named,
)
from recurra.ir import Graph
from recurra.operator import EagerLoop, OperatorLoop, TracedLoop, name_run

__all__ = [
    "ENGINES",
    "CompiledLoop",
    "Kernel",
    "LinearMap",
    "Parameters",
    "Sequences",
    "StepRun",
    "TorchParameters",
    "TracedLoop",
    "kernel",
    "tensors_of",
]

_log = logging.getLogger("recurra")


class Kernel:
    """A cell, run by the engine that suits each call; `asked` is the engine asked for, or auto."""

    graph: Graph
    asked: str
    reference: Interpreter

    def __init__(self, graph: Graph, asked: str) -> None:
        check_asked(asked, graph)
        self.graph, self.asked = graph, asked
        self.reference = Interpreter(graph)
        self._by_call: dict[tuple[Any, ...], CompiledLoop] = {}
        self._linear: dict[tuple[Any, ...], LinearMap | None] = {}
        self._by_engine: dict[tuple[str, bool], CompiledLoop] = {}

    def choose(self, tensors: Sequence[Tensor | None], sequences: Sequences | None) -> CompiledLoop:
        """The loop that runs a call with these tensors; a single step without `sequences`.

        Raises EngineError where the engine asked for can't run it.
        """
        kind = kind_of(tensors, sequences)
        found = self._by_call.get(kind)
        if found is None:
            call = Call(*kind)
            choice = choose(self.graph, self.asked, call)
            log_once(self.graph, self.asked, choice)
            key = choice.engine.name, call.is_traced
            if key not in self._by_engine:
                operator = OperatorLoop if call.is_traced else EagerLoop
                self._by_engine[key] = choice.engine.compile(
                    self.graph, operator, is_traced=call.is_traced
                )
            found = self._by_call[kind] = self._by_engine[key]
        return found

    def engine_of(self, tensors: Sequence[Tensor | None], sequences: Sequences | None) -> str:
        """The name of the engine that runs such a call. Raises EngineError as `choose` does."""
        return choose(self.graph, self.asked, Call(*kind_of(tensors, sequences))).engine.name

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I), from states (B, size): outputs (T, B, size), last states.

        With `sequences.every` the states after each step, (T, B, size), zeros after the ends, come
        instead of the last ones; with `is_packed` x is (N, I) and the outputs are (N, size).
        """
        loop = self.choose([x, *states, *tensors_of(params)], sequences)
        return loop.sequence(x, states, params, sequences)

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (..., I), states (..., size) to the new states."""
        return self.choose([x, *states, *tensors_of(params)], None).step(x, states, params)

    def steps(
        self,
        params: Parameters,
        inputs: Tensor,
        widths: Sequence[int],
        *,
        quantize: bool = False,
    ) -> StepRun | None:
        """Steps that come one after another, as the engine of whole sequences runs them.

        See `Engine.steps`; None where it has nothing for them.
        """
        kind = Call(*kind_of([inputs, *tensors_of(params)], Sequences(1)))
        engine = choose(self.graph, self.asked, kind).engine
        return engine.steps(self.graph, params, inputs, widths, quantize=quantize)

    def linear(self, tensors: Sequence[Tensor]) -> LinearMap | None:
        """The product of a graph whose output is W x + b, for a call with these tensors.

        None where torch's own is what the engine has, or the one that RECURRA_ENGINE names.
        """
        asked = settings.default_engine()
        kind = (asked, *kind_of(tensors, Sequences(1)))
        if kind not in self._linear:
            chosen = choose(self.graph, self.asked, Call(*kind[1:])).engine
            engines = [chosen] if asked == AUTO else [chosen, ENGINES[asked]]
            found = [engine.linear(self.graph) for engine in engines]
            self._linear[kind] = None if None in found else found[0]
        return self._linear[kind]

    def named(self, params: Parameters) -> Mapping[str, Tensor]:
        """Parameters by the names of the equations."""
        return named(params, self.graph)

    def probed(self) -> Kernel:
        """A kernel that also takes zeros `probe`, (T, B, size), whose gradient is dL/dh_t."""
        return _probed(self.graph, self.asked)


def kind_of(tensors: Sequence[Tensor | None], sequences: Sequences | None) -> tuple[Any, ...]:
    """The kind of a call, as `Call` has it; of a single step where there are no `sequences`."""
    first = tensors[0]
    assert first is not None
    device, dtype = first.device, first.dtype
    one_device = one_dtype = True
    as_torch = _tracing() is not None
    is_traced = as_torch or torch.compiler.is_compiling() or _dispatch_modes() > 0
    for tensor in tensors:
        if tensor is None or (
            tensor.dtype is dtype and tensor.device == device and type(tensor) in _PLAIN
        ):
            continue
        if tensor.dtype is not dtype:
            one_dtype = False
        if tensor.device != device:
            one_device = False
        if type(tensor) not in _PLAIN:
            is_traced = True
    kind = device.type if one_device else "", dtype if one_dtype else None
    autocast = _any_autocast() and torch.is_autocast_enabled(device.type)
    transforms = _transform() is not None or forward_ad._current_level >= 0
    as_torch = as_torch or (is_traced and torch.onnx.is_in_onnx_export())
    if sequences is None:
        return *kind, True, autocast, transforms, False, False, False, as_torch, is_traced
    _, _, lengths, resets, _, bptt_clip, every = sequences
    ragged_trace = is_traced and (lengths is not None or resets is not None)
    return (
        *kind, False, autocast, transforms, bptt_clip is not None, every, ragged_trace, as_torch,
        is_traced,
    )  # fmt: skip


_tracing = torch._C._get_tracing_state
_dispatch_modes = torch._C._len_torch_dispatch_stack
_any_autocast = torch._C._is_any_autocast_enabled
_transform = torch._C._functorch.peek_interpreter_stack
_PLAIN = (Tensor, torch.nn.Parameter)


def tensors_of(params: Parameters) -> Iterable[Tensor | None]:
    """The tensors among the parameters of a layer and direction, None for those that it hasn't."""
    return params if isinstance(params, TorchParameters) else params.values()


def kernel(cell: Cell, *, bias: bool = True, engine: str | None = None) -> Kernel | TracedLoop:
    """The kernel of a cell. `engine` None takes the setting RECURRA_ENGINE.

    `auto` takes, for each call, the first engine that can run it, and logs once which and why.
    Raises EngineError for an engine that doesn't exist or can't run the cell.
    """
    if torch.compiler.is_dynamo_compiling():
        return TracedLoop(_traced_name(cell, bias, engine))
    return _kernel(cell, bias, engine or settings.default_engine())


def _traced_name(cell: Cell, bias: bool, engine: str | None) -> str:
    """The name under which torch.compile's graphs find a kernel."""
    found = _kernel(cell, bias, engine or settings.default_engine())
    name = f"{found.graph.cell}-{found.graph.digest()}-{found.asked}"
    name_run(name, found.sequence)
    return name


# What torch.compiler.assume_constant_result does, which loads torch._dynamo to do it.
_traced_name._dynamo_marked_constant = True  # type: ignore[attr-defined]


@functools.lru_cache(maxsize=256)
def _kernel(cell: Cell, bias: bool, asked: str) -> Kernel:
    if settings.debug_level() >= 3:
        _log.info("%s:\n%s", cell.graph(bias=bias).cell, cell.show())
    return Kernel(cell.graph(bias=bias), asked)


@functools.lru_cache(maxsize=256)
def _probed(graph: Graph, asked: str) -> Kernel:
    return Kernel(probed(graph), asked)


settings.show_log()
