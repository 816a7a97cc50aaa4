"""Attention of a decoder's steps to the steps of a source."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import ConfigError
from recurra.nn.linear import Linear
from recurra.ragged import within

__all__ = ["Attention", "AttentionKind", "Memory"]

AttentionKind = Literal["additive", "multiplicative", "dot", "monotonic"]


class Memory(NamedTuple):
    """What decoders attend to: values (S, B, M), keys (S, B, K), which steps are there (S, B)."""

    values: Tensor
    keys: Tensor
    inside: Tensor


class Attention(nn.Module):
    """Queries (T, B, Q) and a memory give contexts (T, B, M) and weights (T, S, B).

    additive: scores v · tanh(W q + U m) (Bahdanau, Cho and Bengio 2015).
    multiplicative: q · W m (Luong, Pham and Manning 2015).
    dot: scaled dot products in `heads` parts of `size` numbers in all, whose contexts are put side
        by side and brought back to M numbers (Vaswani et al. 2017); weights are the heads' mean.
    monotonic: each step goes on from where the step before was, never back; weights are the
        expectation of that (Raffel et al. 2017), with additive scores. They need not sum to 1.

    All steps of a target are computed at once. `monotonic` weights depend on those of the step
    before, which `before` (1, S, B) gives for the first one; None: the source's first step.

    Raises ConfigError where `size` can't be divided by `heads`, or another kind has several.

    Example:
        >>> attention = Attention("additive", 8, 6, 4)
        >>> memory = attention.memory(torch.randn(5, 2, 6), torch.tensor([5, 3]))
        >>> contexts, weights = attention(torch.randn(7, 2, 8), memory)
        >>> contexts.shape, weights.shape, weights[:, 3:, 1].abs().max().item()
        (torch.Size([7, 2, 6]), torch.Size([7, 5, 2]), 0.0)
    """

    def __init__(
        self, kind: AttentionKind, query_size: int, memory_size: int, size: int, *, heads: int = 1
    ) -> None:
        super().__init__()
        if heads > 1 and (kind != "dot" or size % heads):
            raise ConfigError(
                f"heads = {heads} with attention = {kind!r} of {size} units: only 'dot' has "
                "several, of equal size; give such a number, or leave heads out."
            )
        self.kind: AttentionKind = kind
        self.heads: int = heads
        own = query_size if kind == "multiplicative" else size
        self.key: nn.Linear = Linear(memory_size, own, bias=False)
        self.query: nn.Linear | None = None
        self.score: nn.Linear | None = None
        self.value: nn.Linear | None = None
        self.output: nn.Linear | None = None
        if kind != "multiplicative":
            self.query = Linear(query_size, size)
        if kind == "dot":
            self.value = Linear(memory_size, size, bias=False)
            self.output = Linear(size, memory_size, bias=False)
        if kind in ("additive", "monotonic"):
            self.score = Linear(size, 1, bias=kind == "monotonic")
        if self.score is not None and self.score.bias is not None:
            nn.init.constant_(self.score.bias, -1.0)  # so that weights reach some steps at first

    def memory(self, values: Tensor, lengths: Tensor) -> Memory:
        """A source (S, B, M) with lengths (B,), ready for any number of queries."""
        held = values if self.value is None else self.value(values)
        return Memory(held, self.key(values), within(lengths, len(values), values.device))

    def forward(
        self, queries: Tensor, memory: Memory, before: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        if self.kind == "dot":
            return self._of_heads(queries, memory)
        scores = self._scores(queries, memory)
        if self.kind == "monotonic":
            weights = _monotonic(scores.sigmoid() * memory.inside, before)
        else:
            weights = scores.masked_fill(~memory.inside, -torch.inf).softmax(1)
        return torch.einsum("tsb,sbm->tbm", weights, memory.values), weights

    def _scores(self, queries: Tensor, memory: Memory) -> Tensor:
        """How well each query suits each key, (T, S, B)."""
        if self.query is None:
            return torch.einsum("tbk,sbk->tsb", queries, memory.keys)
        assert self.score is not None
        asked = self.query(queries).unsqueeze(1)
        scores: Tensor = self.score((asked + memory.keys).tanh()).squeeze(-1)
        return scores

    def _of_heads(self, queries: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        assert self.query is not None
        assert self.output is not None
        asked, keys, values = (
            part.unflatten(-1, (self.heads, -1))
            for part in (self.query(queries), memory.keys, memory.values)
        )
        scores = torch.einsum("tbhk,sbhk->tsbh", asked, keys) / asked.shape[-1] ** 0.5
        inside = memory.inside.unsqueeze(-1)
        weights = scores.masked_fill(~inside, -torch.inf).softmax(1)
        contexts = torch.einsum("tsbh,sbhk->tbhk", weights, values).flatten(2)
        return self.output(contexts), weights.mean(-1)


def _monotonic(chances: Tensor, before: Tensor | None) -> Tensor:
    """The chance that each step (T, S, B) stops at each place, going on from the step before's.

    `chances` are those of stopping at a place once it is reached. The chance to stop at s is that
    of having begun at any k <= s, times that of passing all from k to s - 1, times chances[s].
    """
    steps = chances.shape[1]
    if before is None:
        place = torch.zeros_like(chances[0])
        place[0] = 1
    else:
        place = before[0]
    passed = (1 - chances).clamp(min=_LEAST).log().cumsum(1)
    passed = torch.cat([torch.zeros_like(passed[:, :1]), passed[:, :-1]], 1)
    onwards = torch.ones(steps, steps, dtype=torch.bool, device=chances.device).tril()[..., None]
    found = []
    for chance, logs in zip(chances, passed, strict=True):
        ways = (logs.unsqueeze(1) - logs).masked_fill(~onwards, -torch.inf).exp()
        place = chance * torch.einsum("skb,kb->sb", ways, place)
        found.append(place)
    return torch.stack(found)


_LEAST = 1e-20
"""The least chance to pass a place, so that its logarithm is finite."""
