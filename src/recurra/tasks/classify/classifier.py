"""Classifier: train, load, evaluate, predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

import numpy as np

from recurra.errors import DataError
from recurra.tasks.classify.config import ClassifyConfig
from recurra.tasks.classify.product import Decider
from recurra.tasks.classify.task import Classify
from recurra.tasks.estimator import Estimator
from recurra.tasks.inputs.labelled import paired, unlabelled_items
from recurra.tasks.signature import options_of
from recurra.tasks.task import Task

__all__ = ["Classifier"]


class Classifier(Estimator[ClassifyConfig, Decider]):
    """Whole sequences to classes: texts, series, sound, pen strokes or images.

    Any field of `ClassifyConfig` may be given by name. `fit` trains it on files, or on sequences
    and their labels; `load` brings a trained one back; `predict` gives classes.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> import numpy as np
        >>> waves = [np.sin(np.arange(20 + n)[:, None] * (0.3, 1.2)[n % 2]) for n in range(12)]
        >>> model = Classifier(input="series", hidden=8, channels=4, max_steps=2)
        >>> model.fit(waves, ["slow", "fast"] * 6).results[0].steps
        2
        >>> model.classes_.tolist(), model.predict_proba(waves[:3]).shape
        (['fast', 'slow'], (3, 2))
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Classify

    @options_of(ClassifyConfig)
    def __init__(self, config: ClassifyConfig) -> None:
        super().__init__(config)

    def fit(self, data: Any = None, labels: Sequence[Any] | None = None, **options: Any) -> Self:  # type: ignore[override]
        """Train on files, or on sequences with their labels (N,); options as for `Estimator.fit`.

        Raises DataError where there are not as many labels as sequences.
        """
        return super().fit(data if labels is None else paired(data, labels), **options)

    def predict(self, data: Any) -> np.ndarray[Any, Any]:
        """The class of each sequence, (N,) texts.

        Raises DataError for a sequence that can't be read; the message names it.
        """
        product = self._ready()
        return np.array(product.chosen(self.predict_proba(data)), object)

    def predict_proba(self, data: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The calibrated probability of each class, in the order of `classes_`: (N, K)."""
        product = self._ready()
        return product.probabilities(self._contents(data))

    def score(self, data: Any, labels: Sequence[Any] | None = None) -> float:
        """The share of sequences whose class is right."""
        figures = self.evaluate(data if labels is None else paired(data, labels))
        return figures["accuracy"]

    @property
    def classes_(self) -> np.ndarray[Any, Any]:
        """The names of the classes, (K,)."""
        return np.array(self._ready().labels.names, object)

    def _contents(self, data: Any) -> list[Any]:
        """The contents of sequences without labels; DataError for one that can't be used."""
        how = self._ready().input
        items = unlabelled_items(self.config, how, data)
        if not items:
            raise DataError("There is no sequence; give one or more.")
        return [how.open(item) for item in items]
