"""The running mean of a model's weights over its last steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from recurra.errors import RunError
from recurra.training.optim import trained

__all__ = ["WeightAverage"]

_WARM_UP = 10
"""Weights of the first steps are far from those that follow, and are forgotten sooner."""


class WeightAverage:
    """The mean of the trained weights, those of `steps` steps ago weighing 1/e as much.

    In the first steps the mean is over fewer: after n of them over about (10 + n) / 9.

    >>> model = nn.Linear(1, 1, bias=False)
    >>> mean = WeightAverage(model, steps=100)
    >>> with torch.no_grad():
    ...     _ = model.weight.fill_(2.0)
    >>> mean.update(10_000)
    >>> with mean.shown():
    ...     share = (model.weight.item() - 2.0) != 0
    >>> share, model.weight.item()
    (True, 2.0)
    """

    def __init__(self, model: nn.Module, steps: int) -> None:
        self._steps = steps
        self._weights = trained(model)
        self._means = {name: weight.detach().clone() for name, weight in self._weights.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after that many steps."""
        share = max(1 / self._steps, (_WARM_UP - 1) / (_WARM_UP + step))
        means = list(self._means.values())
        weights: list[Tensor] = list(self._weights.values())
        torch._foreach_lerp_(means, weights, share)

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Within, the model has the mean."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        for name, weight in self._weights.items():
            own = weight.detach().clone()
            weight.copy_(self._means[name])
            self._means[name].copy_(own)

    def tensors(self) -> Mapping[str, Tensor]:
        """The means by the weights' names."""
        return self._means

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over those of a checkpoint; RunError where it has others."""
        if tensors.keys() != self._means.keys():
            raise RunError("The checkpoint has no mean of these weights; it is of another model.")
        for name, mean in self._means.items():
            mean.copy_(tensors[name])
