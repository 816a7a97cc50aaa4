"""Facts of a classifier for its card and report: data, model, figures, the worst mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from recurra.errors import MissingExtra
from recurra.plots import plot_accuracy_over_time, plot_confusion, plot_reliability
from recurra.reports import (
    Example,
    Examples,
    Headline,
    Mark,
    Media,
    Section,
    drawn_section,
    percent,
)
from recurra.tasks.classify.class_judgement import ClassJudgement
from recurra.tasks.classify.decider import Decider
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.inputs.described import FILES, KINDS, described_items, described_network
from recurra.tasks.inputs.text_input import TextContent, TextInput
from recurra.tasks.task import Evaluation, Facts

__all__ = ["facts_of", "headline_of", "majority"]

_WIDE = 10
"""Classes above which the confusion matrix is drawn wide."""


def facts_of(product: Decider, data: Collection, evaluation: Evaluation | None) -> Facts:
    """All facts of the card and the report."""
    kind = product.input.kind
    shown = [] if evaluation is None else list(evaluation.sections)
    return Facts(
        title=f"{KINDS[kind]} to classes",
        sections=[
            *shown,
            Section("Data", described_items(data, _labels(data.train))),
            Section("Model", _model(product)),
        ],
        use=[f"recurra predict {{run}} {FILES[kind]} -o answers.csv", "recurra evaluate {run}"],
        pictures=_pictures(product, data.held_out, evaluation),
        pipeline=_PIPELINES.get(kind, ""),
    )


_PIPELINES = {
    "text": "text-classification",
    "sound": "audio-classification",
    "image": "image-classification",
}


def headline_of(data: Collection, evaluation: Evaluation) -> Headline:
    """The share of right items, beside that of the most frequent class."""
    most, right = majority(data), evaluation["accuracy"]
    others = [] if most is None else [Mark("the most frequent class", most, text=percent(most))]
    return Headline(
        "of the items right",
        Mark("this run", right, text=percent(right)),
        others,
        True,
        meaning=[
            f"Of {evaluation['items']:,.0f} held-out items {percent(right)} are right. The best "
            "weights were chosen on them, so the figures flatter the model a little."
        ],
    )


def majority(data: Collection) -> float | None:
    """The share of held-out items that have the most frequent label of training."""
    if not len(data.held_out) or not len(data.train):
        return None
    ((label, _),) = Counter(data.train.texts).most_common(1)
    return data.held_out.texts.count(label) / len(data.held_out)


def _labels(part: Part) -> str:
    counts = Counter(part.texts)
    rare, often = min(counts.values()), max(counts.values())
    shown = f"{often:,}" if rare == often else f"{rare:,} to {often:,}"
    return f"{shown} of each of {len(counts):,} labels"


def _model(product: Decider) -> dict[str, object]:
    names = ", ".join(product.labels.names[:40])
    more = "" if len(product.labels) <= 40 else " and others"
    return {
        **described_network(product.config, product.input, product.nets[0]),
        "classes": f"{len(product.labels):,}: {names}{more}",
        "temperature": f"{product.temperature.value:.2f}",
    }


def _pictures(product: Decider, part: Part, evaluation: Evaluation | None) -> Sequence[Section]:
    """The confusion matrix, the reliability of probabilities, and the hardest items."""
    if not isinstance(evaluation, ClassJudgement):
        return []
    sections = []
    if (confusion := evaluation.confusion) is not None:
        caption = "Items by their actual class (rows) and the predicted one (columns)."
        sections.append(
            drawn_section(
                "Confusion matrix",
                lambda: plot_confusion(confusion, evaluation.names),
                caption=caption,
                wide=len(evaluation.names) > _WIDE,
            )
        )
    early, curve = evaluation.early, evaluation.curve
    if early is not None and curve is not None:
        caption = (
            "The share of items that are right when so much of each is read, and where the "
            "stopping rule stops on average."
        )
        stops = {"held out": (early.earliness, early.accuracy)}
        sections.append(
            drawn_section(
                "Accuracy while a sequence is read",
                lambda: plot_accuracy_over_time({"held out": curve}, stops),
                caption=caption,
            )
        )
    if evaluation.worst:
        note = "Held-out items that are wrong, those of which the model was surest first."
        if product.input.kind == "text" and product.config.pooling == "attention":
            note += " The darker a word's background, the more it counted."
        examples = _examples(product, part, evaluation)
        sections.append(Section("Hardest items", Examples(examples, note)))
    if (found := evaluation.reliability) is not None:
        points = {"items": [(b.confidence, b.accuracy, b.count) for b in found.bins]}
        caption = "Items by the probability of what was predicted: on the line, so many were right."
        sections.append(
            drawn_section("Confidence", lambda: plot_reliability(points), caption=caption)
        )
    return sections


def _examples(product: Decider, part: Part, evaluation: ClassJudgement) -> list[Example]:
    found = []
    for number, predicted, chance in evaluation.worst:
        texts = {
            "item": part.items[number].name,
            "actual": part.items[number].text or "",
            "predicted": f"{predicted or '(none)'} ({percent(chance)})",
        }
        try:
            found.append(Example(_media(product, part.contents[number]), texts))
        except MissingExtra:
            found.append(Example(None, texts))
    return found


def _media(product: Decider, content: object) -> Media:
    """The content; a text with what the network attended to behind its words."""
    how = product.input
    if isinstance(how, TextInput) and isinstance(content, TextContent):
        return how.media(content, product.attention(content))
    return how.media(content)
