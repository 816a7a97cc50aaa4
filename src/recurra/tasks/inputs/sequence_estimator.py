"""What estimators share that give one answer for a sequence: X and y, rows of answers."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar

import numpy as np

from recurra.config.sequence_config import SequenceConfig
from recurra.data.sequences.step_labels import LabelScope
from recurra.errors import DataError, RecurraWarning
from recurra.tasks.estimator import Estimator
from recurra.tasks.inputs.given_contents import Given, given_contents
from recurra.tasks.inputs.labelled import paired
from recurra.tasks.inputs.sequence_task import SequenceTask

__all__ = ["SequenceEstimator"]

Config = TypeVar("Config", bound=SequenceConfig)
Product = TypeVar("Product")
Floats = np.ndarray[Any, np.dtype[np.float64]]


class SequenceEstimator(Estimator[Config, Product], Generic[Config, Product]):
    """Trained on files, or on sequences and their labels."""

    def fit(self, data: Any = None, labels: Sequence[Any] | None = None, **options: Any) -> Self:
        """Train on files, or on sequences with their labels (N,); options as for `Estimator.fit`.

        Raises DataError where there are not as many labels as sequences.
        """
        return super().fit(self._paired(data, labels), **options)

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

    @abstractmethod
    def _rows(self, contents: Sequence[Any]) -> list[dict[str, Any]]:
        """What is predicted of each content, by column."""

    @property
    def _scope(self) -> LabelScope:
        """What has a label."""
        assert isinstance(self._task, SequenceTask)
        return self._task.scope

    def _paired(self, data: Any, labels: Sequence[Any] | None) -> Any:
        return data if labels is None else paired(data, labels, self._scope)

    def _given_contents(self, data: Any, *, warn: bool = True) -> Given:
        """What was given to be answered; DataError where nothing can be read."""
        self._ready()
        assert isinstance(self._task, SequenceTask)
        given = given_contents(self._task.measured_config, self._task.input, data, self._scope)
        if not given.good:
            first = next(iter(given.errors.values()), "there is none.")
            raise DataError(f"No sequence can be read: {first}")
        if given.errors and warn:
            warnings.warn(_unread(given), RecurraWarning, stacklevel=4)
        return given


def _unread(given: Given) -> str:
    count, first = len(given.errors), next(iter(given.errors.values()))
    return f"{count:,} of {len(given.contents):,} sequences can't be read: {first}"
