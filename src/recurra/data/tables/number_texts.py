"""Numbers written with decimal commas or with separators of thousands."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["parse_numbers"]

_POINT = re.compile(r"[+-]?(\d+|\d{1,3}(?:,\d{3})+)(\.\d*)?")
_COMMA = re.compile(r"[+-]?(\d+|\d{1,3}(?:[.'\u2019 \u00a0\u202f]\d{3})+)(,\d*)?")


def parse_numbers(texts: Sequence[str]) -> NDArray[np.float64] | None:
    """The numbers of all texts, which share one decimal mark; None where they are not numbers.

    Texts that both marks fit with different values ("1,234" alone) are ambiguous, hence None too.

    >>> parse_numbers(["1.234,5", "7"])
    array([1234.5,    7. ])
    >>> parse_numbers(["1,234"]) is None
    True
    """
    texts = [text.strip() for text in texts]
    point, comma = (
        _read(texts, _POINT, ".", ","),
        _read(texts, _COMMA, ",", ".'\u2019 \u00a0\u202f"),
    )
    if point is not None and comma is not None and point != comma:
        return None
    numbers = comma if point is None else point
    return None if numbers is None else np.array(numbers, dtype=np.float64)


def _read(
    texts: Sequence[str], pattern: re.Pattern[str], mark: str, groups: str
) -> list[float] | None:
    without = str.maketrans(mark, ".", groups)
    numbers = []
    for text in texts:
        if not pattern.fullmatch(text):
            return None
        numbers.append(float(text.translate(without)))
    return numbers
