"""A model as searches of sequences see it: one token after another."""

import math
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from recurra.errors import ConfigError

__all__ = ["GeneratorEnsemble", "TokenGenerator", "continued"]


class TokenGenerator(Protocol):
    """A model that gives the next token's probabilities; its states are its own affair."""

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any, Tensor]:
        """One more token of each of N rows, (N,), after the state of the tokens before.

        Gives log-probabilities (N, V) of the next token, the state that follows, and the
        attention (N, S) to the source with which they were computed; S may be 0.
        """
        ...

    def reorder(self, state: Any, rows: Tensor) -> Any:
        """The states of these rows, in this order; a row may come several times, or never."""
        ...


class GeneratorEnsemble:
    """Several models as one: the mean of their probabilities, and of their attention.

    Its state is a sequence of the members' states, in their order. Members without attention
    (S = 0) are left out of its mean.

    Raises:
        ConfigError: no members; in a step, members whose vocabularies or sources differ in size.
    """

    def __init__(self, members: Sequence[TokenGenerator]) -> None:
        if not members:
            raise ConfigError("An ensemble of no models; give one or more.")
        self.members: tuple[TokenGenerator, ...] = tuple(members)

    def step(self, tokens: Tensor, state: Any) -> tuple[Tensor, Any, Tensor]:
        """One more token, by each member."""
        pairs = zip(self.members, state, strict=True)
        steps = [member.step(tokens, own) for member, own in pairs]
        scores = _alike([log_probs for log_probs, _, _ in steps], "tokens")
        attention = [weights for _, _, weights in steps if weights.shape[1]]
        mean = torch.logsumexp(scores, 0) - math.log(len(scores))
        seen = _alike(attention, "source positions").mean(0) if attention else steps[0][2]
        return mean, tuple(after for _, after, _ in steps), seen

    def reorder(self, state: Any, rows: Tensor) -> Any:
        """Each member's rows."""
        pairs = zip(self.members, state, strict=True)
        return tuple(member.reorder(own, rows) for member, own in pairs)


def continued(generator: TokenGenerator, state: Any, rows: Tensor, count: int) -> Any:
    """The states of these rows of `count`; nothing is copied where they are all, in order."""
    if len(rows) == count and torch.equal(rows, torch.arange(count, device=rows.device)):
        return state
    return generator.reorder(state, rows)


def _alike(tensors: Sequence[Tensor], noun: str) -> Tensor:
    """Tensors (N, K) of one K as one."""
    sizes = [tensor.shape[1] for tensor in tensors]
    if len(set(sizes)) > 1:
        raise ConfigError(
            f"An ensemble of models with {', '.join(map(str, sizes))} {noun}; all must have the "
            "same: leave out those that were trained with another vocabulary."
        )
    return torch.stack(list(tensors))
