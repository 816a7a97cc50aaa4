"""A classifier as its clients talk to it: the probabilities of its classes after every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recurra.tasks.classify.class_session import ClassSession, StepAnswer
from recurra.tasks.classify.decider import Decider
from recurra.tasks.dialogue import Answer
from recurra.tasks.inputs.input_dialogue import InputDialogue, InputDialogues
from recurra.tasks.shared_weights import SharedWeights

__all__ = ["ClassDialogues"]


class ClassDialogues(InputDialogues):
    """Dialogues with a classifier; `step` answers."""

    task = "classify"
    verb = "classify"

    def __init__(self, product: Decider) -> None:
        self._product = product
        super().__init__(product.input, SharedWeights(product.nets))

    def options(self) -> dict[str, Any]:
        """The classes, and whether an item may have several."""
        labels = self._product.labels
        found: dict[str, Any] = {"labels": list(labels.names), "several": labels.several}
        return found | self.input_options()

    def session(self, *, rate: int | None = None, **options: Any) -> ClassSession:
        """A stream with the shared weights."""
        return ClassSession(self._product, rate, self.weights)

    def shown(
        self, dialogue: InputDialogue, words: Sequence[str], results: Sequence[StepAnswer]
    ) -> list[Answer]:
        """An answer for each step."""
        first = dialogue.notes["step"]
        dialogue.notes["step"] += len(results)
        return [
            {
                "type": "step",
                "step": step,
                "label": each.prediction,
                "probabilities": each.probabilities.tolist(),
                "stopped": each.stopped,
            }
            for step, each in enumerate(results, first)
        ]

    def whole(self, contents: Sequence[Any]) -> list[list[Answer]]:
        """One answer for each whole input."""
        chances = self._product.probabilities(contents)
        return [
            [{"type": "step", "label": label, "probabilities": row}]
            for label, row in zip(self._product.chosen(chances), chances.tolist(), strict=True)
        ]
