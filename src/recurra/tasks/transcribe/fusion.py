"""A language model trained by Recurra as a scorer of characters (shallow fusion)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from recurra.data.alphabet import Alphabet
from recurra.decoding.neural_scoring import NeuralScorer
from recurra.errors import ConfigError
from recurra.nn.states import State, concatenate, reorder
from recurra.tasks import registry

__all__ = ["language_scorer"]


def language_scorer(run: str, alphabet: Alphabet) -> NeuralScorer:
    """The language model of a run by character, as a scorer of these characters.

    A text ends where the model would begin a new line. Raises ConfigError for a run of another
    task or level, RunError for one that can't be loaded.
    """
    model = registry.load(run)
    vocabulary = getattr(model, "vocabulary", None)
    if vocabulary is None or vocabulary.level != "char":
        level = "another task" if vocabulary is None else f"level {vocabulary.level!r}"
        raise ConfigError(
            f"language = {run!r} is a run of {level}; give one of `recurra train language` by "
            "character (--level char)."
        )
    symbols = [int(token) for token in vocabulary.encode("".join(alphabet.characters))]
    (end,) = vocabulary.encode("\n").tolist()
    net = getattr(model, "network")  # noqa: B009
    return NeuralScorer(
        lambda tokens, states: _step(net, tokens, states),
        symbols,
        (vocabulary.start, None),
        None if end == vocabulary.unknown else end,
    )


@torch.inference_mode()
def _step(
    net: nn.Module, tokens: Sequence[int], states: Sequence[State]
) -> tuple[Any, Sequence[State]]:
    """Log-probabilities after a token of each row (n, V), and each row's state."""
    before = None if states[0] is None else concatenate(states)
    logits, after = net(torch.tensor([list(tokens)]), before)
    rows = [reorder(after, torch.tensor([row])) for row in range(len(tokens))]
    return logits[0].log_softmax(-1).double().numpy(), rows
