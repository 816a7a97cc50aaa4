"""Generated sequences, and the tree of tokens that they are read from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Ends", "Generated", "TokenTree"]


@dataclass(frozen=True)
class Generated:
    """A sequence of L tokens that a model has generated, without the end.

    `score` is what it is ranked by, `log_probability` the model's own, in nats: the sum of
    `token_log_probs`, which has a value for each token and, where the sequence is `finished`, one
    for the end. `attention` is (L, S), on the CPU: what each token was generated from; S is the
    length of its source, or 0 for a model that has no attention. A sequence is not finished where
    the longest length came first, or where no token was possible.
    """

    tokens: tuple[int, ...]
    score: float
    log_probability: float
    token_log_probs: tuple[float, ...]
    attention: Tensor = field(repr=False, compare=False)
    finished: bool = True


class Ends(NamedTuple):
    """Where M sequences end: all tensors (M,).

    `levels` and `rows` are the place of the last token in a tree, `last` the log-probability of
    the end (NaN: not finished).
    """

    sentences: Tensor
    levels: Tensor
    rows: Tensor
    scores: Tensor
    last: Tensor


class TokenTree:
    """All rows of a search, level by level: a row's token, the row that it continues.

    Level 0 has one row for each sequence begun, without a token.
    """

    def __init__(self) -> None:
        self._parents: list[Tensor] = []
        self._tokens: list[Tensor] = []
        self._log_probs: list[Tensor] = []
        self._attention: list[Tensor] = []

    @property
    def depth(self) -> int:
        """The number of tokens that rows have now."""
        return len(self._tokens)

    def attend(self, attention: Tensor) -> None:
        """Keeps the attention (N, S) with which the rows of this level are continued."""
        self._attention.append(attention)

    def grow(self, parents: Tensor, tokens: Tensor, log_probs: Tensor) -> None:
        """The next level: rows of this one, each with a further token and its log-probability."""
        self._parents.append(parents)
        self._tokens.append(tokens)
        self._log_probs.append(log_probs)

    def read(self, ends: Ends, sources: Sequence[int]) -> list[list[Generated]]:
        """The sequences of each sentence that end there, in their order.

        `sources` are the lengths of all sentences' sources; attention is cut there.
        """
        found: list[list[Generated]] = [[] for _ in sources]
        tokens, log_probs, attention = self._paths(ends.levels, ends.rows)
        columns = (ends.sentences, ends.levels, ends.scores, ends.last)
        rows = zip(*(column.tolist() for column in columns), strict=True)
        for i, (sentence, length, score, last) in enumerate(rows):
            finished = not math.isnan(last)
            own = (*log_probs[i, :length].tolist(), *([last] if finished else []))
            seen = attention[i, :length, : sources[sentence]].clone()
            read = tuple(tokens[i, :length].tolist())
            found[sentence].append(Generated(read, score, sum(own), own, seen, finished))
        return found

    def _paths(self, levels: Tensor, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Tokens and log-probabilities (M, T) and attention (M, T, S) on the way to these rows."""
        count, longest = len(rows), int(levels.max())
        tokens = torch.zeros(count, longest, dtype=torch.long)
        log_probs = torch.zeros(count, longest, dtype=torch.float64)
        attention = self._attention[0].new_zeros(count, longest, self._attention[0].shape[1]).cpu()
        rows = rows.clone()
        for at in reversed(range(longest)):
            through = levels > at
            here, kept = rows[through], through.cpu()
            tokens[kept, at] = self._tokens[at][here].cpu()
            log_probs[kept, at] = self._log_probs[at][here].double().cpu()
            rows[through] = self._parents[at][here]
            attention[kept, at] = self._attention[at][rows[through]].cpu()
        return tokens, log_probs, attention
