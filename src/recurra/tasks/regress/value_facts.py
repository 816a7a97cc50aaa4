"""Facts of a regressor for its card and report: data, model, figures, the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recurra.errors import MissingExtra
from recurra.reports import Example, Examples, Headline, Mark, Section
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.inputs.described import FILES, KINDS, described_items, described_network
from recurra.tasks.regress.estimate import Estimate
from recurra.tasks.regress.step_facts import step_pictures
from recurra.tasks.regress.targets import actual_numbers
from recurra.tasks.regress.value_judgement import ValueJudgement, shown_as
from recurra.tasks.task import Evaluation, Facts

__all__ = ["facts_of", "headline_of", "mean_rmse"]


def facts_of(product: Estimate, data: Collection, evaluation: Evaluation | None) -> Facts:
    """All facts of the card and the report."""
    kind = product.input.kind
    shown = [] if evaluation is None else list(evaluation.sections)
    return Facts(
        title=f"{KINDS[kind]} to numbers" + (" at every step" if product.of_steps else ""),
        sections=[
            *shown,
            Section("Data", described_items(data, _described(data.train))),
            Section("Model", _model(product)),
        ],
        use=[f"recurra predict {{run}} {FILES[kind]} -o answers.csv", "recurra evaluate {run}"],
        pictures=(step_pictures if product.of_steps else _pictures)(
            product, data.held_out, evaluation
        ),
    )


def headline_of(data: Collection, evaluation: Evaluation, linear: float | None) -> Headline:
    """The usual error, beside that of predicting the mean of training always, and that of a
    `linear` filter, where there is one.
    """
    plain, error = mean_rmse(data), evaluation["rmse"]
    others = [] if plain is None else [Mark("the mean of training", plain, text=f"{plain:.4g}")]
    if linear is not None:
        others.append(Mark("the best linear filter", linear, text=f"{linear:.4g}"))
    return Headline(
        "root mean squared error",
        Mark("this run", error, text=f"{error:.4g}"),
        others,
        meaning=[
            f"Predictions of {_counted(evaluation)} explain "
            f"{shown_as('r2', evaluation['r2'])} of the variance. The best weights were chosen on "
            "them, so the figures flatter the model a little."
        ],
    )


def mean_rmse(data: Collection) -> float | None:
    """The error on the held-out items of predicting the mean of training always."""
    if not len(data.held_out) or not len(data.train):
        return None
    mean = np.nanmean(np.concatenate(actual_numbers(data.train)), 0)
    errors = np.concatenate(actual_numbers(data.held_out)) - mean
    return float(np.sqrt(np.nanmean(errors**2)))


def _counted(evaluation: Evaluation) -> str:
    items = f"{evaluation['items']:,.0f} held-out item{'s' * (evaluation['items'] != 1)}"
    return f"{evaluation['steps']:,.0f} steps of {items}" if "steps" in evaluation else items


def _described(part: Part) -> str:
    values = np.concatenate(actual_numbers(part))
    return f"numbers from {np.nanmin(values):.4g} to {np.nanmax(values):.4g}"


def _model(product: Estimate) -> dict[str, object]:
    level, intervals = product.config.level, product.intervals
    widths = ", ".join(f"± {interval.quantile:.4g}" for interval in intervals)
    return {
        **described_network(product.config, product.input, product.nets[0]),
        "numbers": f"{len(product.targets):,}",
        "intervals": f"{100 * level:g} %: {widths}" if intervals else "none: too few held out",
    }


def _pictures(product: Estimate, part: Part, evaluation: Evaluation | None) -> Sequence[Section]:
    """The items with the greatest errors."""
    if not isinstance(evaluation, ValueJudgement):
        return []
    found = []
    for number in evaluation.worst:
        texts = {
            "item": part.items[number].name,
            "actual": part.items[number].text or "",
            "predicted": ", ".join(f"{value:.4g}" for value in evaluation.predicted[number][0]),
        }
        try:
            found.append(Example(product.input.media(part.contents[number]), texts))
        except MissingExtra:
            found.append(Example(None, texts))
    note = "The held-out items with the greatest errors."
    return [Section("Worst items", Examples(found, note))] if found else []
