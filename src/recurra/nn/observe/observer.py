"""Lets an observer intercept each layer's kernel call, within a context.

`nn.execute` asks for the `CURRENT` one; no other part of a layer knows of observers. Modules
report their names while they run inside `reporting_names`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from recurra.nn.states import States

if TYPE_CHECKING:
    from recurra.nn.execute import Kernel, Parameters, Sequences

__all__ = ["CURRENT", "Observer", "observing", "reporting_names"]


@dataclass(eq=False)
class Observer:
    """Base of observers; `modules` are the names of those that are running, the innermost last."""

    modules: list[str] = field(default_factory=list)

    def run(
        self,
        kernel: Kernel,
        x: Tensor,
        states: Sequence[Tensor],
        params: Parameters,
        sequences: Sequences,
        label: str,
    ) -> tuple[Tensor, States]:
        """Run a layer and direction, as the kernel's `sequence` does; `label` names it."""
        return kernel.sequence(x, states, params, sequences)

    def run_name(self, label: str, earlier: list[str]) -> str:
        """The name of a run of one layer and direction, given the names of `earlier` runs."""
        module = self.modules[-1] if self.modules else ""
        name = " ".join(part for part in (module, label) if part) or "layer"
        calls = sum(other == name or other.startswith(f"{name} (call") for other in earlier)
        return f"{name} (call {calls + 1})" if calls else name


CURRENT: ContextVar[Observer | None] = ContextVar("recurra observer", default=None)
"""The observer of this context; torch.compile doesn't see it."""


@contextlib.contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Let an observer intercept every recurrent layer that runs in this context."""
    token = CURRENT.set(observer)
    try:
        yield
    finally:
        CURRENT.reset(token)


@contextlib.contextmanager
def reporting_names(model: nn.Module, observer: Observer) -> Iterator[None]:
    """Report to an observer, in this context, which module of a model is running."""
    handles: list[RemovableHandle] = []
    try:
        for name, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(_entering(observer, name)))
            handles.append(module.register_forward_hook(_leaving(observer), always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _entering(observer: Observer, name: str) -> Callable[..., None]:
    return lambda *_: observer.modules.append(name)


def _leaving(observer: Observer) -> Callable[..., None]:
    def leave(*_: Any) -> None:
        observer.modules.pop()

    return leave
