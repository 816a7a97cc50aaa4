"""Facts of a transcriber for its card and report: data, model, figures, the worst mistakes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from recurra.errors import MissingExtra
from recurra.metrics.transcription import error_rates
from recurra.plots import plot_reliability
from recurra.reports import Example, Examples, Headline, Mark, Section, drawn_section
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.task import Evaluation, Facts
from recurra.tasks.transcribe.judgement import TranscriptJudgement
from recurra.tasks.transcribe.recogniser import Recogniser

__all__ = ["facts_of", "headline_of"]

_TITLES = {"sound": "Sound to text", "ink": "Pen strokes to text", "image": "Lines to text"}
_FILES = {"sound": "talk.wav", "ink": "note.jsonl", "image": "line.png"}


def facts_of(product: Recogniser, data: Collection, evaluation: Evaluation | None) -> Facts:
    """All facts of the card and the report."""
    kind = product.input.kind
    shown = [] if evaluation is None else list(evaluation.sections)
    return Facts(
        title=_TITLES[kind],
        sections=[*shown, Section("Data", _data(data)), Section("Model", _model(product))],
        use=[f"recurra transcribe {{run}} {_FILES[kind]}", "recurra evaluate {run} manifest.csv"],
        pictures=_pictures(product, data.held_out, evaluation),
        pipeline="automatic-speech-recognition" if kind == "sound" else "image-to-text",
    )


def headline_of(data: Collection, evaluation: Evaluation) -> Headline:
    """The rate of wrong characters, beside that of writing one text always."""
    constant, wrong = _constant_rate(data), evaluation["wer"]
    others = [Mark("an empty text", 1.0, text="100 %")]
    if constant is not None:
        others.append(Mark("the most frequent text", constant, text=_percent(constant)))
    return Headline(
        "of the characters wrong",
        Mark("this run", evaluation["cer"], text=_percent(evaluation["cer"])),
        others,
        meaning=[
            f"Of the words {_percent(wrong)} are wrong, and {_percent(evaluation['exact'])} of the "
            f"{evaluation['items']:,.0f} held-out items have no error. The best weights were "
            "chosen on them, so the figures flatter the model a little."
        ],
    )


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _constant_rate(data: Collection) -> float | None:
    """The rate of wrong characters of writing the most frequent training text everywhere."""
    if not len(data.held_out) or not len(data.train):
        return None
    ((text, _),) = Counter(data.train.texts).most_common(1)
    return error_rates(data.held_out.texts, [text] * len(data.held_out)).cer


def _data(data: Collection) -> dict[str, object]:
    facts: dict[str, object] = {
        "items to train on": _described(data.train),
        "items held out": _described(data.held_out) if len(data.held_out) else "none",
    }
    left_out = [str(part.bad) for part in (data.train, data.held_out) if len(part.bad)]
    if left_out:
        facts["left out"] = " ".join(left_out)
    return facts


def _described(part: Part) -> str:
    texts = part.texts
    characters = sum(map(len, texts))
    return f"{len(part):,}, with {characters:,} characters in {len(set(texts)):,} different texts"


def _model(product: Recogniser) -> dict[str, object]:
    config, how = product.config, product.input
    net = product.nets[0]
    directions = (
        "both directions" if config.bidirectional else "one direction, which can be streamed"
    )
    return {
        "input": f"{how.kind}, {how.size} features a step, {product.subsampling} of which make one",
        "cell": f"{config.cell}, {config.layers} x {config.hidden} units, {directions}",
        "output": "CTC" if config.model == "ctc" else "transducer (RNN-T)",
        "characters": f"{len(product.alphabet) - 1}: {''.join(product.alphabet.characters)}",
        "parameters": f"{net.parameter_count():,}",
        "decoding": _decoding(product),
    }


def _decoding(product: Recogniser) -> str:
    weights = product.weights
    if weights.beam == 1:
        return "greedy: a search was no better on the held-out items"
    beam = f"{weights.beam} hypotheses side by side"
    models = {"characters": weights.language, "words": weights.words}
    used = [
        f"a model of {model.order} {kind} in a row (weight {models[kind]:g})"
        for kind, model in product.texts.ngrams.items()
        if models[kind]
    ]
    if weights.fused:
        used.append(f"the language model {product.texts.run} (weight {weights.fused:g})")
    if not used:
        return beam
    return f"{beam}, with {' and '.join(used)}, bonus {weights.bonus:g} a character"


def _pictures(product: Recogniser, part: Part, evaluation: Evaluation | None) -> Sequence[Section]:
    """The worst items with their picture or a player, and the reliability of confidences."""
    if not isinstance(evaluation, TranscriptJudgement):
        return []
    sections = []
    if evaluation.worst:
        note = "The held-out items with the most wrong characters for their length."
        sections.append(
            Section("Worst items", Examples(_examples(product, part, evaluation), note))
        )
    if (curve := evaluation.reliability) is not None:
        points = {"characters": [(b.confidence, b.accuracy, b.count) for b in curve.bins]}
        caption = (
            "Characters by the confidence they were written with: on the line, so many were right."
        )
        sections.append(
            drawn_section("Confidence", lambda: plot_reliability(points), caption=caption)
        )
    return sections


def _examples(product: Recogniser, part: Part, evaluation: TranscriptJudgement) -> list[Example]:
    found = []
    for worst in evaluation.worst:
        content = part.contents[worst.index]
        texts = {
            "item": part.items[worst.index].name,
            "actual": worst.reference,
            "written": worst.hypothesis or "(nothing)",
        }
        try:
            found.append(Example(product.input.media(content), texts))
        except MissingExtra:
            found.append(Example(None, texts))
    return found
