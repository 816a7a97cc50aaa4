"""How far a rate that is measured on few items may be off."""

from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["standard_error"]

Numbers = Sequence[float] | np.ndarray[Any, Any]


def standard_error(errors: Numbers, lengths: Numbers) -> float:
    """The standard error of the rate sum(errors) / sum(lengths), by the items' (N,) deviations.

    That of a ratio estimator (W. Cochran, "Sampling techniques", 1977, section 6.4), at least one
    error by all lengths: without any, the next item may have one. Of a single item it is its own
    errors and one more.

    >>> round(standard_error([0, 1, 0, 0, 1], [1, 1, 1, 1, 1]), 4)  # sqrt(0.4 * 0.6 / 4)
    0.2449
    >>> standard_error([0, 0], [30, 20])
    0.02
    """
    wrong, sizes = np.asarray(errors, np.float64), np.asarray(lengths, np.float64)
    count, total = len(wrong), sizes.sum()
    if count < 2 or not total:
        return float((wrong.sum() + 1) / max(total, 1))
    deviations = wrong - sizes * (wrong.sum() / total)
    spread = np.sqrt((deviations**2).sum() * count / (count - 1)) / total
    return float(max(spread, 1 / total))
