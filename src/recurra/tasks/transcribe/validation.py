"""The figures that choose the best weights while training, and a watch for collapse."""

from __future__ import annotations

import functools
import warnings

from torch import nn

from recurra.data.alphabet import Alphabet
from recurra.errors import RecurraWarning
from recurra.metrics.standard_error import standard_error
from recurra.metrics.transcription import error_rates
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Part
from recurra.tasks.transcribe.model import TextBatch, TranscribeNet
from recurra.tasks.transcribe.search import Search, greedy_decoder
from recurra.tasks.transcribe.text_batches import texts_in_order

__all__ = ["Validation"]

_PATIENCE = 8
"""Validations without a single character after which a network has collapsed."""


class Validation:
    """Measures a network on held-out items: nats a character, and errors of greedy decoding.

    A RecurraWarning, once, says where it writes nothing at all, time and again.
    """

    def __init__(self, how: Input, alphabet: Alphabet, part: Part, batch_size: int) -> None:
        self._how, self._alphabet, self._part = how, alphabet, part
        self._batch_size = batch_size
        self._silent = 0

    @functools.cached_property
    def _batches(self) -> list[tuple[list[int], TextBatch]]:
        """All items, with their numbers; characters that the alphabet lacks are left out."""
        known = map(self._alphabet.known, self._part.texts)
        texts = [self._alphabet.encode(text) for text in known]
        return list(texts_in_order(self._how, self._part.contents, texts, self._batch_size))

    def __call__(self, net: nn.Module) -> dict[str, float]:
        """The figures `loss`, and `cer` with its standard error."""
        assert isinstance(net, TranscribeNet)
        nats, characters, texts = 0.0, 0, self._part.texts
        written = [""] * len(texts)
        search = Search(greedy_decoder(net))
        for numbers, batch in self._batches:
            nats += float(net.loss(batch)) * batch.targets_in_all
            characters += batch.targets_in_all
            frames, lengths = net(batch.features, batch.lengths)
            for row, number in enumerate(numbers):
                (best,) = search.read(frames[: lengths[row], row])
                written[number] = self._alphabet.decode(best.tokens)
        self._watch(any(written))
        rates = error_rates(texts, written)
        return {
            "loss": nats / characters,
            "cer": rates.cer,
            "cer_error": standard_error(*rates.items["character"]),
        }

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
