"""The one door to the engines: a cell goes in, a kernel comes out, made once and kept."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping, Sequence
from typing import Protocol

from torch import Tensor

from weft import settings
from weft.backends.interp import Interpreter
from weft.cells import Cell
from weft.errors import EngineError

__all__ = ["ENGINES", "Kernel", "kernel"]

ENGINES = {"interp": Interpreter}

_log = logging.getLogger("weft")


class Kernel(Protocol):
    """A cell made to run by an engine. Parameters come by the names of the cell's equations."""

    engine: str

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


def kernel(cell: Cell, *, bias: bool = True, engine: str | None = None) -> Kernel:
    """The kernel of a cell. `engine` None takes the setting WEFT_ENGINE.

    Raises EngineError for an engine that doesn't exist.
    """
    return _kernel(cell, bias, engine or settings.default_engine())


@functools.lru_cache(maxsize=256)
def _kernel(cell: Cell, bias: bool, engine: str) -> Kernel:
    if engine != "auto" and engine not in ENGINES:
        raise EngineError(
            f"There is no engine {engine!r}; the engines are auto, {', '.join(ENGINES)}."
        )
    graph = cell.graph(bias=bias)
    if engine == "auto":
        engine = "interp"
        _log.info("engine auto: %s runs on interp, the only engine there is yet", graph.cell)
    if settings.debug_level() >= 3:
        _log.info("%s:\n%s", graph.cell, cell.show())
    return ENGINES[engine](graph)


settings.show_log()
