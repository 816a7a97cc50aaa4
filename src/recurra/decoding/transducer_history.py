"""Histories of a transducer's search, and the alignments that have given each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
from torch import Tensor

from recurra.decoding.hypothesis import Hypothesis

__all__ = ["Alignments", "EmittedSymbol", "History", "hypothesis_of"]


@dataclass(frozen=True)
class EmittedSymbol:
    """The last symbol of an alignment, its frame and confidence, and the one before."""

    before: EmittedSymbol | None
    frame: int
    confidence: float


@dataclass
class Alignments:
    """All alignments that have given a history: their summed score, and the best of them."""

    total: float
    best: float
    last: EmittedSymbol | None
    in_frame: int  # symbols since the frame began

    def extended(self, score: float) -> Alignments:
        """After the blank that ends a frame."""
        return Alignments(self.total + score, self.best + score, self.last, 0)

    def emitted(self, score: float, blank: float, frame: int) -> Alignments:
        """After a symbol, whose confidence is its share of all symbols."""
        confidence = float(min(np.exp(score) / max(-np.expm1(blank), 1e-300), 1.0))
        last = EmittedSymbol(self.last, frame, confidence)
        return Alignments(self.total + score, self.best + score, last, self.in_frame + 1)

    def joined(self, other: Alignments | None) -> Alignments:
        """With others of the same history."""
        if other is None:
            return self
        better = self if self.best >= other.best else other
        total = float(np.logaddexp(self.total, other.total))
        in_frame = min(self.in_frame, other.in_frame)
        return Alignments(total, better.best, better.last, in_frame)


class History:
    """A sequence of tokens, as the last one and the history before it.

    There is one of each at a time: a history knows those of its continuations that are in use.
    """

    def __init__(self, before: History | None, token: int, language: float, scored: Any) -> None:
        self.before: History | None = before
        self.token: int = token
        self.length: int = before.length + 1 if before else 0
        self.language: float = language
        self.scored: Any = scored  # the scorer's state
        self.continuations: WeakValueDictionary[int, History] = WeakValueDictionary()
        self.output: Tensor | None = None
        self.state: Any = None

    def release(self) -> None:
        """Forget the model's and the scorer's states, as a history that isn't kept may."""
        self.output = self.state = self.scored = None

    def tokens(self) -> tuple[int, ...]:
        """The tokens from the first to the last."""
        tokens = []
        history = self
        while history.before is not None:
            tokens.append(history.token)
            history = history.before
        return tuple(reversed(tokens))


def hypothesis_of(
    history: History, alignments: Alignments, score: float, language: float, *, times: bool
) -> Hypothesis:
    """A history as a reading, with spans and confidences of its best alignment if asked."""
    emissions = []
    last = alignments.last if times else None
    while last is not None:
        emissions.append(last)
        last = last.before
    emissions.reverse()
    spans = tuple((emission.frame, emission.frame) for emission in emissions)
    confidences = tuple(emission.confidence for emission in emissions)
    return Hypothesis(history.tokens(), score, alignments.total, language, spans, confidences)
