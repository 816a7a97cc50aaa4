"""Figures of a tagger on items: of all tags, of each, of segments, and of unknown words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from recurra.data.texts.tag_schemes import segments_of
from recurra.data.texts.token_vocabulary import UNKNOWN
from recurra.metrics.reliability import Reliability, reliability
from recurra.metrics.span_scores import SpanScores, entity_scores, event_scores, runs_of
from recurra.metrics.step_scores import StepScores, step_scores
from recurra.reports import Section
from recurra.tasks.inputs.collection import Part, groups_of
from recurra.tasks.inputs.text_input import TextContent
from recurra.tasks.tag.sequence_tagger import LayerAnswer, SequenceTagger
from recurra.tasks.tag.tag_figures import figure_sections
from recurra.tasks.tag.tag_layers import MISSING, UNSEEN, Ids, TagLayer, encoded
from recurra.tasks.task import Evaluation

__all__ = ["LayerJudgement", "TagJudgement", "judged"]

Bools = np.ndarray[Any, np.dtype[np.bool_]]

_WORST = 10
_OTHER = "(not in training)"


@dataclass(frozen=True, eq=False)
class LayerJudgement:
    """What the report draws of a layer: figures of its steps, whose labels have these `names`, the
    reliability of its probabilities, and tables.
    """

    layer: TagLayer
    names: Sequence[str]
    numbers: Mapping[str, float]
    steps: StepScores
    reliability: Reliability | None
    sections: Sequence[Section]


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
    names = groups_of(part.items, groups)
    found = [
        _judged_layer(_Answered.of(layer, number, part, answers), names)
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
        "tags": sum(int(each.steps.steps.sum()) for each in found) // len(found),
    }
    return TagJudgement(
        numbers,
        [section for each in found for section in _titled(each, one)],
        _remarks(product, part),
        found,
        _worst(answers, [encoded(product.layers, content) for content in part.contents]),
    )


class _Answered(NamedTuple):
    """A layer's answers and actual tags, by item, of steps that have one; `unknown` are words that
    training lacks; `frames`: steps are of series.
    """

    layer: TagLayer
    tags: list[list[str]]
    actual: list[Ids]
    answers: list[LayerAnswer]
    unknown: list[Bools]
    frames: bool

    @classmethod
    def of(
        cls, layer: TagLayer, number: int, part: Part, answers: Sequence[Sequence[LayerAnswer]]
    ) -> _Answered:
        found = cls(layer, [], [], [], [], not isinstance(part.contents[0], TextContent))
        for content, own in zip(part.contents, answers, strict=True):
            tags = layer.of_content(content)
            ids = layer.encode(tags)
            there = ids != MISSING
            found.tags.append([tag for tag, counts in zip(tags, there, strict=True) if counts])
            found.actual.append(ids[there])
            ids, chances = own[number]
            found.answers.append(LayerAnswer(ids[there], chances[there]))
            found.unknown.append(_unknown(content)[there])
        return found


def _judged_layer(given: _Answered, groups: Sequence[str] | None) -> LayerJudgement:
    layer, names = given.layer, list(given.layer.tags)
    if any((ids == UNSEEN).any() for ids in given.actual):
        names.append(_OTHER)
    actual = [np.where(ids == UNSEEN, len(layer), ids) for ids in given.actual]
    predicted = [answer.ids for answer in given.answers]
    steps = step_scores(actual, predicted, len(names), background=layer.background)
    spans = _spans(given)
    numbers = {"accuracy": steps.accuracy, **_span_numbers(given, steps, spans)}
    main = "accuracy" if layer.scheme is None else "f1"
    numbers["score"] = numbers[main]
    scores = steps if layer.scheme is None else spans
    ends = None if scores is None else scores.interval(np.random.default_rng(0), groups=groups)
    if ends is not None:
        numbers |= {f"{main}_low": ends[0], f"{main}_high": ends[1]}
    right = np.concatenate([a == b for a, b in zip(given.actual, predicted, strict=True)])
    numbers |= _unknown_numbers(np.concatenate(given.unknown), right)
    numbers |= {"sequence_accuracy": steps.exact, "macro_f1": steps.macro_f1}
    curve = None
    if len(right):
        sure = [a.probabilities[np.arange(len(a.ids)), a.ids] for a in given.answers]
        curve = reliability(np.concatenate(sure).clip(0, 1), right)
        numbers["ece"] = curve.ece
    sections = figure_sections(numbers, names, steps, spans, frames=given.frames)
    return LayerJudgement(layer, names, numbers, steps, curve, sections)


def _spans(given: _Answered) -> SpanScores | None:
    """Figures of the segments of a scheme, or of the events of a series."""
    layer = given.layer
    predicted = [layer.decode(answer.ids) for answer in given.answers]
    if layer.scheme is not None:
        return entity_scores(
            [segments_of(tags) for tags in given.tags], [segments_of(tags) for tags in predicted]
        )
    if not given.frames:
        return None
    nothing = None if layer.background is None else layer.tags[layer.background]
    return event_scores(
        [runs_of(tags, nothing) for tags in given.tags],
        [runs_of(tags, nothing) for tags in predicted],
    )


def _span_numbers(
    given: _Answered, steps: StepScores, spans: SpanScores | None
) -> dict[str, float]:
    if spans is None:
        return {}
    if given.layer.scheme is not None:
        own = spans.overall
        return {"f1": own.f1, "precision": own.precision, "recall": own.recall}
    found = {"event_f1": spans.overall.f1}
    if given.layer.background is not None:
        found["frame_f1"] = steps.foreground.f1
    return found


def _unknown(content: Any) -> Bools:
    """Which steps (T,) are words that training lacks."""
    if isinstance(content, TextContent):
        found: Bools = content.ids == UNKNOWN
        return found
    return np.zeros(len(content), bool)


def _unknown_numbers(unknown: Bools, right: Bools) -> dict[str, float]:
    if not unknown.any():
        return {}
    return {
        "unknown_accuracy": float(right[unknown].mean()),
        "unknown_share": float(unknown.mean()),
    }


def _titled(judgement: LayerJudgement, one: bool) -> list[Section]:
    """The sections of a layer, which say whose they are where there are several."""
    if one:
        return list(judgement.sections)
    return [
        dataclasses.replace(section, title=f"{section.title}: {judgement.layer.name}")
        for section in judgement.sections
    ]


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
