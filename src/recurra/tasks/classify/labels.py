"""The classes of a classifier: their names in order, and items' labels as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["Labels"]

Rows = np.ndarray[Any, Any]


class Labels:
    """Names of classes, those that are numbers by value, others by the alphabet.

    `separator` is what stands between the labels of an item that may have several.

    Example:
        >>> labels = Labels.of(["10", "9", "10"])
        >>> labels.names, labels.encode(["9", "10"]).tolist()
        (('9', '10'), [0, 1])
    """

    def __init__(self, names: Sequence[str], separator: str | None = None) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self.separator: str | None = separator
        self._numbers = {name: number for number, name in enumerate(self.names)}

    @classmethod
    def of(cls, texts: Iterable[str], separator: str | None = None) -> Labels:
        """The classes of training labels; DataError where there is one alone."""
        counts = Counter(name for text in texts for name in split(text, separator))
        if len(counts) < (1 if separator else 2):
            shown = f"one class alone ({next(iter(counts))!r})" if counts else "no label at all"
            raise DataError(
                f"The items to train on have {shown}; give items of two classes or more."
            )
        return cls(sorted(counts, key=_place), separator)

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, texts: Sequence[str]) -> Rows:
        """Numbers (N,) of labels, or ones and zeros (N, K) where there may be several.

        DataError for a label that training had not.
        """
        if self.separator is None:
            return np.array([self._number(text) for text in texts], np.int64)
        found = np.zeros((len(texts), len(self)), np.float32)
        for row, text in enumerate(texts):
            found[row, [self._number(name) for name in split(text, self.separator)]] = 1
        return found

    def unknown_in(self, texts: Iterable[str]) -> Counter[str]:
        """The labels among these that training had not, with their counts."""
        names = (name for text in texts for name in split(text, self.separator))
        return Counter(name for name in names if name not in self._numbers)

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            shown = ", ".join(map(repr, self.names[:10]))
            raise DataError(
                f"The label {name!r} is none that training had: {shown}"
                f"{' and others' if len(self) > 10 else ''}."
            )
        return self._numbers[name]


def split(text: str, separator: str | None) -> list[str]:
    """The labels of an item.

    >>> split("rain, wind", ","), split("rain, wind", None)
    (['rain', 'wind'], ['rain, wind'])
    """
    if separator is None:
        return [text]
    return list(dict.fromkeys(name.strip() for name in text.split(separator) if name.strip()))


def _place(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
