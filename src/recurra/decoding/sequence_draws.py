"""Sequences drawn at random from a model that generates them token by token."""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.decoding.generated import Ends, Generated, TokenTree
from recurra.decoding.sampling import sample
from recurra.decoding.sequence_options import DrawOptions
from recurra.decoding.token_generator import TokenGenerator, continued
from recurra.decoding.token_rules import Phrase, TokenRules

__all__ = ["draw"]


@torch.no_grad()
def draw(
    generator: TokenGenerator,
    state: Any,
    sources: Sequence[int] | Tensor,
    options: DrawOptions | None = None,
    *,
    begin: int = 0,
    end: int = 0,
    forbidden: Iterable[int] = (),
    prefixes: Sequence[Phrase] | None = None,
    numbers: Sequence[int] | None = None,
    random: torch.Generator | None = None,
    device: torch.device | None = None,
) -> list[list[Generated]]:
    """Sequences of each of B sentences, in the order drawn; the same one may come twice.

    Scores are the model's own log-probabilities, whatever the temperature. What is drawn for a
    sentence depends on the batch that it stands in.

    Args:
        options: how many, how, and how long; none: the defaults.
        random: where numbers are drawn from; none: torch's global generator.
        generator, state, sources, begin, end, forbidden, prefixes, numbers, device: as
            `search` has them.

    Raises:
        DataError: prefixes that can't be.
    """
    options = options or DrawOptions()
    lengths = torch.as_tensor(sources, device=device)
    rules = TokenRules(options, lengths, begin, end, forbidden, prefixes, numbers)
    if not len(lengths):
        return []
    sentences = torch.arange(len(lengths), device=lengths.device)
    sentences = sentences.repeat_interleave(options.samples)
    state = generator.reorder(state, sentences)
    return _Draws(rules, options, random, sentences).run(generator, state, lengths, begin)


class _Draws:
    """The state of one call; rows are the sequences that go on, `places` where they stand."""

    def __init__(
        self,
        rules: TokenRules,
        options: DrawOptions,
        random: torch.Generator | None,
        sentences: Tensor,
    ) -> None:
        self._rules, self._options, self._random = rules, options, random
        self._sentences = sentences
        self._tree = TokenTree()
        self._places = torch.arange(len(sentences), device=sentences.device)
        self._history = sentences.new_zeros(len(sentences), 0)
        levels = torch.zeros_like(sentences)
        scores = torch.zeros(len(sentences), dtype=torch.float64, device=sentences.device)
        self._ends = Ends(sentences, levels, levels.clone(), scores, scores.clone())

    def run(
        self, generator: TokenGenerator, state: Any, sources: Tensor, begin: int
    ) -> list[list[Generated]]:
        """Draws to the end."""
        tokens = torch.full_like(self._places, begin)
        while len(tokens):
            log_probs, state, attention = generator.step(tokens, state)
            if self._tree.depth == 0:
                self._rules.check_vocabulary(log_probs.shape[1])
            self._tree.attend(attention)
            rows, tokens = self._advance(log_probs)
            if len(tokens):
                state = continued(generator, state, rows, len(log_probs))
        return self._tree.read(self._ends, sources.tolist())

    def _advance(self, log_probs: Tensor) -> tuple[Tensor, Tensor]:
        """Draws a token of each row: the rows that go on, and what was drawn for them."""
        sentences, length = self._sentences[self._places], self._tree.depth
        allowed = self._rules.allowed(log_probs, sentences, self._history)
        tokens, scores = self._drawn(allowed)
        is_none = scores == -torch.inf
        is_end = (tokens == self._rules.end) & ~is_none
        over = is_end | is_none | (self._rules.longest[sentences] <= length)
        self._end(over, scores.masked_fill(~is_end, torch.nan))
        self._ends.scores[self._places] += scores.masked_fill(over & ~is_end, 0)
        rows = (~over).nonzero().flatten()
        self._places, tokens = self._places[rows], tokens[rows]
        self._history = torch.cat([self._history[rows], tokens[:, None]], 1)
        self._tree.grow(rows, tokens, scores[rows])
        return rows, tokens

    def _drawn(self, allowed: Tensor) -> tuple[Tensor, Tensor]:
        """A token of each row (N,) of `allowed` (N, V), and its log-probability; -inf: none."""
        tokens = torch.zeros_like(self._places)
        rows = (allowed > -torch.inf).any(1).nonzero().flatten()
        options = self._options
        how = {"temperature": options.temperature, "top_p": options.top_p}
        tokens[rows] = sample(allowed[rows], top_k=options.top_k, generator=self._random, **how)
        return tokens, allowed.gather(1, tokens[:, None]).flatten().double()

    def _end(self, over: Tensor, last: Tensor) -> None:
        """These rows (N,) end here, with the log-probability of the end, NaN if unfinished."""
        places = self._places[over]
        self._ends.levels[places] = self._tree.depth
        self._ends.rows[places] = over.nonzero().flatten()
        self._ends.last[places] = last[over]
