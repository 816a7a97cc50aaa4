"""Distributions of the next value, scaled: their parameters from a layer's outputs (..., size)."""

from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, distributions
from torch.nn.functional import softplus

from recurra.errors import ConfigError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.windows.draws import Draws

__all__ = ["FAMILIES", "Family"]

_LEAST = 1e-4


class Family(Protocol):
    """A family of distributions; `size` outputs of a layer are one of them."""

    size: int

    def check(self, config: ForecastConfig) -> None:
        """Raise ConfigError where the data are scaled in a way that it can't be of."""

    def log_prob(self, given: Tensor, values: Tensor, scale: Tensor) -> Tensor:
        """Log density (...) of scaled values, in nats; `scale` leads back to the data."""

    def sample(self, given: Tensor, scale: Tensor, draws: Draws) -> Tensor:
        """A value drawn for each (...), by the numbers that `draws` gives for as many."""


class _Continuous:
    """A family of scaled values that torch has a distribution for."""

    size: int

    def check(self, config: ForecastConfig) -> None:
        """Any scaling will do."""

    def of(self, given: Tensor) -> distributions.Distribution:
        raise NotImplementedError

    def log_prob(self, given: Tensor, values: Tensor, scale: Tensor) -> Tensor:
        return self.of(given).log_prob(values)


class _Gaussian(_Continuous):
    size = 2

    def __init__(self, components: int) -> None:
        pass

    def of(self, given: Tensor) -> distributions.Distribution:
        mean, spread = given.unbind(-1)
        return distributions.Normal(mean, softplus(spread) + _LEAST, validate_args=False)

    def sample(self, given: Tensor, scale: Tensor, draws: Draws) -> Tensor:
        mean, spread = given.unbind(-1)
        return mean + (softplus(spread) + _LEAST) * draws.normal()


class _StudentT(_Continuous):
    size = 3

    def __init__(self, components: int) -> None:
        pass

    def of(self, given: Tensor) -> distributions.Distribution:
        freedom, place, spread = given.unbind(-1)
        return distributions.StudentT(
            2 + softplus(freedom), place, softplus(spread) + _LEAST, validate_args=False
        )

    def sample(self, given: Tensor, scale: Tensor, draws: Draws) -> Tensor:
        """By Bailey 1994, "Polar generation of random variates with the t-distribution": two
        uniform numbers, whatever the degrees of freedom.
        """
        freedom, place, spread = given.unbind(-1)
        freedom = 2 + softplus(freedom)
        squared = freedom * torch.expm1(-2 / freedom * draws.uniform().log())
        away = squared.sqrt() * torch.cos(2 * torch.pi * draws.uniform())
        return place + (softplus(spread) + _LEAST) * away


class _Mixture(_Continuous):
    def __init__(self, components: int) -> None:
        self.size = 3 * components

    def of(self, given: Tensor) -> distributions.Distribution:
        weights, means, spreads = given.chunk(3, -1)
        return distributions.MixtureSameFamily(
            distributions.Categorical(logits=weights, validate_args=False),
            distributions.Normal(means, softplus(spreads) + _LEAST, validate_args=False),
            validate_args=False,
        )

    def sample(self, given: Tensor, scale: Tensor, draws: Draws) -> Tensor:
        weights, means, spreads = given.chunk(3, -1)
        above = draws.uniform().unsqueeze(-1) > weights.softmax(-1).cumsum(-1)[..., :-1]
        chosen = above.sum(-1, keepdim=True)
        mean, spread = (part.gather(-1, chosen).squeeze(-1) for part in (means, spreads))
        return mean + (softplus(spread) + _LEAST) * draws.normal()


class _NegativeBinomial:
    """Counts of mean m and variance m + a m²; m and a grow with the scale as DeepAR's do."""

    size = 2

    def __init__(self, components: int) -> None:
        pass

    def check(self, config: ForecastConfig) -> None:
        if config.scaling != "mean" or config.transform != "none":
            raise ConfigError(
                f"distribution = 'negative-binomial' is of counts as they are, with scaling = "
                f"{config.scaling!r} and transform = {config.transform!r}; give scaling = 'mean' "
                "and transform = 'none'."
            )

    def log_prob(self, given: Tensor, values: Tensor, scale: Tensor) -> Tensor:
        counts = (values * scale).round().clamp(min=0)
        # Per count of the data, not of the scaled value: what differs is a constant.
        found: Tensor = self._of(given, scale).log_prob(counts)  # type: ignore[no-untyped-call]
        return found

    def sample(self, given: Tensor, scale: Tensor, draws: Draws) -> Tensor:
        mean, shape = self._moments(given, scale)
        return draws.poisson_gamma(1 / shape, mean * shape) / scale

    def _moments(self, given: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        mean, shape = (softplus(part) + _LEAST for part in given.unbind(-1))
        return mean * scale, shape / scale.sqrt()

    def _of(self, given: Tensor, scale: Tensor) -> distributions.NegativeBinomial:
        mean, shape = self._moments(given, scale)
        return distributions.NegativeBinomial(
            1 / shape, logits=torch.log(mean * shape), validate_args=False
        )


FAMILIES: Mapping[str, Callable[[int], Family]] = {
    "student-t": _StudentT,
    "gaussian": _Gaussian,
    "negative-binomial": _NegativeBinomial,
    "mixture": _Mixture,
}
"""By name: from a number of components, which only the mixture takes note of, to a family."""
