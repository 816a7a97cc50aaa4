"""The classes of a classifier: their names in order, and items' labels as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from recurra.data.texts.labels import labels_of
from recurra.errors import DataError

__all__ = ["Labels"]

Rows = np.ndarray[Any, Any]


class Labels:
    """Names of classes, those that are numbers by value, others by the alphabet.

    Where an item may have `several`, its label is a JSON list, as `several_labels` writes it.

    Example:
        >>> labels = Labels.of(["10", "9", "10"])
        >>> labels.names, labels.encode(["9", "10"]).tolist()
        (('9', '10'), [0, 1])
    """

    def __init__(self, names: Sequence[str], *, several: bool = False) -> None:
        self.names: tuple[str, ...] = tuple(names)
        self.several: bool = several
        self._numbers = {name: number for number, name in enumerate(self.names)}

    @classmethod
    def of(cls, texts: Iterable[str], *, several: bool = False) -> Labels:
        """The classes of training labels; DataError where there is one alone."""
        made = cls((), several=several)
        counts = Counter(name for text in texts for name in made.split(text))
        if len(counts) < (1 if several else 2):
            shown = f"one class alone ({next(iter(counts))!r})" if counts else "no label at all"
            raise DataError(
                f"The items to train on have {shown}; give items of two classes or more."
            )
        return cls(sorted(counts, key=_place), several=several)

    def __len__(self) -> int:
        return len(self.names)

    def encode(self, texts: Sequence[str]) -> Rows:
        """Numbers (N,) of labels, or ones and zeros (N, K) where there may be several.

        DataError for a label that training had not.
        """
        if not self.several:
            return np.array([self._number(text) for text in texts], np.int64)
        found = np.zeros((len(texts), len(self)), np.float32)
        for row, text in enumerate(texts):
            found[row, [self._number(name) for name in self.split(text)]] = 1
        return found

    def unknown_in(self, texts: Iterable[str]) -> Counter[str]:
        """The labels among these that training had not, with their counts."""
        names = (name for text in texts for name in self.split(text))
        return Counter(name for name in names if name not in self._numbers)

    def split(self, text: str) -> tuple[str, ...]:
        """The labels of an item."""
        return labels_of(text) if self.several else (text,)

    def _number(self, name: str) -> int:
        if name not in self._numbers:
            shown = ", ".join(map(repr, self.names[:10]))
            raise DataError(
                f"The label {name!r} is none that training had: {shown}"
                f"{' and others' if len(self) > 10 else ''}."
            )
        return self._numbers[name]


def _place(name: str) -> tuple[bool, float, str]:
    try:
        return False, float(name), name
    except ValueError:
        return True, 0.0, name
