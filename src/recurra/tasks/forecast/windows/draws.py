"""Random numbers of many windows at once, each window's from a generator of its own.

What is drawn of a window then depends on its series, its origin and the seed, and on nothing else
that is forecast along with it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Draws"]

_MOST = 1e15
"""Counts are drawn about this rate at most: of more, float32 holds no whole numbers anyway."""


class Draws:
    """Numbers for B windows by S samples, (S * B,) at a time, the windows of a sample side by side.

    `seed` is a scalar, `key` (B,) and `age` (B,) say which series and which of its steps: windows
    of another key, age or seed are independent.
    """

    def __init__(self, seed: Tensor, key: Tensor, age: Tensor, samples: int) -> None:
        self.samples = samples
        begin = np.array([0, 0, 0, int(seed)], np.uint64)
        keys = torch.stack([key, age], -1).numpy().view(np.uint64)
        self._own = [Generator(Philox(key=own, counter=begin)) for own in keys]

    def uniform(self) -> Tensor:
        """Above 0, and at most 1."""
        return self._each(lambda own: 1 - own.random(self.samples))

    def normal(self) -> Tensor:
        """Of mean 0 and deviation 1."""
        return self._each(lambda own: own.standard_normal(self.samples))

    def poisson_gamma(self, shape: Tensor, scale: Tensor) -> Tensor:
        """Counts about rates that are gamma distributed, with shape and scale (S * B,)."""
        given = zip(self._own, *map(self._by_window, (shape, scale)), strict=True)
        return self._joined(
            [own.poisson(np.minimum(own.standard_gamma(k) * s, _MOST)) for own, k, s in given]
        )

    def _each(self, draw: Callable[[Generator], NDArray[Any]]) -> Tensor:
        return self._joined([draw(own) for own in self._own])

    def _by_window(self, values: Tensor) -> NDArray[np.float64]:
        return values.double().view(self.samples, -1).t().numpy()

    def _joined(self, parts: list[NDArray[Any]]) -> Tensor:
        return torch.from_numpy(np.stack(parts, 1).ravel()).float()
