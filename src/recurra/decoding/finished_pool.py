"""The best finished sequences of each sentence so far, and the scores that rank them."""

import torch
from torch import Tensor

from recurra.decoding.generated import Ends
from recurra.decoding.sequence_options import BeamOptions

__all__ = ["FinalScore", "FinishedPool"]

_LEAST_ATTENTION = 1e-6
"""What a source position counts that no token attended to; its logarithm has to be finite."""


class FinalScore:
    """The score of whole sequences, as `BeamOptions` says, and a bound of it.

    Args:
        options: length and coverage penalty.
        sources: lengths (B,); attention beyond them counts nothing.
        longest: the most tokens (B,) of each sentence.
    """

    def __init__(self, options: BeamOptions, sources: Tensor, longest: Tensor) -> None:
        self._alpha, self._beta = options.length_penalty, options.coverage_penalty
        self._sources, self._longest = sources, longest

    @property
    def needs_coverage(self) -> bool:
        """True where scores need the sum of each row's attention."""
        return self._beta > 0

    def of(
        self,
        log_probs: Tensor,
        length: int,
        attention: Tensor | None,
        sentences: Tensor,
    ) -> Tensor:
        """Scores of log-probabilities (A, C), `length` tokens each, the end counted.

        `attention` (A, C, S) is the sum that each source position has received, where the scores
        need it, of `sentences` (A,).
        """
        scores: Tensor = log_probs / ((5 + max(length, 1)) / 6) ** self._alpha
        if attention is None:
            return scores
        places = torch.arange(attention.shape[-1], device=attention.device)
        beyond = (places >= self._sources[sentences, None])[:, None]
        covered = attention.clamp(_LEAST_ATTENTION, 1).masked_fill(beyond, 1)
        return scores + self._beta * covered.log().sum(-1)

    def bound(self, log_probs: Tensor, sentences: Tensor) -> Tensor:
        """The highest score that unfinished rows, (A, K) of sentences (A,), may still reach.

        Further tokens only lower log P, and penalise less per token the more there are: so it is
        that of the longest sequence, were all further tokens certain and all of the source covered.
        """
        divisors: Tensor = ((6 + self._longest[sentences, None]) / 6) ** self._alpha
        return log_probs.clamp(max=0) / divisors


class FinishedPool:
    """The `size` best of each of B sentences, best first; of equal ones those that came first."""

    def __init__(self, sentences: int, size: int, device: torch.device) -> None:
        self._scores = torch.full((sentences, size), -torch.inf, dtype=torch.float64, device=device)
        self._last = torch.full_like(self._scores, torch.nan)
        self._rows = torch.zeros(sentences, size, dtype=torch.long, device=device)
        self._levels = torch.zeros_like(self._rows)

    def worst(self, sentences: Tensor) -> Tensor:
        """The score (A,) that a sequence must exceed to come in; -inf while there is room."""
        return self._scores[sentences, -1]

    def are_empty(self, sentences: Tensor) -> Tensor:
        """Bools (A,)."""
        return self._scores[sentences, 0] == -torch.inf

    def add(
        self, sentences: Tensor, scores: Tensor, rows: Tensor, last: Tensor, level: int
    ) -> None:
        """Offers (A, C) sequences of sentences (A,) that end after `level` tokens; -inf: none."""
        levels = torch.full_like(rows, level)
        joined = torch.cat([self._scores[sentences], scores], 1)
        joined, order = joined.sort(dim=1, descending=True, stable=True)
        order = order[:, : self._scores.shape[1]]
        self._scores[sentences] = joined[:, : order.shape[1]]
        for kept, new in ((self._rows, rows), (self._last, last), (self._levels, levels)):
            kept[sentences] = torch.cat([kept[sentences], new], 1).gather(1, order)

    def ends(self) -> Ends:
        """All that are there, sentence by sentence, best first."""
        sentences, places = (self._scores > -torch.inf).nonzero(as_tuple=True)
        columns = (self._levels, self._rows, self._scores, self._last)
        return Ends(sentences, *(column[sentences, places] for column in columns))
