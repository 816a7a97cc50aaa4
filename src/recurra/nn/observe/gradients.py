"""The gradient of the output state at every step, a by-product of back-propagation through time.

A probe of zeros is added to each new state: its gradient is dL/dh_t, which the compiled loop writes
in its backward pass. Nothing runs a second time.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recurra.nn.observe.observer import Observer, observing, reporting_names
from recurra.nn.states import States
from recurra.ragged import padded

if TYPE_CHECKING:
    from recurra.nn.execute import Kernel, Parameters, Sequences

__all__ = ["GradientObserver", "observe_gradients"]


@dataclass(eq=False)
class GradientObserver(Observer):
    """Norms of dL/dh_t, (T,), by layer and direction, after a backward pass of the observed run."""

    norms: dict[str, Tensor] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def run(
        self,
        kernel: Kernel,
        x: Tensor,
        states: Sequence[Tensor],
        params: Parameters,
        sequences: Sequences,
        label: str,
    ) -> tuple[Tensor, States]:
        """Run a layer and direction with a probe; `label` is appended to the module's name."""
        if not torch.is_grad_enabled():
            return super().run(kernel, x, states, params, sequences, label)
        name = self.run_name(label, self.names)
        self.names.append(name)
        width = states[0].shape[-1]
        probe = x.new_zeros(1, width).expand(*x.shape[:-1], width).detach().requires_grad_()
        inputs = {**kernel.named(params), "probe": probe}
        y, after = kernel.probed().sequence(x, states, inputs, sequences)
        return self.hook(name, x, probe, y, sequences), after

    def hook(self, name: str, x: Tensor, probe: Tensor, y: Tensor, sequences: Sequences) -> Tensor:
        """Register what records gradients in the backward pass; returns the outputs to use."""
        if y.requires_grad:
            record = functools.partial(self._record, name, sequences)
            probe.register_hook(record)  # type: ignore[no-untyped-call]
        return y

    def _record(self, name: str, sequences: Sequences, gradient: Tensor) -> None:
        squares = gradient.detach().square().sum(-1)
        active = sequences.active(squares.device) if sequences.is_packed else None
        squares = squares if active is None else padded(squares, active)
        self.norms[name] = squares.sum(-1).sqrt()


@contextlib.contextmanager
def observe_gradients(model: nn.Module) -> Iterator[GradientObserver]:
    """Record the norm of dL/dh_t at every step of backward passes through runs in this context.

    The norm is over all rows and units of a layer's output state, without steps after a sequence's
    end. Under torch.compile nothing is recorded.

    Example:
        >>> from recurra.nn import Recurrent
        >>> layer = Recurrent("gru", 3, 8)
        >>> with observe_gradients(layer) as observer:
        ...     layer(torch.randn(20, 4, 3))[0][-1].sum().backward()
        >>> observer.norms["layer"].shape
        torch.Size([20])
    """
    observer = GradientObserver()
    with observing(observer), reporting_names(model, observer):
        yield observer
