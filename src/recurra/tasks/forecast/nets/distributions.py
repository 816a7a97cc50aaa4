"""Distributions of the next value, scaled, from a layer's outputs (..., size), and their samples.

Each window is sampled by a random generator of its own: its samples depend on its series, its
origin and the seed, and on nothing else that is forecast along with it.
"""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.random import Generator, Philox
from numpy.typing import NDArray
from torch import Tensor, distributions
from torch.nn.functional import softplus

from recurra.errors import ConfigError
from recurra.tasks.forecast.config import ForecastConfig

__all__ = ["FAMILIES", "Family", "RandomNumbers"]

_LEAST = 1e-4
_MOST_RATE = 1e15
"""Counts are drawn about this rate at most: above it float32 has no whole numbers anyway."""


class RandomNumbers:
    """Numbers for B windows by S samples, (S * B,) at a time, the windows of a sample side by side.

    `seed` is a scalar, `key` (B,) identifies the series and `age` (B,) its step: windows of another
    key, age or seed are independent.
    """

    def __init__(self, seed: Tensor, key: Tensor, age: Tensor, samples: int) -> None:
        self.samples = samples
        counter = np.array([0, 0, 0, int(seed)], np.uint64)
        keys = torch.stack([key, age], -1).numpy().view(np.uint64)
        self._generators = [Generator(Philox(key=own, counter=counter)) for own in keys]

    def uniform(self) -> Tensor:
        """Uniform numbers above 0, and at most 1."""
        return self._draw(lambda generator: 1 - generator.random(self.samples))

    def normal(self) -> Tensor:
        """Normal numbers of mean 0 and deviation 1."""
        return self._draw(lambda generator: generator.standard_normal(self.samples))

    def poisson_gamma(self, shape: Tensor, scale: Tensor) -> Tensor:
        """Poisson counts whose rates are gamma distributed, with shape and scale (S * B,)."""
        windows = zip(self._generators, *map(self._by_window, (shape, scale)), strict=True)
        return self._joined(
            [
                generator.poisson(np.minimum(generator.standard_gamma(k) * s, _MOST_RATE))
                for generator, k, s in windows
            ]
        )

    def _draw(self, draw: Callable[[Generator], NDArray[Any]]) -> Tensor:
        return self._joined([draw(generator) for generator in self._generators])

    def _by_window(self, values: Tensor) -> NDArray[np.float64]:
        return values.double().view(self.samples, -1).t().numpy()

    def _joined(self, parts: list[NDArray[Any]]) -> Tensor:
        return torch.from_numpy(np.stack(parts, 1).ravel()).float()


class Family(Protocol):
    """A family of distributions; `size` outputs of a layer are the parameters of one."""

    size: int

    def check(self, config: ForecastConfig) -> None:
        """Raise ConfigError where the family can't be of values scaled as configured."""

    def log_prob(self, outputs: Tensor, values: Tensor, scale: Tensor) -> Tensor:
        """Log density (...) of scaled values, in nats; `scale` leads back to the data."""

    def sample(self, outputs: Tensor, scale: Tensor, numbers: RandomNumbers) -> Tensor:
        """A sample of each distribution (...), from as many random numbers."""


class _Continuous:
    """A family of scaled values that torch has a distribution for."""

    size: int

    def check(self, config: ForecastConfig) -> None:
        """Accept any scaling."""

    def of(self, outputs: Tensor) -> distributions.Distribution:
        raise NotImplementedError

    def log_prob(self, outputs: Tensor, values: Tensor, scale: Tensor) -> Tensor:
        return self.of(outputs).log_prob(values)


class _Gaussian(_Continuous):
    size = 2

    def __init__(self, components: int) -> None:
        pass

    def of(self, outputs: Tensor) -> distributions.Distribution:
        mean, spread = outputs.unbind(-1)
        return distributions.Normal(mean, softplus(spread) + _LEAST, validate_args=False)

    def sample(self, outputs: Tensor, scale: Tensor, numbers: RandomNumbers) -> Tensor:
        mean, spread = outputs.unbind(-1)
        return mean + (softplus(spread) + _LEAST) * numbers.normal()


class _StudentT(_Continuous):
    size = 3

    def __init__(self, components: int) -> None:
        pass

    def of(self, outputs: Tensor) -> distributions.Distribution:
        freedom, place, spread = outputs.unbind(-1)
        return distributions.StudentT(
            2 + softplus(freedom), place, softplus(spread) + _LEAST, validate_args=False
        )

    def sample(self, outputs: Tensor, scale: Tensor, numbers: RandomNumbers) -> Tensor:
        """Sample by Bailey 1994, "Polar generation of random variates with the t-distribution":
        two uniform numbers, whatever the degrees of freedom.
        """
        freedom, place, spread = outputs.unbind(-1)
        freedom = 2 + softplus(freedom)
        squared = freedom * torch.expm1(-2 / freedom * numbers.uniform().log())
        away = squared.sqrt() * torch.cos(2 * torch.pi * numbers.uniform())
        return place + (softplus(spread) + _LEAST) * away


class _Mixture(_Continuous):
    def __init__(self, components: int) -> None:
        self.size = 3 * components

    def of(self, outputs: Tensor) -> distributions.Distribution:
        weights, means, spreads = outputs.chunk(3, -1)
        return distributions.MixtureSameFamily(
            distributions.Categorical(logits=weights, validate_args=False),
            distributions.Normal(means, softplus(spreads) + _LEAST, validate_args=False),
            validate_args=False,
        )

    def sample(self, outputs: Tensor, scale: Tensor, numbers: RandomNumbers) -> Tensor:
        weights, means, spreads = outputs.chunk(3, -1)
        above = numbers.uniform().unsqueeze(-1) > weights.softmax(-1).cumsum(-1)[..., :-1]
        chosen = above.sum(-1, keepdim=True)
        mean, spread = (part.gather(-1, chosen).squeeze(-1) for part in (means, spreads))
        return mean + (softplus(spread) + _LEAST) * numbers.normal()


class _NegativeBinomial:
    """Counts of mean m and variance m + a m²; m and a grow with the scale as DeepAR's do."""

    size = 2

    def __init__(self, components: int) -> None:
        pass

    def check(self, config: ForecastConfig) -> None:
        if config.scaling != "mean" or config.transform != "none":
            raise ConfigError(
                f"distribution = 'negative-binomial' is of untransformed counts, and scaling = "
                f"{config.scaling!r}, transform = {config.transform!r}; give scaling = 'mean' and "
                "transform = 'none'."
            )

    def log_prob(self, outputs: Tensor, values: Tensor, scale: Tensor) -> Tensor:
        counts = (values * scale).round().clamp(min=0)
        # Per count of the data, not of the scaled value: the difference is a constant.
        density: Tensor = self._of(outputs, scale).log_prob(counts)  # type: ignore[no-untyped-call]
        return density

    def sample(self, outputs: Tensor, scale: Tensor, numbers: RandomNumbers) -> Tensor:
        mean, shape = self._moments(outputs, scale)
        return numbers.poisson_gamma(1 / shape, mean * shape) / scale

    def _moments(self, outputs: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        mean, shape = (softplus(part) + _LEAST for part in outputs.unbind(-1))
        return mean * scale, shape / scale.sqrt()

    def _of(self, outputs: Tensor, scale: Tensor) -> distributions.NegativeBinomial:
        mean, shape = self._moments(outputs, scale)
        return distributions.NegativeBinomial(
            1 / shape, logits=torch.log(mean * shape), validate_args=False
        )


FAMILIES: Mapping[str, Callable[[int], Family]] = {
    "student-t": _StudentT,
    "gaussian": _Gaussian,
    "negative-binomial": _NegativeBinomial,
    "mixture": _Mixture,
}
"""By name: from a number of components, which the mixture alone uses, to a family."""
