"""What estimators share that give one answer for a sequence: X and y, rows of answers."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

import numpy as np

from recurra.config.sequence_config import SequenceConfig
from recurra.data.sequences.step_labels import LabelScope, is_one_recording
from recurra.errors import DataError, RecurraWarning
from recurra.tasks.estimator import Estimator
from recurra.tasks.inputs.array_checks import as_array, as_labels, as_sequences
from recurra.tasks.inputs.given_contents import Given, given_contents
from recurra.tasks.inputs.labelled import paired
from recurra.tasks.inputs.sequence_task import SequenceTask
from recurra.tasks.task import Evaluation

__all__ = ["SequenceEstimator"]

Config = TypeVar("Config", bound=SequenceConfig)
Product = TypeVar("Product")
Floats = np.ndarray[Any, np.dtype[np.float64]]


class SequenceEstimator(Estimator[Config, Product], Generic[Config, Product]):
    """Trained on files, or on sequences and their labels."""

    def fit(
        self,
        data: Any = None,
        y: Sequence[Any] | None = None,
        sample_weight: Sequence[float] | None = None,
        *,
        groups: Sequence[Any] | None = None,
        **options: Any,
    ) -> Self:
        """Train on files, or on sequences with their labels `y`; options as for `Estimator.fit`.

        `sample_weight` (N,) says how much each sequence counts, in the loss and where the best
        weights are chosen; sequences of one of the `groups` (N,) are all trained on or all held
        out. An array (N, T) is N series of one channel.

        Raises DataError where there are not as many of them as sequences.
        """
        given = {"sample_weight": sample_weight, "groups": groups}
        options |= {name: value for name, value in given.items() if value is not None}
        return super().fit(self._paired(data, y), **options)

    def predictions(self, data: Any) -> list[dict[str, Any]]:
        """A row for each sequence: its name, and what is predicted.

        One that can't be read has the reason instead, as `error`.
        """
        given = self._given_contents(data, warn=False)
        answers = iter(self._rows([given.contents[n] for n in given.good]))
        return [
            {"item": name, **({"error": given.errors[n]} if n in given.errors else next(answers))}
            for n, name in enumerate(given.names)
        ]

    def __sklearn_is_fitted__(self) -> bool:
        """Whether it is trained."""
        return self._product is not None

    @property
    def n_features_in_(self) -> int:
        """The channels of the series it was trained on; AttributeError for any other kind."""
        columns = self._task.context.get("input", {}).get("columns", {})
        if "channels" not in columns:
            raise AttributeError("n_features_in_ is there of a model that is trained on series.")
        return len(columns["channels"])

    def _judged(self, data: Any, labels: Sequence[Any] | None, weights: Any) -> Evaluation:
        """The evaluation on sequences with their labels and weights."""
        if weights is None:
            return self.evaluate(self._paired(data, labels))
        product = self._ready()
        read = self._task.read_measured(self._paired(data, labels), sample_weight=weights)
        return self._task.evaluate(product, read)

    @abstractmethod
    def _rows(self, contents: Sequence[Any]) -> list[dict[str, Any]]:
        """What is predicted of each content, by column."""

    @property
    def _scope(self) -> LabelScope:
        """What has a label."""
        assert isinstance(self._task, SequenceTask)
        return self._task.scope

    def _paired(self, data: Any, labels: Sequence[Any] | None) -> Any:
        given = as_array(data)
        if labels is None:
            if isinstance(given, np.ndarray):
                raise DataError(
                    f"An array of shape {given.shape} is given without labels; y should be a 1d "
                    "array with one for each sequence."
                )
            return as_sequences(given)
        if self._scope != "step" and hasattr(data, "columns"):
            raise DataError(
                "A data frame has a row for each step, and its labels in a column (label_column); "
                "give it without labels apart, or frame.to_numpy() where a row is a sequence."
            )
        answers = as_labels(labels)
        if is_one_recording(given, answers, self._scope):
            return [(given, answers)]
        return paired(as_sequences(given), answers)

    def _sequences(self, data: Any) -> Any:
        """Data in memory as a list of sequences; of one recording with labels of steps as it is."""
        return as_sequences(data, recording=self._scope == "step")

    def _alone(self, data: Any, answers: list[Any]) -> Any:
        """Answers to every step of each series; those of a source with one alone, if no list."""
        return answers[0] if len(answers) == 1 and not isinstance(data, (list, tuple)) else answers

    def _given_contents(self, data: Any, *, warn: bool = True) -> Given:
        """What was given to be answered; DataError where nothing can be read."""
        self._ready()
        assert isinstance(self._task, SequenceTask)
        sequences, scope = self._sequences(data), self._scope
        given = given_contents(self._task.measured_config, self._task.input, sequences, scope)
        if not given.good:
            first = next(iter(given.errors.values()), "there is none.")
            raise DataError(f"No sequence can be read: {first}")
        if given.errors and warn:
            warnings.warn(_unread(given), RecurraWarning, stacklevel=4)
        return given


def _unread(given: Given) -> str:
    count, first = len(given.errors), next(iter(given.errors.values()))
    return f"{count:,} of {len(given.contents):,} sequences can't be read: {first}"
