"""The gradient of the output state at every step, as back-propagation through time has it anyway.

A probe of zeros is added to each new state: its gradient is dL/dh_t, which the compiled loop writes
as it goes. Nothing runs a second time.
"""

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from recurra.nn.observe.observer import Onlooker, looking, named
from recurra.ragged import padded, within

__all__ = ["Watch", "watch"]


@dataclass(eq=False)
class Watch(Onlooker):
    """Norms of dL/dh_t, (T,), by layer and direction, once a loss of the watched run went back."""

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
        **rest: Any,
    ) -> tuple[Any, ...]:
        """Run what a kernel with a probe runs; `label` goes after the module's name."""
        name = self.name(label, self.names)
        self.names.append(name)
        probe = x.new_zeros(1, width).expand(*x.shape[:-1], width).detach().requires_grad_()
        given = {**params, "probe": probe}
        how = {"lengths": lengths, "is_packed": is_packed, "reverse": reverse}
        y, *others = run(x, states, given, **how, **rest)
        return self.follow(name, x, probe, y, lengths, is_packed, reverse), *others

    def follow(
        self,
        name: str,
        x: Tensor,
        probe: Tensor,
        y: Tensor,
        lengths: Tensor | None,
        is_packed: bool,
        reverse: bool,
    ) -> Tensor:
        """Have what goes back through a run noted; the outputs that the model is to have."""
        if y.requires_grad:
            keep = functools.partial(self._keep, name, lengths=lengths, is_packed=is_packed)
            probe.register_hook(keep)  # type: ignore[no-untyped-call]
        return y

    def _keep(
        self, name: str, gradient: Tensor, *, lengths: Tensor | None, is_packed: bool
    ) -> None:
        squares = gradient.detach().square().sum(-1)
        if is_packed:
            assert lengths is not None
            squares = padded(squares, within(lengths, int(lengths[0])))
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
