"""Kernels for torch.compile: it sees a name and an operator, and leaves the insides to itself.

`recurra::sequence` is made of other operators (CompositeImplicitAutograd): whoever records a graph
takes it for one call, and whoever derives or lowers that graph runs through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recurra.engines.base import Sequences, States
from recurra.engines.torch_layout import Parameters, TorchParameters
from recurra.errors import EngineError
from recurra.operator.library import LIBRARY, OPTIONS_SCHEMA

__all__ = ["TracedLoop", "name_run"]

Run = Callable[[Tensor, Sequence[Tensor], Parameters, Sequences], tuple[Tensor, States]]

_NAMED: dict[str, Run] = {}


def name_run(name: str, run: Run) -> None:
    """Let programs find a cell's run over sequences by that name."""
    _NAMED[name] = run


LIBRARY.define(
    "sequence(Tensor x, Tensor[] states, str[] names, Tensor[] params, str loop, "
    f"{OPTIONS_SCHEMA}) -> Tensor[]"
)


def _sequence(
    x: Tensor,
    states: list[Tensor],
    names: list[str],
    params: list[Tensor],
    loop: str,
    *options: Any,
) -> list[Tensor]:
    if loop not in _NAMED:
        raise EngineError(
            f"This program runs the cell {loop}, which this process doesn't know; compile the "
            "program again where it is to run."
        )
    given: Mapping[str, Tensor] = dict(zip(names, params, strict=True))
    is_torchs = "weight_ih" in given
    y, found = _NAMED[loop](
        x, states, TorchParameters(**given) if is_torchs else given, Sequences(*options)
    )
    return [y, *found]


LIBRARY.impl("sequence", _sequence, "CompositeImplicitAutograd")


@dataclass(frozen=True)
class TracedLoop:
    """A cell's loop as code under torch.compile sees it."""

    name: str

    def choose(self, *_: object) -> TracedLoop:
        """Itself: the engine is chosen when the operator runs."""
        return self

    def sequence(
        self, x: Tensor, states: Sequence[Tensor], params: Parameters, sequences: Sequences
    ) -> tuple[Tensor, States]:
        """All steps of x (T, B, I): outputs (T, B, size), and last states or those of each step."""
        if isinstance(params, TorchParameters):
            pairs = zip(TorchParameters._fields, params, strict=True)
            params = {name: t for name, t in pairs if t is not None}
        y, *found = torch.ops.recurra.sequence(
            x, list(states), list(params), list(params.values()), self.name, *sequences
        )
        return y, tuple(found)

    def step(self, x: Tensor, states: Sequence[Tensor], params: Parameters) -> States:
        """One step: x (..., I), states (..., size) to the new states."""
        rows = [s.reshape(-1, s.shape[-1]) for s in states]
        _, last = self.sequence(x.reshape(1, -1, x.shape[-1]), rows, params, Sequences(1))
        return tuple(n.view(*s.shape[:-1], -1) for n, s in zip(last, states, strict=True))

    def stack(self, *_: object) -> None:
        """Layers and directions are traced one after another."""
