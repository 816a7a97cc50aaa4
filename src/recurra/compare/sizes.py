"""The hidden size that gives a model about as many parameters as are wanted."""

from collections.abc import Callable

from recurra.errors import ConfigError

__all__ = ["nearest_size"]

_TRIES = 64
"""A cell with blocks has sizes it can't have; none skips more than so many."""


def nearest_size(count: Callable[[int], int | None], wanted: int) -> tuple[int, int]:
    """The size whose count is nearest to `wanted`, and that count.

    `count` grows with the size and is None for a size that can't be. Raises ConfigError where the
    smallest size there is has more than `wanted`.

    >>> nearest_size(lambda size: 2 * size * size, 20)
    (3, 18)
    """
    low, fewest = _next_size(count, 1)
    if fewest > wanted:
        raise ConfigError(f"parameters = {wanted}; the smallest model has {fewest}: give as many.")
    high, most = _next_size(count, 2 * low)
    while most < wanted:
        low, fewest = high, most
        high, most = _next_size(count, 2 * high)
    while high - low > 1:
        middle, between = _next_size(count, (low + high) // 2)
        if middle == high:
            # Every size from the middle on is one that can't be: what is left lies below it.
            middle, between = _last_size(count, (low + high) // 2, low)
            if middle == low:
                break
        if between <= wanted:
            low, fewest = middle, between
        else:
            high, most = middle, between
    return (low, fewest) if wanted - fewest <= most - wanted else (high, most)


def _next_size(count: Callable[[int], int | None], size: int) -> tuple[int, int]:
    """The first possible size from `size` on."""
    for tried in range(size, size + _TRIES):
        if (found := count(tried)) is not None:
            return tried, found
    raise ConfigError(f"No hidden size from {size} to {size + _TRIES - 1} can be; give hidden.")


def _last_size(count: Callable[[int], int | None], size: int, least: int) -> tuple[int, int]:
    """The last possible size before `size`; `least` is one."""
    for tried in range(size - 1, least, -1):
        if (found := count(tried)) is not None:
            return tried, found
    found = count(least)
    assert found is not None
    return least, found
