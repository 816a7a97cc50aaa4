"""Regressor: train, load, evaluate, predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from recurra.errors import DataError
from recurra.tasks.inputs.array_checks import as_labels
from recurra.tasks.inputs.sequence_estimator import SequenceEstimator
from recurra.tasks.regress.config import RegressConfig
from recurra.tasks.regress.estimate import Estimate
from recurra.tasks.regress.targets import target_text
from recurra.tasks.regress.task import Regress
from recurra.tasks.signature import options_of
from recurra.tasks.sklearn_tags import sklearn_tags
from recurra.tasks.task import Task

__all__ = ["Regressor"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Regressor(SequenceEstimator[RegressConfig, Estimate]):
    """Whole sequences to a number, or several: texts, series, sound, pen strokes or images.

    Any field of `RegressConfig` may be given by name. `fit` trains it on files, or on sequences
    and their numbers; `load` brings a trained one back; `predict` gives numbers.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> import numpy as np
        >>> waves = [np.sin(np.arange(30 + n % 5) * (0.2 + n / 50)) for n in range(30)]
        >>> model = Regressor(hidden=8, channels=4, max_steps=2, level=0.5)
        >>> model.fit(waves, np.arange(30) / 50).results[0].steps
        2
        >>> model.predict(waves[:3]).shape
        (3,)
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Regress

    @options_of(RegressConfig)
    def __init__(self, config: RegressConfig) -> None:
        super().__init__(config)

    def predict(self, data: Any) -> Floats:
        """The number of each sequence (N,), or its numbers (N, K); NaN where it can't be read.

        A RecurraWarning names what can't be read; DataError where nothing can.
        """
        given = self._given_contents(data)
        product = self._ready()
        found = np.full((len(given.contents), len(product.targets)), np.nan)
        found[given.good] = product.predicted([given.contents[n] for n in given.good])
        return _squeezed(found)

    def predict_interval(self, data: Any) -> tuple[Floats, Floats]:
        """Lower and upper ends, as `predict` gives numbers, that hold `level` of the actual values.

        DataError where the training held out too few items for them; else as for `predict`.
        """
        product = self._ready()
        if not product.intervals:
            raise DataError(
                "The training held out too few items for intervals; train with more, or with a "
                "lower level."
            )
        predicted = self.predict(data)
        low, high = product.bounds(predicted.reshape(len(predicted), -1))
        return _squeezed(low), _squeezed(high)

    def score(
        self,
        data: Any,
        y: Sequence[Any] | None = None,
        sample_weight: Sequence[float] | None = None,
    ) -> float:
        """The share of the variance that is explained, R², each sequence as often as it weighs."""
        return self._judged(data, y, sample_weight)["r2"]

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks, so that its searches and pipelines take a regressor."""
        return sklearn_tags("regressor")

    def _paired(self, data: Any, labels: Sequence[Any] | None) -> Any:
        texts = None if labels is None else [target_text(label) for label in as_labels(labels)]
        return super()._paired(data, texts)

    def _rows(self, contents: Sequence[Any]) -> list[dict[str, Any]]:
        """The numbers, and the ends of their intervals where there are any."""
        product = self._ready()
        predicted = product.predicted(contents)
        columns = {"prediction": predicted}
        if product.intervals:
            columns["low"], columns["high"] = product.bounds(predicted)
        return [
            {
                f"{name}{'' if len(product.targets) == 1 else f'_{k + 1}'}": float(values[row, k])
                for k in range(len(product.targets))
                for name, values in columns.items()
            }
            for row in range(len(contents))
        ]


def _squeezed(values: Floats) -> Floats:
    """Values (N, K) as (N,) where K is 1."""
    return values[:, 0] if values.shape[1] == 1 else values
