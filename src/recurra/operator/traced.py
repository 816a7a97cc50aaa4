"""Kernels for torch.compile: it sees a name and an operator, and leaves the insides to itself.

`recurra::sequence` is made of other operators (CompositeImplicitAutograd): whoever records a graph
takes it for one call, and whoever derives or lowers that graph runs through it.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from recurra.errors import EngineError
from recurra.operator.library import LIBRARY

__all__ = ["Kernel", "TracedKernel", "name_kernel"]


class Kernel(Protocol):
    """A cell made to run by an engine. Parameters come by the names of the cell's equations."""

    @property
    def engine(self) -> str:
        """The engine that runs whole sequences, where their tensors allow it."""

    @property
    def step_engine(self) -> str:
        """The engine that runs single steps."""

    def engine_for(self, weight: Tensor) -> str:
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
        is_packed: bool = False,
        every: bool = False,
    ) -> tuple[Any, ...]:
        """All steps of x (T, B, I), from states (B, size): outputs (T, B, size), last states.

        With `is_packed` x is (N, I), the outputs (N, size), and `lengths` are sorted. With `every`
        a third value holds each state after each step, (T, B, size), zeros after the ends.
        """


_NAMED: dict[str, Kernel] = {}


def name_kernel(name: str, kernel: Kernel) -> None:
    """Let a kernel be found by that name."""
    _NAMED[name] = kernel


LIBRARY.define(
    "sequence(Tensor x, Tensor[] states, str[] names, Tensor[] params, Tensor? lengths, "
    "Tensor? resets, str kernel, bool reverse, float? bptt_clip, bool is_packed, bool every) "
    "-> Tensor[]"
)


def _sequence(
    x: Tensor,
    states: list[Tensor],
    names: list[str],
    params: list[Tensor],
    lengths: Tensor | None,
    resets: Tensor | None,
    kernel: str,
    reverse: bool,
    bptt_clip: float | None,
    is_packed: bool,
    every: bool,
) -> list[Tensor]:
    if kernel not in _NAMED:
        raise EngineError(
            f"This program runs the cell {kernel}, which this process doesn't know; compile the "
            "program anew where it is to run."
        )
    y, *states_found = _NAMED[kernel].sequence(
        x, states, dict(zip(names, params, strict=True)), lengths=lengths, resets=resets,
        reverse=reverse, bptt_clip=bptt_clip, is_packed=is_packed, every=every,
    )  # fmt: skip
    return [y, *itertools.chain(*states_found)]


LIBRARY.impl("sequence", _sequence, "CompositeImplicitAutograd")


@dataclass(frozen=True)
class TracedKernel:
    """A kernel as code under torch.compile sees it."""

    name: str

    @property
    def engine(self) -> str:
        """The engine that runs whole sequences, where their tensors allow it."""
        return _NAMED[self.name].engine

    @property
    def step_engine(self) -> str:
        """The engine that runs single steps."""
        return _NAMED[self.name].step_engine

    def engine_for(self, weight: Tensor) -> str:
        """The engine that runs whole sequences with weights like this one."""
        return _NAMED[self.name].engine_for(weight)

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
        y, *found = torch.ops.recurra.sequence(
            x, list(states), list(params), list(params.values()), lengths, resets, self.name,
            reverse, bptt_clip, is_packed, every,
        )  # fmt: skip
        last, rest = tuple(found[: len(states)]), tuple(found[len(states) :])
        return (y, last, rest) if every else (y, last)

    def step(
        self, x: Tensor, states: Sequence[Tensor], params: Mapping[str, Tensor]
    ) -> tuple[Tensor, ...]:
        """One step: x (..., I), states (..., size) to the new states."""
        rows = [s.reshape(-1, s.shape[-1]) for s in states]
        _, last = self.sequence(x.reshape(1, -1, x.shape[-1]), rows, params)
        return tuple(n.view(*s.shape[:-1], -1) for n, s in zip(last, states, strict=True))
