"""Facts of answers to every step: what was chosen for them, curves of actual and predicted ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recurra.plots import ValueCurve, plot_value_curves
from recurra.reports import Section, drawn_section
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.regress.config import RegressConfig
from recurra.tasks.regress.estimate import Estimate
from recurra.tasks.regress.value_judgement import ValueJudgement
from recurra.tasks.task import Evaluation

__all__ = ["step_notes", "step_pictures"]

_DRAWN = 4
_STEPS = 2000
"""Steps of a curve that are drawn."""


def step_notes(config: RegressConfig, data: Collection) -> list[str]:
    """Sentences about what the data decided."""
    reads = (
        "each of the whole series (bidirectional)"
        if config.bidirectional
        else "each of what came until then, as a simulation is (--bidirectional reads on)"
    )
    notes = [f"Labels change within a series, so every step has an answer: {reads}."]
    longest = max(data.train.steps)
    if config.window < longest:
        notes.append(
            f"Series of up to {longest:,} steps are trained on in windows of {config.window:,}, "
            f"the first {config.washout:,} of which don't count (window, washout)."
        )
    if any(", from step " in item.name for item in data.held_out.items):
        notes.append("The last part of each series is held out.")
    return notes


def step_pictures(
    product: Estimate, part: Part, evaluation: Evaluation | None
) -> Sequence[Section]:
    """Curves of the series with the greatest errors, beside the usual one."""
    if not isinstance(evaluation, ValueJudgement):
        return []
    worst = list(evaluation.worst)
    chosen = worst if len(worst) <= _DRAWN else [*worst[: _DRAWN - 1], worst[len(worst) // 2]]
    curves = [_curve(product, part, evaluation, number) for number in chosen]
    note = "Held-out series, those with the greatest errors first."
    if product.intervals:
        note += f" The band holds {100 * product.config.level:g} % of the actual values."
    return [drawn_section("Curves", lambda: plot_value_curves(curves), caption=note, wide=True)]


def _curve(product: Estimate, part: Part, evaluation: ValueJudgement, number: int) -> ValueCurve:
    """The first of the numbers of a series, from the first step on that has an actual one."""
    actual, predicted = evaluation.actual[number], evaluation.predicted[number]
    first = int(np.argmax(np.isfinite(actual).any(1)))
    steps = slice(first, min(len(actual), first + _STEPS))
    band = None
    if product.intervals:
        low, high = product.bounds(predicted[steps])
        band = low[:, 0], high[:, 0]
    return ValueCurve(
        part.items[number].name,
        np.arange(1, steps.stop - steps.start + 1),
        actual[steps, 0],
        predicted[steps, 0],
        band,
    )
