"""A figure by the length of the source: in ranges that have about as many items each."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from recurra.errors import ConfigError

__all__ = ["LengthBin", "score_by_length"]


class LengthBin(NamedTuple):
    """The figure of the items whose lengths are from `low` to `high`, both included."""

    low: int
    high: int
    items: int
    score: float

    @property
    def name(self) -> str:
        """The range as text: "8", "9-12"."""
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


def score_by_length(
    lengths: Sequence[int], score: Callable[[list[int]], float], *, bins: int = 5
) -> list[LengthBin]:
    """The score of each range of lengths, given the places of its items; at most `bins` of them.

    Items of one length are in one range, so there are fewer ranges where few lengths differ.

    >>> [each.name for each in score_by_length([1, 2, 5, 5, 5, 8, 9, 9], len, bins=2)]
    ['1-5', '8-9']
    """
    if bins < 1:
        raise ConfigError(f"bins = {bins} of lengths; give 1 or more.")
    found = np.asarray(lengths)
    if not len(found):
        return []
    tops = np.unique(np.quantile(found, np.arange(1, bins + 1) / bins, method="inverted_cdf"))
    ranges = np.searchsorted(tops, found)
    each = [np.flatnonzero(ranges == number) for number in range(len(tops))]
    return [
        LengthBin(int(found[n].min()), int(found[n].max()), len(n), score(n.tolist())) for n in each
    ]
