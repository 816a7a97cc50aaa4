"""Prefixes of a transducer's search, and the alignments that have given each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from torch import Tensor

from recurra.decoding.hypothesis import Hypothesis

__all__ = ["Alignments", "Emission", "Prefix", "hypothesis_of"]


@dataclass(frozen=True)
class Emission:
    """The last symbol of an alignment, its frame and confidence, and the one before."""

    before: Emission | None
    frame: int
    confidence: float


@dataclass
class Alignments:
    """All alignments that have given a prefix: their summed score, and the best of them."""

    total: float
    best: float
    last: Emission | None
    in_frame: int  # symbols since the frame began

    def extended(self, score: float) -> Alignments:
        """After the blank that ends a frame."""
        return Alignments(self.total + score, self.best + score, self.last, 0)

    def emitted(self, score: float, blank: float, frame: int) -> Alignments:
        """After a symbol, whose confidence is its share of all symbols."""
        confidence = float(min(np.exp(score) / max(-np.expm1(blank), 1e-300), 1.0))
        last = Emission(self.last, frame, confidence)
        return Alignments(self.total + score, self.best + score, last, self.in_frame + 1)

    def joined(self, other: Alignments | None) -> Alignments:
        """With others of the same prefix."""
        if other is None:
            return self
        better = self if self.best >= other.best else other
        total = float(np.logaddexp(self.total, other.total))
        in_frame = min(self.in_frame, other.in_frame)
        return Alignments(total, better.best, better.last, in_frame)


class Prefix:
    """A sequence of tokens, as the last one and the prefix before it.

    There is one of each at a time: a prefix knows those of its continuations that are in use.
    """

    def __init__(self, before: Prefix | None, token: int, language: float, scored: Any) -> None:
        self.before, self.token = before, token
        self.length: int = before.length + 1 if before else 0
        self.language = language
        self.scored = scored  # the scorer's state
        self.continuations: WeakValueDictionary[int, Prefix] = WeakValueDictionary()
        self.scores: dict[int, tuple[float, Any]] = {}  # the scorer's, of tokens that follow
        self.output: Tensor | None = None
        self.state: Any = None

    def release(self) -> None:
        """Forget what only a prefix needs that is continued."""
        self.output = self.state = None
        self.scores = {}

    def tokens(self) -> tuple[int, ...]:
        tokens = []
        prefix = self
        while prefix.before is not None:
            tokens.append(prefix.token)
            prefix = prefix.before
        return tuple(reversed(tokens))


def hypothesis_of(
    prefix: Prefix, alignments: Alignments, score: float, end: float = 0.0
) -> Hypothesis:
    """A prefix as a reading, with its rank and the scorer's log-probability of an end."""
    emissions = []
    last = alignments.last
    while last is not None:
        emissions.append(last)
        last = last.before
    emissions.reverse()
    return Hypothesis(
        prefix.tokens(),
        score,
        alignments.total,
        prefix.language + end,
        tuple((emission.frame, emission.frame) for emission in emissions),
        tuple(emission.confidence for emission in emissions),
    )
