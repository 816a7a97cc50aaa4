"""The table of engines, and the one function that chooses among them, call by call."""

from __future__ import annotations

import functools
import logging
from typing import NamedTuple

import torch

from recurra.engines.base import OPTIONS, Call, Engine
from recurra.engines.cpu.capabilities import CPU
from recurra.engines.interpreter import INTERPRETER
from recurra.engines.torch_fused import FUSED
from recurra.errors import EngineError
from recurra.ir import Graph

__all__ = ["AUTO", "ENGINES", "Choice", "check_asked", "choose", "log_once"]

ENGINES: dict[str, Engine] = {engine.name: engine for engine in (CPU, FUSED, INTERPRETER)}
"""Every engine by its name, in the order in which `auto` prefers them."""

AUTO = "auto"

# With no steps to share its costs, code called from Python loses to torch's own operation.
_ORDER_FOR_STEPS: tuple[Engine, ...] = (FUSED, CPU, INTERPRETER)

_log = logging.getLogger("recurra")


class Choice(NamedTuple):
    """The engine of a call, and the reason in words."""

    engine: Engine
    reason: str


def check_asked(name: str, graph: Graph) -> None:
    """Raise EngineError for an engine that doesn't exist, or can't run a cell at all."""
    if name != AUTO and name not in ENGINES:
        raise EngineError(
            f"There is no engine {name!r}; the engines are {AUTO}, {', '.join(ENGINES)}."
        )
    refusal = None if name == AUTO else ENGINES[name].refusal(graph)
    if refusal is not None:
        able = [e.name for e in ENGINES.values() if e.refusal(graph) is None]
        raise EngineError(_refused(name, graph, refusal, able))


def choose(graph: Graph, asked: str, call: Call) -> Choice:
    """The engine that runs a call of a cell where `asked` was asked for.

    `auto` is the first that can. Any other name is that engine, but that derivatives by torch.func
    and in forward mode are interpreted. Raises EngineError, saying which can, where it can't run.
    """
    preferred = _ORDER_FOR_STEPS if call.is_step else tuple(ENGINES.values())
    if asked != AUTO:
        preferred = (ENGINES[asked], INTERPRETER)
        refusal = _refusal(preferred[0], graph, call)
        if refusal is not None and not call.transforms:
            able = [e.name for e in ENGINES.values() if _refusal(e, graph, call) is None]
            raise EngineError(_refused(asked, graph, refusal, able))
    refusals: list[str] = []
    for engine in preferred:
        refusal = _refusal(engine, graph, call)
        if refusal is None:
            return Choice(engine, "; ".join(filter(None, (*refusals, engine.note(call)))))
        refusals.append(f"the {engine.name} engine {refusal}")
    raise AssertionError("the interpreter refuses nothing")


def _refused(name: str, graph: Graph, refusal: str, able: list[str]) -> str:
    return (
        f"The {name} engine can't run {graph.cell}: it {refusal}. "
        f"Engines that can: {', '.join(able)}."
    )


def _refusal(engine: Engine, graph: Graph, call: Call) -> str | None:
    """Why an engine can't run a call, as what follows its name."""
    if engine.devices is not None and call.device not in engine.devices:
        return (
            f"runs on {_words(engine.devices)}, and the tensors are on {call.device or 'several'}"
        )
    options = engine.step_options if call.is_step else engine.options
    for name in call.options:
        if name not in options:
            return f"doesn't support {OPTIONS[name]}"
    if engine.dtypes is not None and call.dtype not in engine.dtypes and not call.autocast:
        given = "of several dtypes" if call.dtype is None else _short(call.dtype)
        return f"takes {_words(map(_short, engine.dtypes))}, and the tensors are {given}"
    return engine.refusal(graph)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _words(names: object) -> str:
    *rest, last = sorted(map(str, names))  # type: ignore[call-overload]
    return f"{', '.join(rest)} and {last}" if rest else last


def log_once(graph: Graph, asked: str, choice: Choice) -> None:
    """Say on the `recurra` logger which engine runs a cell, unless by name, and why; once each."""
    if choice.engine.name != asked:
        reason = f": {choice.reason}" if choice.reason else ", the first that was asked"
        _log_once(f"engine {asked}: {graph.cell} runs on {choice.engine.name}{reason}")


@functools.cache
def _log_once(text: str) -> None:
    _log.info(text)
