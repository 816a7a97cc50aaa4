"""Options of generating sequences, checked without torch."""

import operator
from dataclasses import dataclass
from numbers import Real
from typing import SupportsIndex, TypeGuard

from recurra.decoding.sampling_options import check_sampling
from recurra.errors import ConfigError

__all__ = ["BeamOptions", "DrawOptions", "GenerationLimits"]


@dataclass(frozen=True, kw_only=True)
class GenerationLimits:
    """What a generated sequence may look like; lengths count tokens without the end.

    A sequence has at most `length_ratio` * source + `extra_length` tokens, rounded down, and
    never more than `maximum_length`, where that is given; `minimum_length` may exceed the former.
    No `blocked_ngram` successive tokens occur twice; 0: no such rule.

    Raises ConfigError for a value that is not allowed.
    """

    minimum_length: int = 0
    maximum_length: int | None = None
    length_ratio: float = 2.0
    extra_length: int = 10
    blocked_ngram: int = 0

    def __post_init__(self) -> None:
        _check_counts(self, {"minimum_length": 0, "extra_length": 0, "blocked_ngram": 0})
        if self.maximum_length is not None:
            _check_counts(self, {"maximum_length": 1})
            if self.minimum_length > self.maximum_length:
                raise ConfigError(
                    f"minimum_length = {self.minimum_length} with maximum_length = "
                    f"{self.maximum_length}: no sequence has such a length; give a minimum_length "
                    "that is not above maximum_length."
                )
        _check_reals(self, "length_ratio")
        if self.length_ratio == self.extra_length == 0 and self.maximum_length is None:
            raise ConfigError(
                "length_ratio = 0 with extra_length = 0: every sequence would be empty; give one "
                "of them a value above 0."
            )

    def longest(self, source: int) -> int:
        """The most tokens that a source of this length may become.

        >>> GenerationLimits().longest(7), GenerationLimits(maximum_length=20).longest(7)
        (24, 20)
        """
        limit = int(self.length_ratio * source) + self.extra_length
        if self.maximum_length is not None:
            limit = min(limit, self.maximum_length)
        return max(limit, self.minimum_length)


@dataclass(frozen=True, kw_only=True)
class BeamOptions(GenerationLimits):
    """Options of a beam search.

    Finished hypotheses are ranked by log P / ((5 + L) / 6) ** `length_penalty` + `coverage_penalty`
    * (sum over the source of log min(attention it received, 1)), where L counts the end as well
    (Wu et al. 2016, "Google's neural machine translation system", section 7).

    Args:
        beam: the hypotheses kept side by side; 1: greedy.
        nbest: the finished ones that are given.
        length_penalty: 0: log P alone, which prefers short sequences; 0.6 to 1 are usual.
        coverage_penalty: 0: none; 0.2 is usual. It needs a model that gives its attention.

    Raises ConfigError for a value that is not allowed.
    """

    beam: int = 5
    nbest: int = 1
    length_penalty: float = 0.0
    coverage_penalty: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_counts(self, {"beam": 1, "nbest": 1})
        if self.nbest > self.beam:
            raise ConfigError(
                f"nbest = {self.nbest} with beam = {self.beam}; a beam gives at most as many as "
                f"it keeps: give beam = {self.nbest} or more."
            )
        _check_reals(self, "length_penalty", "coverage_penalty")


@dataclass(frozen=True, kw_only=True)
class DrawOptions(GenerationLimits):
    """Options of drawing sequences at random: how many of each source, and the three of `sample`.

    Raises ConfigError for a value that is not allowed.
    """

    samples: int = 1
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_counts(self, {"samples": 1})
        check_sampling(self.temperature, self.top_k, self.top_p)
        if self.temperature == 0:
            raise ConfigError(
                "temperature = 0 draws nothing; give a positive temperature, or search with a "
                "beam of 1."
            )


def _check_counts(options: object, least: dict[str, int]) -> None:
    for name, minimum in least.items():
        value = getattr(options, name)
        is_whole = isinstance(value, SupportsIndex) and not isinstance(value, bool)
        if not is_whole or operator.index(value) < minimum:
            raise ConfigError(f"{name} = {value!r}; give a whole number, {minimum} or more.")


def _check_reals(options: object, *names: str) -> None:
    for name in names:
        value = getattr(options, name)
        if not _is_real(value) or not 0 <= value < float("inf"):
            raise ConfigError(f"{name} = {value!r}; give a finite number, 0 or more.")


def _is_real(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool)
