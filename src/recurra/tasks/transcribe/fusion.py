"""A language model trained by Recurra as a scorer of characters (shallow fusion)."""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from recurra.data.alphabet import Alphabet
from recurra.decoding.neural_scoring import NeuralScorer
from recurra.errors import ConfigError
from recurra.nn.states import State, concatenate, reorder
from recurra.tasks import registry

__all__ = ["check_language", "language_scorer"]


class _Language(NamedTuple):
    """The vocabulary and the network of a run of `recurra train language`, and its loss on held-out
    text: what a character costs on average, in nats.
    """

    vocabulary: Any
    net: nn.Module
    nats: float


def check_language(run: str | None) -> None:
    """Raise what `language_scorer` raises for a run, if there is one, that it can't take."""
    if run is not None:
        _loaded(run)


def language_scorer(run: str, alphabet: Alphabet) -> NeuralScorer:
    """The language model of a run by character, as a scorer of these characters.

    A text ends where the model would begin a new line. Each character is worth its log-probability
    and what the model's characters cost on average: with its log-probability alone, a text would be
    worth less with every character, and the search would leave characters out.

    Raises ConfigError for a run of another task or level, or without held-out text, RunError for
    one that can't be loaded.
    """
    vocabulary, net, nats = _loaded(run)
    symbols = [int(token) for token in vocabulary.encode("".join(alphabet.characters))]
    (end,) = vocabulary.encode("\n").tolist()
    return NeuralScorer(
        lambda tokens, states: _step(net, nats, tokens, states),
        symbols,
        (vocabulary.start, None),
        None if end == vocabulary.unknown else end,
    )


def _loaded(run: str) -> _Language:
    manifest = Path(run, "manifest.json")
    return _language(run, os.stat(manifest).st_mtime_ns if manifest.exists() else 0)


@functools.lru_cache(maxsize=1)
def _language(run: str, written: int) -> _Language:
    """The parts of a run as it was written then, kept for the many searches of a choice."""
    model = registry.load(run)
    vocabulary = getattr(model, "vocabulary", None)
    if vocabulary is None or vocabulary.level != "char":
        level = "another task" if vocabulary is None else f"level {vocabulary.level!r}"
        raise ConfigError(
            f"language = {run!r} is a run of {level}; give one of `recurra train language` by "
            "character (--level char)."
        )
    assert model.run is not None  # of a model that is loaded
    held_out = model.run.config["results"][0]["best"]
    if "loss" not in held_out:
        raise ConfigError(
            f"language = {run!r} was trained without held-out text, whose loss says what a "
            "character costs on average; train it with valid, or a valid_fraction above 0."
        )
    return _Language(vocabulary, getattr(model, "network"), held_out["loss"])  # noqa: B009


@torch.inference_mode()
def _step(
    net: nn.Module, nats: float, tokens: Sequence[int], states: Sequence[State]
) -> tuple[Any, Sequence[State]]:
    """Log-probabilities after a token of each row (n, V), and `nats`; and each row's state."""
    before = None if states[0] is None else concatenate(states)
    logits, after = net(torch.tensor([list(tokens)]), before)
    rows = [reorder(after, torch.tensor([row])) for row in range(len(tokens))]
    return logits[0].log_softmax(-1).double().numpy() + nats, rows
