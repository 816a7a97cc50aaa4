"""Figures of a classifier on items: of all, of each class, and what is taken for what."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.classification import classification_scores, confused_pairs
from recurra.metrics.early_classification import (
    AccuracyOverTime,
    EarlyScores,
    accuracy_over_time,
)
from recurra.metrics.multilabel import label_scores
from recurra.metrics.reliability import Reliability, reliability
from recurra.reports import Section, TextTable, class_table, confusion_table, percent
from recurra.tasks.classify.decider import Decider
from recurra.tasks.inputs.collection import Part, groups_of
from recurra.tasks.inputs.weighted_items import weights_of
from recurra.tasks.task import Evaluation

__all__ = ["ClassJudgement", "judged"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_CONFUSIONS, _WORST = 15, 10


@dataclass(frozen=True, eq=False)
class ClassJudgement(Evaluation):
    """An evaluation with what the report draws: the confusion matrix (K, K) and its classes,
    reliability of probabilities, accuracy while sequences are read, and the items that surprised
    the model most.
    """

    names: Sequence[str] = field(default=(), repr=False)
    confusion: Floats | None = field(default=None, repr=False)
    reliability: Reliability | None = field(default=None, repr=False)
    early: EarlyScores | None = field(default=None, repr=False)
    curve: AccuracyOverTime | None = field(default=None, repr=False)
    worst: Sequence[tuple[int, str, float]] = field(default=(), repr=False)


def judged(product: Decider, part: Part, groups: str | None = None) -> ClassJudgement:
    """Predict every item and compare with its label; items of unknown classes are wrong.

    `groups` names a column: whole groups are drawn for the interval.
    """
    known = product.known(part)
    chances = product.probabilities(part.contents)
    predicted = product.classes_of(chances)
    right = np.zeros(len(part), bool)
    right[known] = [set(product.labels.split(part.texts[n])) == set(predicted[n]) for n in known]
    own = weights_of(product.config, part.items)
    weights = np.ones(len(part)) if own is None else own
    ends = bootstrap_interval(
        right * weights, weights, np.random.default_rng(0), groups=groups_of(part.items, groups)
    )
    numbers: dict[str, float] = {"accuracy": float(np.average(right, weights=weights))}
    if ends is not None:
        numbers |= {"accuracy_low": ends[0], "accuracy_high": ends[1]}
    details = _several if product.several else _single
    found = details(product, part, known, chances, weights[known])
    early, curve = _early(product, part, known)
    numbers |= {**found.numbers, **_early_numbers(early), "items": len(part)}
    return dataclasses.replace(
        found,
        numbers=numbers,
        sections=[Section("Figures", _table(numbers)), *found.sections],
        remarks=_remarks(product, part, known),
        early=early,
        curve=curve,
    )


def _early(
    product: Decider, part: Part, known: Sequence[int]
) -> tuple[EarlyScores | None, AccuracyOverTime | None]:
    """What the stopping rule comes to, and accuracies on the way; None where there is no rule."""
    if product.rule is None or not known:
        return None, None
    actual = product.labels.encode([part.texts[n] for n in known])
    tables = list(product.along([part.contents[n] for n in known]))
    return product.rule.scores(tables, actual), accuracy_over_time(tables, actual)


def _early_numbers(early: EarlyScores | None) -> dict[str, float]:
    if early is None:
        return {}
    return {"early_accuracy": early.accuracy, "early_read": early.earliness}


def _single(
    product: Decider, part: Part, known: Sequence[int], chances: Floats, weights: Floats
) -> ClassJudgement:
    """Figures of items that each have one class."""
    if not known:
        return ClassJudgement({})
    actual = product.labels.encode([part.texts[n] for n in known])
    rows = chances[list(known)]
    top = (5,) if len(product.labels) > 10 else ()
    scores = classification_scores(rows, actual, weights=weights, top=top)
    curve = reliability(rows.max(1), rows.argmax(1) == actual)
    numbers = {
        "balanced_accuracy": scores.balanced_accuracy,
        "macro_f1": scores.macro_f1,
        "log_loss": scores.log_loss,
        "brier": scores.brier,
        **{f"top_{k}": share for k, share in scores.top.items()},
        "ece": curve.ece,
    }
    names = product.labels.names
    right = rows[np.arange(len(known)), actual]
    surprising = [n for n in np.argsort(right, kind="stable") if rows[n].argmax() != actual[n]]
    worst = [
        (known[n], names[int(rows[n].argmax())], float(rows[n].max())) for n in surprising[:_WORST]
    ]
    pairs = [
        (names[pair.actual], names[pair.predicted], pair.items, pair.share)
        for pair in confused_pairs(scores.confusion, _CONFUSIONS)
    ]
    return ClassJudgement(
        numbers,
        [class_table(names, scores.classes), confusion_table(pairs)],
        names=names,
        confusion=scores.confusion,
        reliability=curve,
        worst=worst,
    )


def _several(
    product: Decider, part: Part, known: Sequence[int], chances: Floats, weights: Floats
) -> ClassJudgement:
    """Figures of items that may have several classes."""
    if not known:
        return ClassJudgement({})
    actual = product.labels.encode([part.texts[n] for n in known])
    rows = chances[list(known)]
    scores = label_scores(rows, actual, weights=weights)
    curve = reliability(rows.ravel(), actual.ravel() > 0.5)
    numbers = {
        "micro_f1": scores.micro_f1,
        "macro_f1": scores.macro_f1,
        "hamming_loss": scores.hamming,
        "ece": curve.ece,
    }
    surprise = -np.log(np.where(actual > 0.5, rows, 1 - rows).clip(1e-12)).sum(1)
    order = np.argsort(-surprise, kind="stable")[:_WORST]
    chosen = product.chosen(rows)
    worst = [(known[n], chosen[n], math.exp(-float(surprise[n]))) for n in order]
    names = product.labels.names
    table = class_table(names, scores.labels, title="Labels", kind="label")
    return ClassJudgement(numbers, [table], names=names, reliability=curve, worst=worst)


_CALLED = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy (mean recall of the classes)",
    "macro_f1": "F1, mean over the classes",
    "micro_f1": "F1 of all labels together",
    "hamming_loss": "labels that are wrong",
    "log_loss": "log loss (nats)",
    "brier": "Brier score",
    "top_5": "among the five likeliest classes",
    "ece": "expected calibration error",
    "early_accuracy": "accuracy where the stopping rule stops",
    "early_read": "share of a sequence that it reads",
}
_NUMBERS = {"macro_f1", "micro_f1", "log_loss", "brier"}


def _table(numbers: Mapping[str, float]) -> TextTable:
    rows = []
    for name, called in _CALLED.items():
        if name not in numbers:
            continue
        value = numbers[name]
        shown = f"{value:.3f}" if name in _NUMBERS else percent(value)
        if name == "accuracy" and "accuracy_low" in numbers:
            low, high = numbers["accuracy_low"], numbers["accuracy_high"]
            shown += f" ({100 * low:.1f} to {percent(high)})"
        rows.append([called, shown])
    return TextTable(("figure", "value"), rows)


def _remarks(product: Decider, part: Part, known: Sequence[int]) -> list[str]:
    remarks = [f"Left out: {part.bad}"] if len(part.bad) else []
    unknown = product.labels.unknown_in(part.texts)
    if unknown:
        shown = ", ".join(repr(each) for each in list(unknown)[:10])
        remarks.append(
            f"{len(part) - len(known):,} of the items have a label that training lacks ({shown}): "
            "each is an error, and the figures of the classes are of the others."
        )
    return remarks
