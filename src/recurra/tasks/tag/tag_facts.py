"""Facts of a tagger for its card and report: data, model, figures, the worst mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.plots import plot_confusion, plot_reliability
from recurra.reports import Example, Examples, Headline, Mark, Section, drawn_section, percent
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.inputs.described import KINDS, described_items, described_network
from recurra.tasks.inputs.text_input import TextContent
from recurra.tasks.tag.sequence_tagger import LayerAnswer, SequenceTagger
from recurra.tasks.tag.tag_judgement import LayerJudgement, TagJudgement
from recurra.tasks.tag.tag_layers import TagLayer, tags_of
from recurra.tasks.tag.tag_scores import step_errors
from recurra.tasks.task import Evaluation, Facts

__all__ = ["baseline", "facts_of", "headline_of"]

_WIDE = 10
"""Tags above which the confusion matrix is drawn wide."""
_SHOWN = 30
"""Wrong words, or stretches of steps, of an item that are listed."""


def facts_of(product: SequenceTagger, data: Collection, evaluation: Evaluation | None) -> Facts:
    """All facts of the card and the report."""
    kind = product.input.kind
    shown = [] if evaluation is None else list(evaluation.sections)
    files = "new.txt -o tagged.conll" if kind == "text" else "new.csv -o tags.csv"
    return Facts(
        title=f"{KINDS[kind]} to tags",
        sections=[
            *shown,
            Section("Data", described_items(data, _described(data.train))),
            Section("Model", _model(product)),
        ],
        use=[f"recurra predict {{run}} {files}", "recurra evaluate {run}"],
        pictures=_pictures(product, data.held_out, evaluation),
        pipeline="token-classification" if kind == "text" else "",
    )


def headline_of(layers: Sequence[TagLayer], data: Collection, evaluation: Evaluation) -> Headline:
    """The share of right tags or the F1 of segments, beside the most frequent tag of each word."""
    plain, own = baseline(layers, data), evaluation["score"]
    others = [] if plain is None else [Mark(_baseline_name(data), plain, text=percent(plain))]
    return Headline(
        _measure(layers),
        Mark("this run", own, text=percent(own)),
        others,
        True,
        meaning=[
            f"Measured on {evaluation['items']:,.0f} held-out items with "
            f"{evaluation['tags']:,.0f} tags. The best weights were chosen on them, so the "
            "figures flatter the model a little."
        ],
    )


def _measure(layers: Sequence[TagLayer]) -> str:
    if all(layer.scheme is None for layer in layers):
        return "of the tags right"
    if all(layer.scheme is not None for layer in layers):
        return "F1 of segments"
    return "mean of right tags and of F1 over the layers"


def _baseline_name(data: Collection) -> str:
    texts = data.how.kind == "text"
    return "the most frequent tag of each word" if texts else "the most frequent tag"


def baseline(layers: Sequence[TagLayer], data: Collection) -> float | None:
    """The score on the held-out items of each word's most frequent tag in training."""
    if not len(data.held_out) or not len(data.train):
        return None
    scores = []
    for layer in layers:
        usual, most = _usual(layer, data.train)
        errors = units = 0
        for content in data.held_out.contents:
            found = np.array([usual.get(word, most) for word in _words(content)])
            own = step_errors(layer, found, layer.of_content(content))
            errors, units = errors + own.errors, units + own.units
        scores.append(1 - errors / max(units, 1))
    return float(np.mean(scores))


def _usual(layer: TagLayer, part: Part) -> tuple[dict[Any, int], int]:
    """The number of the most frequent tag of each word, and of all."""
    counts: dict[Any, Counter[int]] = {}
    for content in part.contents:
        for word, tag in zip(
            _words(content), layer.encode(layer.of_content(content)).tolist(), strict=True
        ):
            if tag >= 0:
                counts.setdefault(word, Counter())[tag] += 1
    everywhere = sum(counts.values(), Counter[int]())
    usual = {word: own.most_common(1)[0][0] for word, own in counts.items()}
    return usual, everywhere.most_common(1)[0][0]


def _words(content: Any) -> Sequence[Any]:
    """What a step's most frequent tag is looked up by: its word."""
    if isinstance(content, TextContent):
        return content.words()
    return [None] * len(content)


def _described(part: Part) -> str:
    names = tags_of(part.contents[0])
    tags = {name: {t for c in part.contents for t in tags_of(c)[name]} for name in names}
    return "; ".join(f"{len(each):,} tags ({name})" for name, each in tags.items())


def _model(product: SequenceTagger) -> dict[str, object]:
    net = product.nets[0]
    facts = described_network(product.config, product.input, net)
    for layer, learnt in zip(product.layers, net.learnt, strict=True):
        names = ", ".join(layer.tags[:40]) + (" and others" if len(layer) > 40 else "")
        scheme = "" if layer.scheme is None else f", {layer.scheme}"
        chain = ", conditional random field" if learnt else ""
        facts[f"tags ({layer.name})"] = f"{len(layer):,}{scheme}{chain}: {names}"
    return facts


def _pictures(
    product: SequenceTagger, part: Part, evaluation: Evaluation | None
) -> Sequence[Section]:
    """Confusion and reliability of each layer, and the hardest items."""
    if not isinstance(evaluation, TagJudgement):
        return []
    one = len(evaluation.layers) == 1
    found = [s for each in evaluation.layers for s in _drawn(each, "" if one else each.layer.name)]
    if evaluation.worst:
        note = "Held-out items with errors that surprised the model most."
        if product.input.kind == "text":
            note += " A word with a wrong tag is marked, darker the surer the model was."
        examples = [_example(product, part, *each) for each in evaluation.worst]
        found.append(Section("Hardest items", Examples(examples, note)))
    return found


def _drawn(judgement: LayerJudgement, name: str) -> list[Section]:
    names, confusion = judgement.names, judgement.steps.confusion
    suffix = f": {name}" if name else ""
    found = [
        drawn_section(
            f"Confusion matrix{suffix}",
            lambda: plot_confusion(confusion, names),
            caption="Steps by their actual tag (rows) and the predicted one (columns).",
            wide=len(names) > _WIDE,
        )
    ]
    if (curve := judgement.reliability) is not None:
        points = {"steps": [(b.confidence, b.accuracy, b.count) for b in curve.bins]}
        caption = "Tags by the probability of what was predicted: on the line, so many were right."
        found.append(
            drawn_section(f"Confidence{suffix}", lambda: plot_reliability(points), caption=caption)
        )
    return found


def _example(
    product: SequenceTagger, part: Part, number: int, answers: Sequence[LayerAnswer]
) -> Example:
    content = part.contents[number]
    texts, weights = {"item": part.items[number].name}, np.zeros(len(content))
    for layer, answer in zip(product.layers, answers, strict=True):
        own, predicted = layer.settled(layer.of_content(content)), layer.decode(answer.ids)
        wrong = [n for n in range(len(own)) if own[n] and own[n] != predicted[n]]
        sure = answer.probabilities[wrong, answer.ids[wrong]]
        weights[wrong] = np.maximum(weights[wrong], sure)
        called = "wrong" if len(product.layers) == 1 else f"wrong ({layer.name})"
        texts[called] = _said(content, wrong, own, predicted)
    if isinstance(content, TextContent):
        return Example(product.input.media(content, weights.tolist()), texts)  # type: ignore[call-arg]
    return Example(product.input.media(content), texts)


def _said(content: Any, wrong: Sequence[int], own: Sequence[str], predicted: Sequence[str]) -> str:
    """The wrong words, or stretches of steps from 1 on, with their tags."""
    words, found = _words(content), list[tuple[int, int]]()
    for step in wrong:
        first, last = found[-1] if found else (-1, -2)
        same = (own[step], predicted[step]) == (own[last], predicted[last])
        if words[step] is None and step == last + 1 and same:
            found[-1] = (first, step)
        else:
            found.append((step, step))
    parts = [
        f"{words[first] or _steps(first, last)}: {predicted[first]}, not {own[first]}"
        for first, last in found[:_SHOWN]
    ]
    more = [f"and {len(found) - _SHOWN:,} more"] if len(found) > _SHOWN else []
    return "; ".join([*parts, *more]) or "nothing"


def _steps(first: int, last: int) -> str:
    return f"step {first + 1:,}" if first == last else f"steps {first + 1:,} to {last + 1:,}"
