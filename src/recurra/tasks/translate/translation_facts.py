"""Facts of a translator for its card and report: data, model, figures, the worst results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from recurra.data.pairs.text_pair import Pairs
from recurra.plots import plot_attention
from recurra.reports import Example, Examples, Headline, Mark, Section, drawn_section
from recurra.tasks.task import Evaluation, Facts
from recurra.tasks.translate.converter import Converter
from recurra.tasks.translate.text_side import described_side
from recurra.tasks.translate.translation_judgement import TranslationJudgement, WrongResult

__all__ = ["facts_of", "headline_of"]

_DRAWN = 4
"""Results whose attention is drawn."""


def facts_of(product: Converter, train: Pairs, held: Pairs, evaluation: Evaluation | None) -> Facts:
    """All facts of the card and the report."""
    shown = [] if evaluation is None else list(evaluation.sections)
    return Facts(
        title="One sequence into another",
        sections=[
            *shown,
            Section("Data", _data(train, held)),
            Section("Model", _model(product)),
        ],
        use=["recurra translate {run} new.txt -o out.txt", "recurra evaluate {run}"],
        pictures=_pictures(evaluation),
        pipeline="translation",
    )


def headline_of(evaluation: Evaluation) -> Headline:
    """BLEU of sentences, the share of exact results of short outputs."""
    meaning = (
        f"On {evaluation['items']:,.0f} held-out pairs. The best weights were chosen on them, so "
        "the figures flatter the model a little."
    )
    if "bleu" in evaluation:
        value = evaluation["bleu"]
        return Headline(
            "BLEU",
            Mark("this run", value, text=f"{value:.2f}"),
            [],
            True,
            meaning=[f"chrF is {evaluation['chrf']:.2f}.", meaning],
        )
    value = evaluation["exact"]
    return Headline(
        "of the results exact",
        Mark("this run", value, text=_percent(value)),
        [],
        True,
        meaning=[f"Of the tokens {_percent(evaluation['ter'])} are wrong.", meaning],
    )


def _data(train: Pairs, held: Pairs) -> dict[str, object]:
    facts: dict[str, object] = {
        "pairs to train on": f"{len(train):,}",
        "pairs held out": f"{len(held):,}" if len(held) else "none",
    }
    left_out = [str(part.bad) for part in (train, held) if len(part.bad)]
    return facts | ({"left out": " ".join(left_out)} if left_out else {})


def _model(product: Converter) -> dict[str, object]:
    config = product.config
    decoder = "an aligner (CTC)"
    if config.model == "attention":
        how = "its summary alone" if config.attention == "none" else f"{config.attention} attention"
        feeding = ", input feeding" if config.input_feeding else ""
        copy = ", words of the source can be copied" if config.copy else ""
        decoder = f"{config.layers} layers, {how}{feeding}{copy}"
    return {
        "sources": described_side(product.source),
        "targets": described_side(product.target),
        "cell": config.cell,
        "encoder": f"{config.layers} x {config.hidden} units, "
        + ("both directions" if config.bidirectional else "one direction"),
        "decoder": decoder,
        "parameters": f"{product.nets[0].parameter_count():,}",
    }


def _pictures(evaluation: Evaluation | None) -> list[Section]:
    """The worst results, and where the first of them attended."""
    if not isinstance(evaluation, TranslationJudgement) or not evaluation.worst:
        return []
    examples = [
        Example(
            None,
            {"source": one.source, "target": one.target, "written": one.result.text or "(nothing)"},
        )
        for one in evaluation.worst
    ]
    note = "The held-out pairs with the most wrong characters for the length of their target."
    sections = [Section("Worst results", Examples(examples, note))]
    drawn = [one for one in evaluation.worst if one.result.attention][:_DRAWN]
    if drawn:
        caption = "How much each token of the source (columns) counted for each that was written."
        draws = [_attention(one) for one in drawn]
        sections.append(drawn_section("Attention", *draws, caption=caption))
    return sections


def _attention(one: WrongResult) -> Callable[[], Any]:
    result = one.result
    return lambda: plot_attention(result.attention, result.source_tokens, result.tokens)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
