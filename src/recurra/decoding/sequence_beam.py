"""Beam search for sequences that a model generates token by token.

At each step the candidates of a sentence are all tokens after all its hypotheses, ranked by
log-probability; of equal ones the lowest token comes first, then the hypothesis that ranked higher.
Those of the first `beam` that end are finished; the best `beam` of the others are continued, so
that finished ones take no place from them. Where phrases must occur, each bank of candidates has
ranks of its own, and the beam is shared out among the banks (`lexical_constraints.py`).

Hypotheses that can't become better than the n best finished ones any more (`FinalScore.bound`) are
dropped, and a sentence without others leaves the batch: unless phrases must occur, whose banks then
have more room, the result is that of a search up to the longest length. With a beam of 1 the first
that ends is the result.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.decoding.beam_allocation import BeamAllocation
from recurra.decoding.beam_candidates import Candidates, best_of_rows, ranked
from recurra.decoding.finished_pool import FinalScore, FinishedPool
from recurra.decoding.generated import Generated, TokenTree
from recurra.decoding.lexical_constraints import LexicalConstraints
from recurra.decoding.sequence_options import BeamOptions
from recurra.decoding.token_generator import TokenGenerator, continued
from recurra.decoding.token_rules import Phrase, TokenRules
from recurra.errors import ConfigError

__all__ = ["search"]


@torch.no_grad()
def search(
    generator: TokenGenerator,
    state: Any,
    sources: Sequence[int] | Tensor,
    options: BeamOptions | None = None,
    *,
    begin: int = 0,
    end: int = 0,
    forbidden: Iterable[int] = (),
    prefixes: Sequence[Phrase] | None = None,
    constraints: Sequence[Sequence[Phrase]] | None = None,
    numbers: Sequence[int] | None = None,
    device: torch.device | None = None,
) -> list[list[Generated]]:
    """The n best sequences of each of B sentences, best first.

    Where none has finished within the longest length, or no token is possible, the best unfinished
    one is given alone.

    Args:
        generator: the model.
        state: its state before the first token, of B rows.
        sources: lengths (B,) of the sources, in positions of the attention.
        options: beam, lengths, penalties; none: the defaults.
        begin, end: the tokens that stand before and after each sequence; they may be one.
        forbidden: tokens that never come, <unk> say.
        prefixes: for each sentence the tokens that it must begin with, whatever their
            probabilities.
        constraints: for each sentence phrases that must occur in it, anywhere and in any order; a
            beam larger than the number of their tokens serves them best.
        numbers: what messages call the sentences; none: 1 to B.
        device: that of the model; none: the CPU, or that of `sources`.

    Raises:
        ConfigError: a coverage penalty for a model without attention.
        DataError: prefixes or constraints that can't be; log-probabilities that are NaN.

    Example:
        >>> class Countdown:
        ...     def step(self, tokens, state):
        ...         scores = torch.full((len(state), 4), 0.1)
        ...         scores[torch.arange(len(state)), state] = 0.7
        ...         return scores.log(), (state - 1).clamp(min=0), torch.zeros(len(state), 0)
        ...     def reorder(self, state, rows):
        ...         return state[rows]
        >>> found = search(Countdown(), torch.tensor([3, 1]), [1, 1])
        >>> [best.tokens for (best,) in found]
        [(3, 2, 1), (1,)]
    """
    options = options or BeamOptions()
    lengths = torch.as_tensor(sources, device=device)
    rules = TokenRules(options, lengths, begin, end, forbidden, prefixes, numbers)
    allocation = None
    if constraints is not None:
        rules.check_phrases(constraints, "constraint")
        allocation = BeamAllocation([LexicalConstraints(own) for own in constraints], end)
    if not len(lengths):
        return []
    return _BeamSearch(generator, lengths, rules, options, allocation).run(state, begin)


class _BeamSearch:
    """The state of one search.

    Its rows are the N hypotheses that are alive, of all A sentences that go on: `slots` (N,) are
    their places among all A * K of the beams, whose `totals` (A, K) are -inf where none is alive.
    """

    def __init__(
        self,
        generator: TokenGenerator,
        sources: Tensor,
        rules: TokenRules,
        options: BeamOptions,
        allocation: BeamAllocation | None,
    ) -> None:
        self._generator, self._rules, self._allocation = generator, rules, allocation
        self._beam = options.beam
        self._sources = sources
        self._score = FinalScore(options, sources, rules.longest)
        self._pool = FinishedPool(len(sources), options.nbest, sources.device)
        self._tree = TokenTree()
        self._active = torch.arange(len(sources), device=sources.device)
        self._slots = self._active * self._beam
        totals = torch.full((len(sources), self._beam), -torch.inf, dtype=torch.float64)
        totals[:, 0] = 0
        self._totals = totals.to(sources.device)
        self._history = self._active.new_zeros(len(sources), 0)
        self._coverage: Tensor | None = None
        self._covered: Tensor | None = None
        self._place_rows()

    def run(self, state: Any, begin: int) -> list[list[Generated]]:
        """Searches to the end."""
        tokens = torch.full_like(self._active, begin)
        while len(tokens):
            log_probs, state, attention = self._generator.step(tokens, state)
            self._attend(log_probs, attention)
            best = self._candidates(log_probs)
            self._finish(best)
            parents, tokens, scores = self._continue(best)
            if len(tokens):
                state = self._follow(state, parents, tokens, scores)
        return self._tree.read(self._pool.ends(), self._sources.tolist())

    def _attend(self, log_probs: Tensor, attention: Tensor) -> None:
        if self._tree.depth == 0:
            self._rules.check_vocabulary(log_probs.shape[1])
        self._tree.attend(attention)
        if not self._score.needs_coverage:
            return
        if not attention.shape[1]:
            raise ConfigError(
                "coverage_penalty > 0 for a model without attention; leave it out, or choose a "
                "model with attention."
            )
        if self._coverage is None:
            self._coverage = torch.zeros_like(attention, dtype=torch.float64)
        self._covered = self._coverage + attention

    def _candidates(self, log_probs: Tensor) -> Candidates:
        """The best candidates of each sentence: enough that `beam` of them don't end."""
        sentences = self._active[self._slots // self._beam]
        allowed = self._rules.allowed(log_probs, sentences, self._history)
        if self._allocation:
            self._allocation.bar_ends(allowed)
        scores, tokens = best_of_rows(allowed, self._beam + 1)
        if self._allocation:
            scores, tokens = self._allocation.completed(allowed, scores, tokens)
        found = ranked(self._totals, self._slots, tokens, scores)
        if not self._allocation:
            return found
        return self._allocation.shared(found, self._active, self._row_at)

    def _finish(self, best: Candidates) -> None:
        """Those of the first `beam` that end are finished."""
        ends = (best.tokens == self._rules.end) & (best.ranks < self._beam)
        ended, there = best.first(self._beam, ends)
        rows = self._row_at.gather(1, ended.slots)
        covered = None if self._covered is None else self._covered[rows]
        scores = self._score.of(ended.totals, self._tree.depth + 1, covered, self._active)
        scores = scores.masked_fill(~there, -torch.inf)
        self._pool.add(self._active, scores, rows, ended.log_probs, self._tree.depth)

    def _continue(self, best: Candidates) -> tuple[Tensor, Tensor, Tensor]:
        """The best that don't end and may still matter: their rows before, tokens and scores.

        Sentences that have none leave, with the best unfinished one where they have no other.
        """
        may_grow = self._rules.longest[self._active, None] > self._tree.depth
        goes_on = may_grow & (best.tokens != self._rules.end) & (best.totals > -torch.inf)
        kept, alive = best.first(self._beam, goes_on)
        alive &= self._score.bound(kept.totals, self._active) > self._least()
        stays = alive.any(1)
        self._give_up(~stays & self._pool.are_empty(self._active))
        rows, chosen = self._row_at.gather(1, kept.slots)[stays], alive[stays]
        self._active, self._slots = self._active[stays], chosen.flatten().nonzero().flatten()
        self._totals = kept.totals.masked_fill(~alive, -torch.inf)[stays]
        return rows[chosen], kept.tokens[stays][chosen], kept.log_probs[stays][chosen]

    def _least(self) -> Tensor:
        """The score (A, 1) that a hypothesis must be able to exceed."""
        worst = self._pool.worst(self._active)[:, None]
        return worst.masked_fill(worst > -torch.inf, torch.inf) if self._beam == 1 else worst

    def _give_up(self, which: Tensor) -> None:
        """The best hypothesis of these of the active sentences (A,) is their result."""
        totals = self._totals
        if self._allocation:
            met = self._allocation.met(totals.device)[self._row_at]
            met = met.masked_fill(totals == -torch.inf, -1)
            totals = totals.masked_fill(met < met.amax(1, keepdim=True), -torch.inf)
        totals, slots = totals[which].max(1, keepdim=True)
        rows = self._row_at[which].gather(1, slots)
        sentences = self._active[which]
        covered = None if self._coverage is None else self._coverage[rows]
        scores = self._score.of(totals, self._tree.depth, covered, sentences)
        last = torch.full_like(scores, torch.nan)
        self._pool.add(sentences, scores, rows, last, self._tree.depth)

    def _follow(self, state: Any, parents: Tensor, tokens: Tensor, scores: Tensor) -> Any:
        """Goes on with these rows, each with a further token; gives the model's state of them."""
        count = len(self._history)
        self._tree.grow(parents, tokens, scores)
        self._history = torch.cat([self._history[parents], tokens[:, None]], 1)
        if self._covered is not None:
            self._coverage = self._covered[parents]
        if self._allocation:
            self._allocation.follow(parents, tokens)
        self._place_rows()
        return continued(self._generator, state, parents, count)

    def _place_rows(self) -> None:
        """The row at each place (A, K); 0 where no hypothesis is alive."""
        places = self._slots.new_zeros(self._totals.numel())
        places[self._slots] = torch.arange(len(self._slots), device=places.device)
        self._row_at = places.view(self._totals.shape)
