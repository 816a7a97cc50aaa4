"""Networks that many sessions read: one copy of their weights, and their digest computed once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from torch import nn

from recurra.nn.lent_steps import StepsLender
from recurra.nn.module_steps import ModuleSteps, steps_of
from recurra.tasks.session import weights_digest

__all__ = ["OwnWeights", "SharedWeights"]


class OwnWeights:
    """The networks of one session, which copies their weights."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self._models = models

    @cached_property
    def digest(self) -> str:
        """That of all parameters and buffers."""
        return weights_digest(self._models)

    def steps(self, module: nn.Module) -> ModuleSteps:
        """The steps of a module of the networks."""
        return steps_of(module)


class SharedWeights(OwnWeights):
    """The networks of any number of sessions of one thread."""

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__(models)
        self._lenders: dict[nn.Module, StepsLender] = {}

    def steps(self, module: nn.Module) -> ModuleSteps:
        """The steps of a module of the networks, with states of their own."""
        if module not in self._lenders:
            self._lenders[module] = StepsLender(module)
        return self._lenders[module].lend()
