"""Which tokens may come next: forbidden ones, lengths, repeated n-grams, forced prefixes."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from recurra.decoding.sequence_options import GenerationLimits
from recurra.errors import DataError

__all__ = ["TokenRules"]

Phrase = Sequence[int]
"""Token ids in a row."""


class TokenRules:
    """The rules of a batch of B sentences.

    Args:
        limits: lengths and n-grams.
        sources: the lengths (B,) of the sources.
        begin, end: the tokens that stand before and after each sequence; they may be one.
        forbidden: tokens that never come, <unk> say.
        prefixes: the tokens that each sentence begins with, whatever their probabilities; they
            may repeat n-grams.
        numbers: what messages call the sentences; none: 1 to B.

    Raises:
        DataError: a prefix that can't be.
    """

    def __init__(
        self,
        limits: GenerationLimits,
        sources: Tensor,
        begin: int,
        end: int,
        forbidden: Iterable[int],
        prefixes: Sequence[Phrase] | None,
        numbers: Sequence[int] | None,
    ) -> None:
        self.end: int = end
        self._limits = limits
        self._never = sorted({*forbidden, begin} - {end})
        longest = [limits.longest(source) for source in sources.tolist()]
        self.longest: Tensor = torch.tensor(longest, dtype=torch.long, device=sources.device)
        self._numbers = range(1, len(longest) + 1) if numbers is None else numbers
        self._phrases: list[Phrase] = []
        prefixes = [()] * len(longest) if prefixes is None else prefixes
        self.check_phrases([[prefix] for prefix in prefixes], "prefix")
        width = max(map(len, prefixes), default=0)
        padded = [[*prefix, *[-1] * (width - len(prefix))] for prefix in prefixes]
        self._forced = torch.tensor(padded, dtype=torch.long, device=sources.device)
        self._forced = self._forced.view(len(longest), width)

    def check_phrases(self, phrases: Sequence[Sequence[Phrase]], noun: str) -> None:
        """Raise DataError for a sentence's phrase that is too long or has a token that never comes.

        Also where there are not as many sentences as sources.
        """
        if len(phrases) != len(self.longest):
            raise DataError(
                f"{len(phrases)} sentences with a {noun} for {len(self.longest)} sources; give "
                "each one its own, an empty one where there is none."
            )
        cases = zip(self._numbers, phrases, self.longest.tolist(), strict=True)
        for number, own, longest in cases:
            self._phrases += own
            for phrase in own:
                self._check_phrase(phrase, longest, f"Sentence {number}: its {noun}")

    def check_vocabulary(self, size: int) -> None:
        """Raise DataError where the end, or a phrase that was checked, is no token of the model."""
        known = [(self.end,), self._never, *self._phrases]
        foreign = [token for phrase in known for token in phrase if not 0 <= token < size]
        if foreign:
            raise DataError(
                f"Token {foreign[0]} is asked for, and the model has tokens 0 to {size - 1}; "
                "encode texts with the vocabulary that it was trained with."
            )

    def allowed(self, log_probs: Tensor, sentences: Tensor, history: Tensor) -> Tensor:
        """`log_probs` (N, V) of rows, with -inf for what may not come.

        `sentences` (N,) says whose rows they are, `history` (N, T) has their tokens.
        """
        kept, length = log_probs.clone(), history.shape[1]
        if self._never:
            kept[:, self._never] = -torch.inf
        if length < self._limits.minimum_length:
            kept[:, self.end] = -torch.inf
        if self._limits.blocked_ngram:
            _block_repeats(kept, history, self._limits.blocked_ngram)
        if length < self._forced.shape[1]:
            _force(kept, log_probs, self._forced[sentences, length])
        return kept

    def _check_phrase(self, phrase: Phrase, longest: int, subject: str) -> None:
        if len(phrase) > longest:
            raise DataError(
                f"{subject} has {len(phrase)} tokens, and at most {longest} may come; give a "
                "shorter one, or a larger maximum_length or length_ratio."
            )
        if self.end in phrase:
            raise DataError(f"{subject} has token {self.end}, which ends it; leave that out.")
        for token in {*phrase}.intersection(self._never):
            raise DataError(
                f"{subject} has token {token}, which is forbidden; leave it out, or allow it."
            )


def _force(kept: Tensor, log_probs: Tensor, tokens: Tensor) -> None:
    """Leaves only the given token of each row; -1: all that it has."""
    rows = (tokens >= 0).nonzero().flatten()
    tokens = tokens[rows]
    kept[rows] = -torch.inf
    kept[rows, tokens] = log_probs[rows, tokens]


def _block_repeats(kept: Tensor, history: Tensor, n: int) -> None:
    """Takes out tokens that would end an n-gram which the row, (N, T), has already."""
    windows = history.shape[1] - n + 1
    if windows < 1:
        return
    repeats = torch.ones_like(history[:, :windows], dtype=torch.bool)
    for at in range(n - 1):
        latest = history[:, windows + at, None]
        repeats &= history[:, at : at + windows] == latest
    rows, places = repeats.nonzero(as_tuple=True)
    kept[rows, history[rows, places + n - 1]] = -torch.inf
