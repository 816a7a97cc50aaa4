"""Figures of short outputs (pronunciations, inflected forms, dates): any reference is right."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.transcription import error_rates
from recurra.metrics.translation_quality import checked_references

__all__ = ["OutputScores", "output_scores"]

Ints = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class OutputScores:
    """Comparisons of N outputs, each with its nearest reference: that of fewest token errors.

    right: (N,), whether an output equals one of its references. nearest: the places (N,) of the
    nearest reference among those of its item. tokens, characters: errors and lengths of the nearest
    reference (N,), by what is between spaces and by characters.
    """

    right: np.ndarray[Any, np.dtype[np.bool_]]
    nearest: Ints
    tokens: tuple[Ints, Ints]
    characters: tuple[Ints, Ints]

    @property
    def exact(self) -> float:
        """The share of outputs that equal a reference."""
        return float(self.right.mean())

    @property
    def word_error_rate(self) -> float:
        """The share that equals none, which letters to sounds are judged by."""
        return 1 - self.exact

    @property
    def token_error_rate(self) -> float:
        """Token errors by tokens of the references: of phones the phone error rate."""
        return _rate(*self.tokens)

    @property
    def character_error_rate(self) -> float:
        """The same of characters, spaces among them."""
        return _rate(*self.characters)

    def intervals(
        self, generator: np.random.Generator, *, level: float = 0.95, draws: int = 1000
    ) -> dict[str, tuple[float, float] | None]:
        """Bootstrap intervals of "exact", "token_error_rate" and "character_error_rate"."""
        counts = {
            "exact": (self.right, np.ones(len(self.right))),
            "token_error_rate": self.tokens,
            "character_error_rate": self.characters,
        }
        return {
            name: bootstrap_interval(*pair, generator, level=level, draws=draws)
            for name, pair in counts.items()
        }


def output_scores(references: Sequence[Sequence[str]], hypotheses: Sequence[str]) -> OutputScores:
    """Compare each output with the references of its item, of which any is right.

    White space is one space between tokens and none at the ends. Of several nearest references the
    first counts. DataError where numbers differ, or an item has no reference; MissingExtra without
    jiwer.

    >>> scores = output_scores([["T AH M EY T OW", "T AH M AA T OW"], ["K AE T"]],
    ...                        ["T AH M AA T OW", "K AH T S"])
    >>> scores.exact, round(scores.token_error_rate, 3)
    (0.5, 0.222)
    """
    rows = checked_references(references, hypotheses)
    owners = [item for item, row in enumerate(rows) for _ in row]
    flat = [text for row in rows for text in row]
    items = error_rates(flat, [hypotheses[item] for item in owners]).items
    first = np.cumsum([0, *map(len, rows)])
    spans = [items["word"][0][begin:end] for begin, end in pairwise(first)]
    nearest = np.array([int(errors.argmin()) for errors in spans], dtype=np.int64)
    places = first[:-1] + nearest
    tokens, characters = (
        (items[unit][0][places], items[unit][1][places]) for unit in ("word", "character")
    )
    right = characters[0] == 0
    return OutputScores(right, nearest, tokens, characters)


def _rate(errors: Ints, lengths: Ints) -> float:
    return float(errors.sum() / max(int(lengths.sum()), 1))
