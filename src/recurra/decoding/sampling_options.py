"""Options of drawing tokens, checked without torch."""

import operator
from numbers import Real
from typing import SupportsIndex, TypeGuard

from recurra.errors import ConfigError

__all__ = ["check_sampling"]


def check_sampling(temperature: object, top_k: object, top_p: object) -> None:
    """Raise ConfigError, naming it, for an invalid number or one that does nothing.

    A temperature of 0 draws nothing: `top_k` and `top_p` then limit nothing.
    """
    if not _is_real(temperature) or not 0 <= temperature < float("inf"):
        raise ConfigError(f"temperature = {temperature!r}; give 0 (greedy) or a positive number.")
    is_flag = isinstance(top_k, bool)
    if is_flag or not isinstance(top_k, SupportsIndex) or operator.index(top_k) < 0:
        raise ConfigError(
            f"top_k = {top_k!r}; give 0 (all) or how many tokens to keep, a whole number."
        )
    if not _is_real(top_p) or not 0 < top_p <= 1:
        raise ConfigError(f"top_p = {top_p!r}; give a number above 0 and at most 1.")
    idle = [f"top_k = {top_k}"] if top_k else []
    idle += [f"top_p = {top_p}"] if top_p != 1 else []
    if temperature == 0 and idle:
        raise ConfigError(
            f"temperature = 0 takes the likeliest token and draws nothing; leave out "
            f"{' and '.join(idle)}, or give a positive temperature."
        )


def _is_real(value: object) -> TypeGuard[float]:
    """True for a number, but not for a flag."""
    return isinstance(value, Real) and not isinstance(value, bool)
