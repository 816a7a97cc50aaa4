"""The progress of all hypotheses of a beam towards the phrases that must occur in them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from recurra.decoding.beam_candidates import Candidates
from recurra.decoding.lexical_constraints import LexicalConstraints, Progress

__all__ = ["BeamAllocation"]


class BeamAllocation:
    """Keeps the progress of each row, and shares out the beam of each sentence by it.

    Rows begin as the B sentences, each with its phrases. What is done here takes a few steps of
    Python for each candidate of a sentence that has phrases.
    """

    def __init__(self, constraints: Sequence[LexicalConstraints], end: int) -> None:
        self._constraints = constraints
        self._end = end
        self._rows: list[tuple[LexicalConstraints, Progress]] = [(c, c.start) for c in constraints]

    def bar_ends(self, allowed: Tensor) -> None:
        """Takes the end out of `allowed` (N, V), in place, for rows that lack a phrase."""
        rows = [row for row, (phrases, n) in enumerate(self._rows) if not phrases.are_met(n)]
        allowed[rows, self._end] = -torch.inf

    def completed(self, allowed: Tensor, scores: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """`scores` and `tokens`, (N, k), of candidates with those that take a row further."""
        wanted = [phrases.wanted(progress) for phrases, progress in self._rows]
        width = max(1, *map(len, wanted))
        padded = [[*own, *[-1] * (width - len(own))] for own in wanted]
        more = torch.tensor(padded, dtype=torch.long, device=tokens.device)
        known = (more < 0) | (more[:, :, None] == tokens[:, None]).any(-1)
        more = more.clamp(min=0)
        added = allowed.gather(1, more).masked_fill(known, -torch.inf)
        return torch.cat([scores, added], 1), torch.cat([tokens, more], 1)

    def shared(self, found: Candidates, sentences: Tensor, rows: Tensor) -> Candidates:
        """The candidates of these sentences (A,) in the order in which the beam takes them.

        `rows` (A, K) has the row of each place in the beam.
        """
        order = torch.arange(found.tokens.shape[1]).repeat(len(sentences), 1)
        ranks = order.clone()
        there = (found.totals > -torch.inf).sum(1).tolist()
        columns = (found.tokens.tolist(), rows.gather(1, found.slots).tolist(), there)
        for at, sentence in enumerate(sentences.tolist()):
            tokens, parents, count = (column[at] for column in columns)
            phrases = self._constraints[sentence]
            met = self._met_after(phrases, tokens[:count], parents[:count])
            shared = torch.tensor(phrases.shared(list(met)), dtype=torch.long).view(count, 2)
            ranks[at, :count], order[at, :count] = shared.unbind(1)
        device = found.tokens.device
        return found.take(order.to(device))._replace(ranks=ranks.to(device))

    def follow(self, parents: Tensor, tokens: Tensor) -> None:
        """The next rows: these rows of before, each with a further token."""
        before = self._rows
        pairs = zip((before[row] for row in parents.tolist()), tokens.tolist(), strict=True)
        self._rows = [
            (phrases, phrases.after(progress, token)) for (phrases, progress), token in pairs
        ]

    def met(self, device: torch.device) -> Tensor:
        """How many tokens of its phrases each row (N,) has."""
        counts = [phrases.met(progress) for phrases, progress in self._rows]
        return torch.tensor(counts, device=device)

    def _met_after(
        self, phrases: LexicalConstraints, tokens: Sequence[int], parents: Sequence[int]
    ) -> Iterator[int]:
        for token, row in zip(tokens, parents, strict=True):
            yield phrases.met(phrases.after(self._rows[row][1], token))
