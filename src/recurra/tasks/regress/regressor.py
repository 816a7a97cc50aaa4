"""Regressor: train, load, evaluate, predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from recurra.data.sequences.series import Series
from recurra.data.sequences.step_labels import are_of_steps
from recurra.errors import DataError
from recurra.tasks.inputs.given_contents import Given
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
    """Sequences to a number, or several: texts, series, sound, pen strokes or images.

    Of series with a number for each step, as the labels show, every step is answered: soft
    sensors, remaining life, systems that are identified from a recording.

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
        >>> inputs = np.random.default_rng(0).normal(size=(200, 1))
        >>> model = Regressor(hidden=8, max_steps=2, answers="step")
        >>> model.fit(inputs, inputs[:, 0].cumsum()).predict(inputs).shape
        (200,)
    """

    task: ClassVar[type[Task[Any, Any, Any]]] = Regress

    @options_of(RegressConfig)
    def __init__(self, config: RegressConfig) -> None:
        super().__init__(config)

    def predict(self, data: Any) -> Floats | list[Floats | None]:
        """The number of each sequence (N,), or its numbers (N, K); NaN where it can't be read.

        Of a model that answers every step: a list of (T,) or (T, K), None where a series can't be
        read; of a source that isn't a list and has one series, the array alone. A RecurraWarning
        names what can't be read; DataError where nothing can.
        """
        return self._in_form(data, *self._predicted(data)[1:])

    def predict_interval(
        self, data: Any
    ) -> tuple[Floats | list[Floats | None], Floats | list[Floats | None]]:
        """Lower and upper ends, as `predict` gives numbers, that hold `level` of the actual values.

        DataError where the training held out too few items for them; else as for `predict`.
        """
        product = self._ready()
        if not product.intervals:
            raise DataError(
                "The training held out too few items for intervals; train with more, or with a "
                "lower level."
            )
        _, count, found = self._predicted(data)
        ends = {number: product.bounds(values) for number, values in found.items()}
        low, high = ({number: pair[end] for number, pair in ends.items()} for end in (0, 1))
        return self._in_form(data, count, low), self._in_form(data, count, high)

    def _predicted(self, data: Any) -> tuple[Given, int, dict[int, Floats]]:
        """What was given, how many there are, and the numbers (n, K) of each that can be read."""
        given = self._given_contents(data)
        found = self._ready().predicted([given.contents[n] for n in given.good])
        return given, len(given.contents), dict(zip(given.good, found, strict=True))

    def _in_form(
        self, data: Any, count: int, found: dict[int, Floats]
    ) -> Floats | list[Floats | None]:
        """The numbers of each of so many sequences as `predict` gives them."""
        product = self._ready()
        if not product.of_steps:
            whole = np.full((count, len(product.targets)), np.nan)
            for number, values in found.items():
                whole[number] = values[0]
            return _squeezed(whole)
        each = [_squeezed(found[n]) if n in found else None for n in range(count)]
        found_alone: Floats | list[Floats | None] = self._alone(data, each)
        return found_alone

    def predictions(self, data: Any) -> list[dict[str, Any]]:
        """A row for each sequence, or for each step: names, numbers, the ends of their intervals.

        One that can't be read has the reason instead, as `error`.
        """
        if not self._ready().of_steps:
            return super().predictions(data)
        given = self._given_contents(data, warn=False)
        found = iter(self._ready().predicted([given.contents[n] for n in given.good]))
        rows: list[dict[str, Any]] = []
        for number, name in enumerate(given.names):
            if number in given.errors:
                rows.append({"item": name, "error": given.errors[number]})
            else:
                places = _places(given.contents[number])
                rows += [
                    {"item": name, **place, **row}
                    for place, row in zip(places, self._columns(next(found)), strict=True)
                ]
        return rows

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
        pairs = super()._paired(data, labels)
        if labels is None:
            return pairs
        shapes = [np.shape(content) for content, _ in pairs if _is_numeric(content)]
        answers = [label for _, label in pairs]
        if self._scope == "step" or (
            self._scope == "auto" and len(shapes) == len(pairs) and are_of_steps(shapes, answers)
        ):
            return pairs
        return [(content, target_text(label)) for content, label in pairs]

    def _rows(self, contents: Sequence[Any]) -> list[dict[str, Any]]:
        """The numbers, and the ends of their intervals where there are any."""
        return self._columns(np.concatenate(self._ready().predicted(contents)))

    def _columns(self, predicted: Floats) -> list[dict[str, Any]]:
        """Predictions (N, K) with their intervals, by column."""
        product = self._ready()
        columns = {"prediction": predicted}
        if product.intervals:
            columns["low"], columns["high"] = product.bounds(predicted)
        count = len(product.targets)
        marks = [""] if count == 1 else [f"_{k}" for k in range(1, count + 1)]
        names = [f"{name}{mark}" for mark in marks for name in columns]
        values = np.stack([part[:, k] for k in range(count) for part in columns.values()], 1)
        return [dict(zip(names, row, strict=True)) for row in values.tolist()]


def _is_numeric(content: Any) -> bool:
    return (
        isinstance(content, (np.ndarray, Series))
        or hasattr(content, "columns")
        or (
            isinstance(content, (list, tuple))
            and len(content) > 0
            and not isinstance(content[0], str)
        )
    )


def _places(content: Any) -> list[dict[str, Any]]:
    """The number of each step of a series, from 1 on, and its time where it has one."""
    if content.times is None:
        return [{"step": step} for step in range(1, content.steps + 1)]
    return [
        {"step": step, "time": time} for step, time in enumerate(content.times.tolist(), start=1)
    ]


def _squeezed(values: Floats) -> Floats:
    """Values (N, K) as (N,) where K is 1."""
    return values[:, 0] if values.shape[1] == 1 else values
