"""The gradient of the output state at every step, as back-propagation through time has it anyway.

A probe of zeros is added to each new state: its gradient is dL/dh_t, which the compiled loop writes
as it goes. Nothing runs a second time.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from recurra.nn.observe.observer import Onlooker, looking, named
from recurra.ragged import padded

if TYPE_CHECKING:
    from recurra.nn.execute import Kernel, Parameters, Sequences

__all__ = ["Watch", "watch"]


@dataclass(eq=False)
class Watch(Onlooker):
    """Norms of dL/dh_t, (T,), by layer and direction, once a loss of the watched run went back."""

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
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run a layer and direction with a probe; `label` goes after the module's name."""
        if not torch.is_grad_enabled():
            return super().run(kernel, x, states, params, sequences, label)
        name = self.name(label, self.names)
        self.names.append(name)
        width = states[0].shape[-1]
        probe = x.new_zeros(1, width).expand(*x.shape[:-1], width).detach().requires_grad_()
        given = {**kernel.named(params), "probe": probe}
        y, after = kernel.probed().sequence(x, states, given, sequences)
        return self.follow(name, x, probe, y, sequences), after

    def follow(
        self, name: str, x: Tensor, probe: Tensor, y: Tensor, sequences: Sequences
    ) -> Tensor:
        """Have what goes back through a run noted; the outputs that the model is to have."""
        if y.requires_grad:
            keep = functools.partial(self._keep, name, sequences)
            probe.register_hook(keep)  # type: ignore[no-untyped-call]
        return y

    def _keep(self, name: str, sequences: Sequences, gradient: Tensor) -> None:
        squares = gradient.detach().square().sum(-1)
        active = sequences.active(squares.device) if sequences.is_packed else None
        squares = squares if active is None else padded(squares, active)
        self.norms[name] = squares.sum(-1).sqrt()


@contextlib.contextmanager
def watch(model: nn.Module) -> Iterator[Watch]:
    """Keep the norm of dL/dh_t at every step of what runs, and goes back, in this context.

    The norm is over all rows and units of a layer's output state, those of the sequences that have
    ended left out. Under torch.compile nothing is watched.

    Example:
        >>> from recurra.nn import Recurrent
        >>> layer = Recurrent("gru", 3, 8)
        >>> with watch(layer) as watched:
        ...     layer(torch.randn(20, 4, 3))[0][-1].sum().backward()
        >>> watched.norms["layer"].shape
        torch.Size([20])
    """
    found = Watch()
    with looking(found), named(model, found):
        yield found
