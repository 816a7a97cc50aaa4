"""The best continuations of the hypotheses of a beam, in an order without chance."""

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.errors import DataError

__all__ = ["Candidates", "best_of_rows", "ranked"]


class Candidates(NamedTuple):
    """What may follow the hypotheses of A sentences, (A, C) each, best first."""

    totals: Tensor
    """Log-probabilities of the whole; -inf: no candidate."""
    tokens: Tensor
    slots: Tensor
    """Places in the beam, of the hypotheses that are continued."""
    log_probs: Tensor
    ranks: Tensor
    """From 0: among all, or among those that have met as much of what must occur."""

    def take(self, order: Tensor) -> "Candidates":
        """Those at these places (A, C') of each sentence."""
        return Candidates(*(column.gather(1, order) for column in self))

    def first(self, count: int, where: Tensor) -> "tuple[Candidates, Tensor]":
        """The first `count` of each sentence where these bools (A, C) are true, and if they are.

        Others fill up what isn't there.
        """
        order = (~where).to(torch.uint8).sort(dim=1, stable=True).indices[:, :count]
        return self.take(order), where.gather(1, order)


def best_of_rows(values: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row of (N, V), largest first, and where they are.

    Of equal ones the first come first, which `topk` doesn't promise.

    Raises:
        DataError: values that are NaN.

    >>> best_of_rows(torch.tensor([[0.1, 0.3, 0.3, 0.3]]), 2)[1].tolist()
    [[1, 2]]
    """
    best, places = values.topk(min(count + 1, values.shape[1]))
    if best[:, :1].isnan().any():  # NaN is the largest for topk
        raise DataError(
            "Log-probabilities of the next token are NaN; the model may have diverged, or its "
            "input isn't finite."
        )
    if best.shape[1] > count:
        last = best[:, count - 1]
        cut = (last == best[:, count]) & (last > -torch.inf)
        if cut.any():  # which of those equal topk took is its own affair
            whole, order = values[cut].sort(descending=True, stable=True)
            best[cut], places[cut] = whole[:, : count + 1], order[:, : count + 1]
    best, places = best[:, :count], places[:, :count]
    places, by_place = places.sort(dim=1)
    best, by_value = best.gather(1, by_place).sort(dim=1, descending=True, stable=True)
    return best, places.gather(1, by_value)


def ranked(totals: Tensor, slots: Tensor, tokens: Tensor, log_probs: Tensor) -> Candidates:
    """The candidates of A sentences with the sums (A, K) of their hypotheses.

    There are k `tokens` with their `log_probs`, (N, k), after each of the N hypotheses that are
    alive, which are at the places `slots` of all A * K. Of equal ones the lowest token comes first,
    then the hypothesis that ranked higher.
    """
    sentences, beam = totals.shape
    width = tokens.shape[1]
    dead = torch.full((sentences * beam, width), -torch.inf, dtype=totals.dtype)
    own = dead.to(totals.device).index_copy(0, slots, log_probs.to(totals.dtype))
    ids = tokens.new_zeros(sentences * beam, width).index_copy(0, slots, tokens)
    whole = (totals.view(-1, 1) + own).view(sentences, -1)
    places = torch.arange(beam, device=tokens.device).repeat_interleave(width)
    ids, own = ids.view(sentences, -1), own.view(sentences, -1)
    order = ids.sort(dim=1, stable=True).indices
    by_total = whole.gather(1, order).sort(dim=1, descending=True, stable=True).indices
    order = order.gather(1, by_total)
    ranks = torch.arange(order.shape[1], device=order.device).expand_as(order)
    found = Candidates(whole, ids, places.expand(sentences, -1), own, ranks)
    return found.take(order)._replace(ranks=ranks)
