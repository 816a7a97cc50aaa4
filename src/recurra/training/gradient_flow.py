"""Gradient flow while training: how far back in time the gradient of a training step reaches.

dL/dh_t is a by-product of the step's own backward pass. Where every step has a loss of its own, its
norm says nothing about distance, because the loss of the same step dominates it. There the gradient
of a layer's last output is sent back alone through that layer a second time, which is why only some
steps are watched.
"""

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from recurra.nn.execute import Sequences
from recurra.nn.observe.gradients import GradientObserver
from recurra.nn.observe.observer import observing, reporting_names
from recurra.ragged import padded, within

__all__ = ["DISTANCES", "Flow", "distances", "flowing"]

DISTANCES = 64
"""The most distances at which norms are stored."""


@dataclass(frozen=True, eq=False)
class _Steps:
    """The steps of one layer and direction: (T, B) which are `active`, the others ended, and how
    far `back` from its row's last each is, a permutation of 0 to T - 1 in each row.
    """

    active: Tensor
    back: Tensor
    is_packed: bool

    @classmethod
    def of(cls, x: Tensor, sequences: Sequences) -> "_Steps":
        """The steps of x (T, B, I), or (N, I) where it is packed."""
        steps, lengths = sequences.steps, sequences.lengths
        if lengths is None:
            lengths = torch.full((x.shape[1],), steps, device=x.device)
        place = torch.arange(steps, device=x.device).unsqueeze(-1)
        lengths = lengths.to(x.device)
        back = place.expand(steps, len(lengths))
        back = back if sequences.reverse else (lengths - 1 - place) % steps
        return cls(within(lengths, steps), back, sequences.is_packed)

    def norms(self, gradient: Tensor) -> Tensor:
        """Norms by distance, (T,), of a gradient (T, B, size) or (N, size)."""
        # In float64: squares of what is nearly gone, or exploding, leave float32's range.
        norms = torch.linalg.vector_norm(gradient.detach(), dim=-1, dtype=torch.double)
        squares = norms.square()
        if self.is_packed:
            squares = padded(squares, self.active)
        squares = squares.masked_fill(~self.active, 0)
        return torch.zeros_like(squares).scatter(0, self.back, squares).sum(-1).sqrt()

    def last(self, gradient: Tensor) -> Tensor:
        """The gradient (T, B, size) or (N, size) at each row's last step, elsewhere zeros."""
        here = self.active & (self.back == 0)
        here = here[self.active] if self.is_packed else here
        return gradient.masked_fill(~here.unsqueeze(-1), 0)


@dataclass(eq=False)
class Flow(GradientObserver):
    """Norms by layer and direction, (T,) each, by the distance from each row's last step.

    `whole` is of dL/dh_t; `ends`, where it differs, of the share that the gradient of each row's
    last output has in it; `arrives` of the gradient that the loss sends to the output of a step.
    """

    whole: dict[str, Tensor] = field(default_factory=dict)
    ends: dict[str, Tensor] = field(default_factory=dict)
    arrives: dict[str, Tensor] = field(default_factory=dict)

    def hook(
        self,
        name: str,
        x: Tensor,
        probe: Tensor,
        y: Tensor,
        sequences: Sequences,
    ) -> Tensor:
        """Record both norms during the backward pass; the outputs are returned as a view."""
        if not y.requires_grad:
            return y
        steps = _Steps.of(x, sequences)
        probe.register_hook(  # type: ignore[no-untyped-call]
            lambda gradient: self.whole.update({name: steps.norms(gradient)})
        )
        # A view, since a gradient can't set out from a node while autograd is at that node.
        shown = y.view_as(y)
        end = functools.partial(self._end, name, steps, y, probe)
        shown.register_hook(end)  # type: ignore[no-untyped-call]
        return shown

    def _end(self, name: str, steps: _Steps, y: Tensor, probe: Tensor, gradient: Tensor) -> None:
        self.arrives[name] = steps.norms(gradient)
        alone = steps.last(gradient)
        if torch.equal(alone, gradient) or not bool(alone.any()):
            return
        (share,) = torch.autograd.grad(y, probe, alone, retain_graph=True)
        self.ends[name] = steps.norms(share)

    def lines(self, step: int) -> list[dict[str, Any]]:
        """A line for each layer and direction that the loss reached, thinned by `distances`."""
        return [self._line(step, name) for name in self.names if name in self.whole]

    def _line(self, step: int, name: str) -> dict[str, Any]:
        whole = self.whole[name].tolist()
        ends = self.ends[name].tolist() if name in self.ends else whole
        shown = distances(len(whole))
        squares = self.arrives[name].square() if name in self.arrives else self.whole[name] * 0
        total = float(squares.sum())
        shares = (squares / total if total > 0 else squares).tolist()
        return {
            "step": step,
            "layer": name,
            "distances": shown,
            "norms": [_short(ends[at]) for at in shown],
            "whole": [_short(whole[at]) for at in shown],
            "loss_shares": [_short(shares[at]) for at in shown],
        }


@contextlib.contextmanager
def flowing(model: nn.Module) -> Iterator[Flow]:
    """Watch one step of training; nothing is recorded of what torch.compile has compiled."""
    found = Flow()
    if any(map(_is_compiled, model.modules())):
        yield found
        return
    with observing(found), reporting_names(model, found):
        yield found


def distances(count: int, most: int = DISTANCES) -> list[int]:
    """At most so many of the distances 0 to count - 1: every one near the end, fewer far from it.

    >>> distances(5)
    [0, 1, 2, 3, 4]
    >>> distances(1000)[:4], len(distances(1000)), distances(1000)[-2:]
    ([0, 1, 2, 3], 64, [924, 999])
    """
    if count <= most:
        return list(range(count))
    low, high = 1.0, float(count)
    while high - low > 1e-9:
        ratio = (low + high) / 2
        low, high = (ratio, high) if len(_thinned(count, ratio)) > most else (low, ratio)
    return _thinned(count, high)


def _thinned(count: int, ratio: float) -> list[int]:
    """Distances of which each is at least `ratio` times, and 1 more than, the one before."""
    found = [0]
    while found[-1] < count - 1:
        found.append(min(count - 1, max(found[-1] + 1, round(found[-1] * ratio))))
    return found


def _short(norm: float) -> float:
    """Four digits, which is more than a picture shows."""
    return float(f"{norm:.4g}")


def _is_compiled(module: nn.Module) -> bool:
    return "_orig_mod" in module._modules or module._compiled_call_impl is not None
