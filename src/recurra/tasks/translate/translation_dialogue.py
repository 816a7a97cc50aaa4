"""A translator as its clients talk to it: a text, and what it becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from recurra.errors import DataError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Answer, Dialogue, Dialogues, Pool, PoolStep, Work
from recurra.tasks.shared_weights import SharedWeights
from recurra.tasks.translate.config import Generation
from recurra.tasks.translate.converter import Converter, Translation

__all__ = ["TranslationDialogues"]

_BEAM = 32
_LONGEST = 5_000
"""Characters of a text."""


class TranslationDialogues(Dialogues):
    """Dialogues with a translator; `translation` answers."""

    task = "translate"
    verb = "translate"
    streams = False

    def __init__(self, product: Converter) -> None:
        self.weights: SharedWeights = SharedWeights(list(product.nets))
        self.product: Converter = product
        self.pool: Pool = _Texts(product)

    def options(self) -> dict[str, Any]:
        """The longest text."""
        return {"most_characters": _LONGEST}

    def open(self) -> Dialogue:
        """A new client's dialogue."""
        return _TranslationDialogue(self)

    @property
    def message(self) -> str:
        """The type of message that a request is."""
        return "text"


class _Texts(Pool):
    """Texts of several clients, translated as a batch; an item is a text and the beam."""

    def __init__(self, product: Converter) -> None:
        self._product = product

    def step(self, items: Sequence[tuple[str, int]]) -> Sequence[Translation | None]:
        found: list[Translation | None] = [None] * len(items)
        for beam in {beam for _, beam in items}:
            places = [n for n, (_, own) in enumerate(items) if own == beam]
            texts = [items[n][0] for n in places]
            results = self._product.translate(texts, Generation(beam=beam))
            for n, best in zip(places, results, strict=True):
                found[n] = best[0] if best else None
        return found


class _TranslationDialogue(Dialogue):
    def __init__(self, dialogues: TranslationDialogues) -> None:
        super().__init__()
        self._dialogues = dialogues
        self.note_anew(beam=Generation.beam)

    @property
    def digest(self) -> str:
        """That of the model."""
        return self._dialogues.weights.digest

    def says(self) -> Mapping[str, Callable[[ClientMessage], Work]]:
        """A text; there is nothing to end, or to begin anew."""
        return {
            "open": self._open,
            "text": self._text,
            "finish": self._nothing,
            "reset": self._nothing,
        }

    def model_state(self) -> dict[str, Tensor]:
        """Nothing: a text depends on no other."""
        return {"none": torch.zeros(0)}

    def set_model_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Nothing."""

    def _open(self, message: ClientMessage) -> Work:
        message.only("beam")
        self.note_anew(beam=message.count("beam", Generation.beam, 1, _BEAM))
        yield []

    def _nothing(self, message: ClientMessage) -> Work:
        message.only()
        yield []

    def _text(self, message: ClientMessage) -> Work:
        message.only("text")
        text = message.text("text")
        if len(text) > _LONGEST:
            raise DataError(
                f"The text has {len(text):,} characters; at most {_LONGEST:,} are translated at "
                "once: give it in parts."
            )
        found = yield PoolStep(self._dialogues.pool, (text, self.notes["beam"]))
        yield [_answer(found, self._dialogues.product.source.unknown_note("text", [text]))]


def _answer(found: Translation | None, notes: Sequence[str]) -> Answer:
    """The answer; `notes` are sentences on what the model could not read."""
    if found is None:
        return {"type": "translation", "text": "", "source": [], "output": []}
    answer: Answer = {
        "type": "translation",
        "text": found.text,
        "source": list(found.source_tokens),
        "output": list(found.tokens),
    }
    if notes:
        answer["notes"] = list(notes)
    if found.attention:
        answer["attention"] = [list(row) for row in found.attention]
    return answer
