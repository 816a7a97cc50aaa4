"""The gradient of the output state at every step, a by-product of back-propagation through time.

A probe of zeros is added to each new state: its gradient is dL/dh_t, which the compiled loop writes
in its backward pass. Nothing runs a second time.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from recurra.nn.observe.observer import Observer, observing, reporting_names
from recurra.ragged import padded, within

__all__ = ["GradientObserver", "observe_gradients"]


@dataclass(eq=False)
class GradientObserver(Observer):
    """Norms of dL/dh_t, (T,), by layer and direction, after a backward pass of the observed run."""

    norms: dict[str, Tensor] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)

    def sequence(
        self,
        run: Callable[..., tuple[Any, ...]],
        width: int,
        x: Tensor,
        states: Sequence[Tensor],
        params: Mapping[str, Tensor],
        *,
        label: str,
        lengths: Tensor | None,
        is_packed: bool,
        reverse: bool = False,
        **options: Any,
    ) -> tuple[Any, ...]:
        """Run a kernel that has a probe; `label` is appended to the module's name."""
        name = self.run_name(label, self.names)
        self.names.append(name)
        probe = x.new_zeros(1, width).expand(*x.shape[:-1], width).detach().requires_grad_()
        rows = {"lengths": lengths, "is_packed": is_packed, "reverse": reverse}
        y, *others = run(x, states, {**params, "probe": probe}, **rows, **options)
        return self.hook(name, x, probe, y, lengths, is_packed, reverse), *others

    def hook(
        self,
        name: str,
        x: Tensor,
        probe: Tensor,
        y: Tensor,
        lengths: Tensor | None,
        is_packed: bool,
        reverse: bool,
    ) -> Tensor:
        """Register what records gradients in the backward pass; returns the outputs to use."""
        if y.requires_grad:
            record = functools.partial(self._record, name, lengths=lengths, is_packed=is_packed)
            probe.register_hook(record)  # type: ignore[no-untyped-call]
        return y

    def _record(
        self, name: str, gradient: Tensor, *, lengths: Tensor | None, is_packed: bool
    ) -> None:
        squares = gradient.detach().square().sum(-1)
        if is_packed:
            assert lengths is not None
            squares = padded(squares, within(lengths, int(lengths[0])))
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
