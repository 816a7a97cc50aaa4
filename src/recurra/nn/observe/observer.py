"""Where somebody may stand between layers and their kernels: the one who looks, for this context.

`run_stack` asks `onlooker()`; nothing else of a layer knows. Modules tell their names while they
run inside `named`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

if TYPE_CHECKING:
    from recurra.nn.execute import Kernel, Parameters, Sequences

__all__ = ["Onlooker", "looking", "named", "onlooker"]


@dataclass(eq=False)
class Onlooker:
    """Who looks on: knows the modules that are running, by name, the innermost last."""

    modules: list[str] = field(default_factory=list)

    def run(
        self,
        kernel: Kernel,
        x: Tensor,
        states: Sequence[Tensor],
        params: Parameters,
        sequences: Sequences,
        label: str,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run a layer and direction, as the kernel's `sequence` does; its label in the module."""
        return kernel.sequence(x, states, params, sequences)

    def name(self, label: str, known: list[str]) -> str:
        """The name of a layer's and direction's run, where those `known` have run before it."""
        module = self.modules[-1] if self.modules else ""
        name = " ".join(part for part in (module, label) if part) or "layer"
        calls = sum(other == name or other.startswith(f"{name} (call") for other in known)
        return f"{name} (call {calls + 1})" if calls else name


_current: ContextVar[Onlooker | None] = ContextVar("recurra onlooker", default=None)


@contextlib.contextmanager
def looking(who: Onlooker) -> Iterator[None]:
    """Let somebody look on at every recurrent layer that runs in this context."""
    token = _current.set(who)
    try:
        yield
    finally:
        _current.reset(token)


def onlooker() -> Onlooker | None:
    """Who looks on here; None where nobody does, and under torch.compile."""
    return None if torch.compiler.is_dynamo_compiling() else _current.get()


@contextlib.contextmanager
def named(model: nn.Module, who: Onlooker) -> Iterator[None]:
    """Let somebody know which module of a model runs."""
    handles: list[RemovableHandle] = []
    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(_entering(who, name)))
            handles.append(module.register_forward_hook(_leaving(who), always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _entering(who: Onlooker, name: str) -> Callable[..., None]:
    return lambda *_: who.modules.append(name)


def _leaving(who: Onlooker) -> Callable[..., None]:
    def leave(*_: Any) -> None:
        who.modules.pop()

    return leave
