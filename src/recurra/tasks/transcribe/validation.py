"""The figures that choose the best weights while training, and a watch for a network that collapses."""

from __future__ import annotations

import warnings

import torch
from torch import nn

from recurra.data.alphabet import Alphabet
from recurra.decoding import ctc
from recurra.errors import RecurraWarning
from recurra.metrics.transcription import error_rates
from recurra.tasks.transcribe.batches import in_order
from recurra.tasks.transcribe.collection import Part
from recurra.tasks.transcribe.inputs import Input

__all__ = ["Validation"]

_PATIENCE = 8
"""Validations without a single character after which a network has collapsed."""


class Validation:
    """Measures a network on held-out items: nats a character, and the error rate of greedy decoding.

    A RecurraWarning, once, says where it writes nothing at all, time and again.
    """

    def __init__(self, how: Input, alphabet: Alphabet, part: Part, batch_size: int) -> None:
        self._alphabet, self._texts = alphabet, part.texts
        targets = [alphabet.encode(alphabet.known(text)) for text in part.texts]
        self._batches = list(in_order(how, part.contents, targets, batch_size))
        self._silent = 0

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """The figures `loss` and `cer`."""
        nats, characters = 0.0, 0
        written = [""] * len(self._texts)
        for numbers, batch in self._batches:
            nats += float(net.loss(batch)) * batch.targets_in_all
            characters += batch.targets_in_all
            log_probs, lengths = net(batch.features, batch.lengths)
            for row, number in enumerate(numbers):
                best = ctc.greedy(log_probs[: lengths[row], row].double().numpy())
                written[number] = self._alphabet.decode(best.tokens)
        self._watch(any(written))
        return {"loss": nats / characters, "cer": error_rates(self._texts, written).cer}

    def _watch(self, writes: bool) -> None:
        self._silent = 0 if writes else self._silent + 1
        if self._silent == _PATIENCE:
            warnings.warn(
                f"After {_PATIENCE} validations the network still writes nothing: every step is "
                "blank, a plateau that CTC has to leave. It may yet; else give short items first "
                "(curriculum), more steps, less dropout and distortion, or another learning rate.",
                RecurraWarning,
                stacklevel=2,
            )
