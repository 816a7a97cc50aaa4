"""A regressor as its clients talk to it: a number for each step, or one for a whole input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.errors import ConfigError
from recurra.tasks.dialogue import Answer
from recurra.tasks.inputs.input_dialogue import InputDialogue, InputDialogues
from recurra.tasks.regress.estimate import Estimate
from recurra.tasks.regress.step_values import Floats, StepValue, ValueSession
from recurra.tasks.shared_weights import SharedWeights

__all__ = ["ValueDialogues"]


class ValueDialogues(InputDialogues):
    """Dialogues with a regressor; `value` answers."""

    task = "regress"
    verb = "regress"

    def __init__(self, product: Estimate) -> None:
        self._product = product
        super().__init__(product.input, SharedWeights(product.nets))

    def options(self) -> dict[str, Any]:
        """How many numbers an answer has, and the level of its interval."""
        product = self._product
        level = product.config.level if product.intervals else None
        return {"targets": len(product.targets), "level": level, **self.input_options()}

    def session(self, **options: Any) -> ValueSession:
        """A stream with the shared weights."""
        if not self._product.of_steps:
            raise ConfigError("The model has an answer for a whole sequence alone.")
        return ValueSession(self._product, self.weights)

    def shown(
        self, dialogue: InputDialogue, words: Sequence[str], results: Sequence[StepValue]
    ) -> list[Answer]:
        """An answer for each step."""
        first = dialogue.notes["step"]
        dialogue.notes["step"] += len(results)
        return [{"step": step, **_answer(*each)} for step, each in enumerate(results, first)]

    def whole(self, contents: Sequence[Any]) -> list[list[Answer]]:
        """One answer for each whole input, or one for each of its steps."""
        return [self._answers(rows) for rows in self._product.predicted(contents)]

    def _answers(self, rows: Floats) -> list[Answer]:
        low, high = self._product.bounds(rows) if self._product.intervals else (None, None)
        found = [
            _answer(row, None if low is None else low[n], None if high is None else high[n])
            for n, row in enumerate(rows)
        ]
        if self._product.of_steps:
            found = [{"step": step, **each} for step, each in enumerate(found)]
        return found


def _answer(value: Floats, low: Floats | None, high: Floats | None) -> Answer:
    parts = {"value": value, "low": low, "high": high}
    return {"type": "value"} | {
        name: _plain(part) for name, part in parts.items() if part is not None
    }


def _plain(values: Floats) -> Any:
    """A list of numbers, or the number that it has."""
    found = np.asarray(values).tolist()
    return found[0] if len(found) == 1 else found
