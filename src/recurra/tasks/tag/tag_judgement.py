"""Figures of a tagger on items: of all tags, of each, of segments, and of unknown words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from recurra.data.texts.token_vocabulary import UNKNOWN
from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.class_score import class_scores, mean_of_defined
from recurra.metrics.classification import confused_pairs, confusion_matrix
from recurra.metrics.reliability import Reliability, reliability
from recurra.reports import Section, TextTable, class_table, confusion_table
from recurra.tasks.inputs.collection import Part, groups_of
from recurra.tasks.inputs.text_input import TextContent
from recurra.tasks.tag.sequence_tagger import LayerAnswer, SequenceTagger
from recurra.tasks.tag.tag_layers import Floats, Ids, TagLayer, encoded, tags_of
from recurra.tasks.tag.tag_scores import step_errors
from recurra.tasks.task import Evaluation

__all__ = ["LayerJudgement", "TagJudgement", "judged", "percent"]

_CONFUSIONS, _WORST = 15, 10


@dataclass(frozen=True, eq=False)
class LayerJudgement:
    """What the report draws of a layer: the confusion matrix (K, K), and reliability."""

    layer: TagLayer
    numbers: Mapping[str, float]
    sections: Sequence[Section]
    confusion: Floats
    reliability: Reliability | None


@dataclass(frozen=True, eq=False)
class TagJudgement(Evaluation):
    """An evaluation with what the report draws: each layer's, and the hardest items.

    worst: numbers of the items, each with its answers of all layers.
    """

    layers: Sequence[LayerJudgement] = field(default=(), repr=False)
    worst: Sequence[tuple[int, Sequence[LayerAnswer]]] = field(default=(), repr=False)


def judged(product: SequenceTagger, part: Part, groups: str | None = None) -> TagJudgement:
    """Predict every item and compare with its tags; tags that training lacks are errors.

    `groups` names a column: whole groups are drawn for the intervals.
    """
    answers = product.answers(part.contents)
    actual = [encoded(product.layers, content) for content in part.contents]
    names = groups_of(part.items, groups)
    unknown = [_unknown(content) for content in part.contents]
    found = [
        _layer(
            layer,
            [each[number] for each in answers],
            [tags_of(content)[layer.name] for content in part.contents],
            unknown,
            names,
        )
        for number, layer in enumerate(product.layers)
    ]
    one = len(found) == 1
    numbers = {
        "score": float(np.mean([each.numbers["score"] for each in found])),
        **{
            name if one else f"{each.layer.name}_{name}": value
            for each in found
            for name, value in each.numbers.items()
            if name != "score"
        },
        "items": len(part),
        "tags": sum(map(len, actual)),
    }
    return TagJudgement(
        numbers,
        [section for each in found for section in _titled(each, one)],
        _remarks(product, part),
        found,
        _worst(answers, actual),
    )


def _layer(
    layer: TagLayer,
    answers: Sequence[LayerAnswer],
    actual: Sequence[Sequence[str]],
    unknown: Sequence[np.ndarray[Any, Any]],
    groups: Sequence[str] | None,
) -> LayerJudgement:
    errors = np.array(
        [step_errors(layer, own.ids, each) for own, each in zip(answers, actual, strict=True)],
        float,
    )
    numbers = {"accuracy": 1 - _rate(errors[:, 0], errors[:, 1])}
    score = "accuracy" if layer.scheme is None else "f1"
    numbers |= {"score": 1 - _rate(errors[:, 2], errors[:, 3])}
    numbers[score] = numbers["score"]
    ends = bootstrap_interval(errors[:, 2], errors[:, 3], np.random.default_rng(0), groups=groups)
    if ends is not None:
        numbers |= {f"{score}_low": 1 - ends[1], f"{score}_high": 1 - ends[0]}
    flat = np.concatenate([layer.encode(each) for each in actual])
    ids = np.concatenate([each.ids for each in answers])
    chances = np.concatenate([each.probabilities for each in answers])
    numbers |= _unknown_numbers(np.concatenate(unknown), ids == flat)
    numbers["sequence_accuracy"] = float((errors[:, 0] == 0).mean())
    known = flat >= 0
    confusion = confusion_matrix(flat[known], ids[known], len(layer))
    each = class_scores(confusion.diagonal(), confusion.sum(0), confusion.sum(1))
    numbers["macro_f1"] = mean_of_defined([one.f1 for one in each])
    curve = None
    if known.any():
        sure = chances[np.arange(len(ids)), ids]
        curve = reliability(sure[known], (ids == flat)[known])
        numbers["ece"] = curve.ece
    pairs = [
        (layer.tags[pair.actual], layer.tags[pair.predicted], pair.items, pair.share)
        for pair in confused_pairs(confusion, _CONFUSIONS)
    ]
    sections = [
        Section("Figures", _table(numbers)),
        class_table(layer.tags, each, title="Tags", kind="tag"),
        confusion_table(pairs, title="Most confused tags"),
    ]
    return LayerJudgement(layer, numbers, sections, confusion, curve)


def _rate(errors: Floats, units: Floats) -> float:
    return float(errors.sum() / max(units.sum(), 1))


def _unknown(content: Any) -> np.ndarray[Any, Any]:
    """Which steps (T,) are words that training lacks."""
    if isinstance(content, TextContent):
        found: np.ndarray[Any, Any] = content.ids == UNKNOWN
        return found
    return np.zeros(len(content), bool)


def _unknown_numbers(
    unknown: np.ndarray[Any, Any], right: np.ndarray[Any, Any]
) -> dict[str, float]:
    if not unknown.any():
        return {}
    return {
        "unknown_accuracy": float(right[unknown].mean()),
        "unknown_share": float(unknown.mean()),
    }


_CALLED = {
    "accuracy": "right tags",
    "f1": "F1 of segments",
    "unknown_accuracy": "right tags of words that training lacks",
    "unknown_share": "share of such words",
    "sequence_accuracy": "sequences without an error",
    "macro_f1": "F1 of tags, mean over them",
    "ece": "expected calibration error",
}


def _table(numbers: Mapping[str, float]) -> TextTable:
    rows = []
    for name, called in _CALLED.items():
        if name not in numbers:
            continue
        shown = percent(numbers[name])
        if f"{name}_low" in numbers:
            low, high = numbers[f"{name}_low"], numbers[f"{name}_high"]
            shown += f" ({100 * low:.1f} to {percent(high)})"
        rows.append([called, shown])
    return TextTable(("figure", "value"), rows)


def _titled(judgement: LayerJudgement, one: bool) -> list[Section]:
    """The sections of a layer, which say whose they are where there are several."""
    if one:
        return list(judgement.sections)
    return [
        dataclasses.replace(section, title=f"{section.title}: {judgement.layer.name}")
        for section in judgement.sections
    ]


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.9876)
    '98.8 %'
    """
    return "undefined" if np.isnan(share) else f"{100 * share:.1f} %"


def _worst(
    answers: Sequence[Sequence[LayerAnswer]], actual: Sequence[Ids]
) -> list[tuple[int, Sequence[LayerAnswer]]]:
    """The items whose actual tags surprise most, of those with an error."""
    surprise = []
    for own, each in zip(answers, actual, strict=True):
        nats = 0.0
        for number, answer in enumerate(own):
            wrong = np.flatnonzero((answer.ids != each[:, number]) & (each[:, number] >= 0))
            chances = answer.probabilities[wrong, each[wrong, number]]
            nats -= float(np.log(chances.clip(1e-12)).sum())
        surprise.append(nats)
    order = sorted(range(len(actual)), key=lambda number: -surprise[number])
    return [(number, answers[number]) for number in order[:_WORST] if surprise[number] > 0]


def _remarks(product: SequenceTagger, part: Part) -> list[str]:
    remarks = [f"Left out: {part.bad}"] if len(part.bad) else []
    for layer in product.layers:
        unseen = layer.unseen_in(part.contents)
        if unseen:
            shown = ", ".join(map(repr, list(unseen)[:10]))
            remarks.append(
                f"{sum(unseen.values()):,} tags are none that training had ({layer.name}: {shown}):"
                " each is an error, and the figures of single tags are of the others."
            )
    return remarks
