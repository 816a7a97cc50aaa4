"""Classifier: train, load, evaluate, predict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np

from recurra.data.texts.labels import label_values
from recurra.errors import ConfigError
from recurra.tasks.classify.config import ClassifyConfig
from recurra.tasks.classify.decider import Decider
from recurra.tasks.classify.recording_answers import (
    LabelledInterval,
    intervals_of,
    step_probabilities,
)
from recurra.tasks.classify.task import Classify
from recurra.tasks.inputs.array_checks import check_classes
from recurra.tasks.inputs.given_contents import Given
from recurra.tasks.inputs.sequence_estimator import SequenceEstimator
from recurra.tasks.signature import options_of
from recurra.tasks.sklearn_tags import sklearn_tags
from recurra.tasks.task import Task

__all__ = ["Classifier"]

Floats = np.ndarray[Any, np.dtype[np.float64]]


class Classifier(SequenceEstimator[ClassifyConfig, Decider]):
    """Whole sequences to classes: texts, series, sound, pen strokes or images.

    Any field of `ClassifyConfig` may be given by name. `fit` trains it on files, or on sequences
    and their labels; `load` brings a trained one back; `predict` gives classes.

    Raises:
        ConfigError: a setting is unknown, or its value is not allowed.

    Example:
        >>> import numpy as np
        >>> waves = [np.sin(np.arange(20 + n) * (0.3, 1.2)[n % 2]) for n in range(12)]
        >>> model = Classifier(hidden=8, channels=4, max_steps=2)
        >>> model.fit(waves, ["slow", "fast"] * 6).results[0].steps
        2
        >>> model.classes_.tolist(), model.predict_proba(waves[:3]).shape
        (['fast', 'slow'], (3, 2))
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Classify

    @options_of(ClassifyConfig)
    def __init__(self, config: ClassifyConfig) -> None:
        super().__init__(config)

    def predict_intervals(self, data: Any) -> list[list[LabelledInterval] | None]:
        """The stretches of one label of each long series, by a model of windows; None where it
        can't be read.

        ConfigError for a model of whole sequences.
        """
        given, product = self._given_contents(data), self._ready()
        if not self._cuts:
            raise ConfigError(
                "The model was trained on whole sequences; give labels of steps, or window_length, "
                "in training."
            )
        return [
            None if number in given.errors else intervals_of(product, content)
            for number, content in enumerate(given.contents)
        ]

    def predictions(self, data: Any) -> list[dict[str, Any]]:
        """A row for each sequence, or of a model of windows for each stretch of one label.

        One that can't be read has the reason instead, as `error`.
        """
        if not self._cuts:
            return super().predictions(data)
        given, product = self._given_contents(data, warn=False), self._ready()
        rows: list[dict[str, Any]] = []
        for number, name in enumerate(given.names):
            if number in given.errors:
                rows.append({"item": name, "error": given.errors[number]})
                continue
            stretches = intervals_of(product, given.contents[number])
            rows += [{"item": name, **stretch._asdict()} for stretch in stretches]
        return rows

    def predict(self, data: Any) -> Any:
        """The class of each sequence (N,), or its classes joined; None where it can't be read.

        Of a model of windows a list with the classes of the steps of each series, (T,); of a source
        that isn't a list and has one series, these alone.

        Classes that are whole numbers come as such. A RecurraWarning names what can't be read;
        DataError where nothing can.
        """
        if self._cuts:
            return self._of_steps(data, lambda chances: self.classes_[chances.argmax(1)])
        given = self._given_contents(data)
        product = self._ready()
        found = np.full(len(given.contents), None, object)
        found[given.good] = product.chosen(self._probabilities(given)[given.good])
        whole = not given.errors and not product.several
        return found.astype(self.classes_.dtype) if whole else found

    def predict_proba(self, data: Any) -> Any:
        """The calibrated probability of each class, in the order of `classes_`: (N, K).

        NaN where a sequence can't be read; else as for `predict`, of a model of windows (T, K).
        """
        if self._cuts:
            return self._of_steps(data, lambda chances: chances)
        return self._probabilities(self._given_contents(data))

    def score(
        self,
        data: Any,
        y: Sequence[Any] | None = None,
        sample_weight: Sequence[float] | None = None,
    ) -> float:
        """The share of sequences whose class is right, each as often as it weighs."""
        return self._judged(data, y, sample_weight)["accuracy"]

    def _paired(self, data: Any, labels: Sequence[Any] | None) -> Any:
        check_classes(labels)
        return super()._paired(data, labels)

    @property
    def classes_(self) -> np.ndarray[Any, Any]:
        """The classes (K,): whole numbers where all names are such, else their names."""
        names = self._ready().labels.names
        return label_values(names)

    def __sklearn_tags__(self) -> Any:
        """What scikit-learn asks, so that its searches and pipelines take a classifier."""
        return sklearn_tags("classifier")

    def _rows(self, contents: Sequence[Any]) -> list[dict[str, Any]]:
        """The class, and the probability of each."""
        product = self._ready()
        chances = product.probabilities(contents)
        names = product.labels.names
        return [
            {"prediction": chosen, **dict(zip(names, row.tolist(), strict=True))}
            for chosen, row in zip(product.chosen(chances), chances, strict=True)
        ]

    @property
    def _cuts(self) -> bool:
        """Whether long series are answered by windows."""
        assert isinstance(self._task, Classify)
        return self._task.cuts

    def _of_steps(self, data: Any, answer: Callable[[Floats], Any]) -> Any:
        """What `answer` makes of the probabilities (T, K) of the steps of each series."""
        given, product = self._given_contents(data), self._ready()
        found = [
            None if number in given.errors else answer(step_probabilities(product, content))
            for number, content in enumerate(given.contents)
        ]
        return self._alone(data, found)

    def _probabilities(self, given: Given) -> Floats:
        product = self._ready()
        found = np.full((len(given.contents), len(product.labels)), np.nan)
        found[given.good] = product.probabilities([given.contents[n] for n in given.good])
        return found
