"""Figures of a translator on pairs: BLEU, chrF, exact matches, errors, by length and by beam."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from recurra.data.pairs.text_pair import Pairs
from recurra.metrics.length_bins import score_by_length
from recurra.metrics.short_outputs import OutputScores, output_scores
from recurra.metrics.translation_quality import QualityScore, translation_scores
from recurra.reports import Section, TextTable
from recurra.tasks.task import Evaluation
from recurra.tasks.translate.config import Generation
from recurra.tasks.translate.converter import Converter, Translation

__all__ = ["TranslationJudgement", "WrongResult", "judged"]

_WORST = 10
_BEAMS = (1, 2, 3, 5, 10)


@dataclass(frozen=True)
class WrongResult:
    """A result that is wrong: its source, the nearest target, and what was written."""

    source: str
    target: str
    result: Translation


@dataclass(frozen=True, eq=False)
class TranslationJudgement(Evaluation):
    """An evaluation with the results that are most wrong; `sentences` tells texts from symbols."""

    sentences: bool = field(default=True, repr=False)
    worst: Sequence[WrongResult] = field(default=(), repr=False)


def judged(
    product: Converter, pairs: Pairs, how: Generation, *, beams: bool = False
) -> TranslationJudgement:
    """Translate every source and hold the results against the targets, any of which is right.

    `beams`: greedy search and beams up to 10 as well.
    """
    results, texts = _results(product, pairs, how)
    references = _references(product, pairs)
    short = output_scores(references, texts)
    sentences = product.target.is_prose
    quality = _quality(product, references, texts) if sentences else {}
    numbers = {**_numbers(short, quality), "items": float(len(pairs))}
    sections = [
        Section("Figures", _table(short, quality)),
        *_by_length(product, pairs, references, texts, sentences),
    ]
    if beams:
        sections.append(_by_beam(product, pairs, references, how, sentences))
    remarks = [f"Left out: {pairs.bad}"] if len(pairs.bad) else []
    remarks += product.source.unknown_note("sources", pairs.sources)
    remarks += [f"{score.name}: {score.signature}" for score in quality.values()]
    unfinished = sum(not own[0].finished for own in results if own)
    if unfinished:
        remarks.append(f"{unfinished:,} results reached the longest length without an end.")
    worst = _worst(pairs, references, results, short)
    return TranslationJudgement(numbers, sections, remarks, sentences, worst)


def _results(
    product: Converter, pairs: Pairs, how: Generation
) -> tuple[list[list[Translation]], list[str]]:
    results = product.translate(pairs.sources, how)
    return results, [own[0].text if own else "" for own in results]


def _references(product: Converter, pairs: Pairs) -> list[list[str]]:
    """The targets in the form that results have: lower case, say."""
    return [[product.target.tokens.normal(text) for text in own] for own in pairs.references]


def _quality(
    product: Converter, references: Sequence[Sequence[str]], texts: Sequence[str]
) -> dict[str, QualityScore]:
    return translation_scores(references, texts, tokenised=product.config.tokenised)


def _numbers(short: OutputScores, quality: Mapping[str, QualityScore]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for name, score in quality.items():
        numbers[name] = score.score
        if score.interval is not None:
            numbers |= {f"{name}_low": score.interval[0], f"{name}_high": score.interval[1]}
    numbers |= {"exact": short.exact, "ter": short.token_error_rate}
    numbers["cer"] = short.character_error_rate
    for name, ends in short.intervals(np.random.default_rng(0)).items():
        if ends is not None:
            numbers |= {f"{_SHORT[name]}_low": ends[0], f"{_SHORT[name]}_high": ends[1]}
    return numbers


_SHORT = {"exact": "exact", "token_error_rate": "ter", "character_error_rate": "cer"}


def _table(short: OutputScores, quality: Mapping[str, QualityScore]) -> TextTable:
    rows = []
    for score in quality.values():
        ends = "" if score.interval is None else "{:.2f} to {:.2f}".format(*score.interval)
        rows.append([score.name, f"{score.score:.2f}", ends])
    intervals = short.intervals(np.random.default_rng(0))
    named = {
        "results that are a target exactly": ("exact", short.exact),
        "errors a token between spaces": ("token_error_rate", short.token_error_rate),
        "errors a character": ("character_error_rate", short.character_error_rate),
    }
    for name, (key, value) in named.items():
        own = intervals[key]
        shown = "" if own is None else f"{100 * own[0]:.1f} to {_percent(own[1])}"
        rows.append([name, _percent(value), shown])
    return TextTable(("figure", "value", "95 % interval"), rows)


def _by_length(
    product: Converter,
    pairs: Pairs,
    references: Sequence[Sequence[str]],
    texts: Sequence[str],
    sentences: bool,
) -> list[Section]:
    """The figure by the tokens of the source."""
    lengths = [len(product.source.side(source)) for source in pairs.sources]

    def score(places: list[int]) -> float:
        return _figure(
            product, [references[n] for n in places], [texts[n] for n in places], sentences
        )

    bins = score_by_length(lengths, score)
    if len(bins) < 2:
        return []
    rows = [[each.name, f"{each.items:,}", _shown(each.score, sentences)] for each in bins]
    return [
        Section(
            "By the length of the source",
            TextTable(("tokens", "items", "BLEU" if sentences else "exact"), rows),
        )
    ]


def _by_beam(
    product: Converter,
    pairs: Pairs,
    references: Sequence[Sequence[str]],
    how: Generation,
    sentences: bool,
) -> Section:
    """The figure of greedy search and of beams."""
    rows = []
    for beam in _BEAMS:
        _, texts = _results(product, pairs, dataclasses.replace(how, beam=beam))
        value = _figure(product, references, texts, sentences)
        rows.append(["greedy" if beam == 1 else str(beam), _shown(value, sentences)])
    return Section("By beam", TextTable(("beam", "BLEU" if sentences else "exact"), rows))


def _figure(
    product: Converter,
    references: Sequence[Sequence[str]],
    texts: Sequence[str],
    sentences: bool,
) -> float:
    if not sentences:
        return output_scores(references, texts).exact
    found = translation_scores(references, texts, tokenised=product.config.tokenised, draws=0)
    return found["bleu"].score


def _shown(value: float, sentences: bool) -> str:
    return f"{value:.2f}" if sentences else _percent(value)


def _worst(
    pairs: Pairs,
    references: Sequence[Sequence[str]],
    results: Sequence[Sequence[Translation]],
    short: OutputScores,
) -> list[WrongResult]:
    """The results with the most wrong characters for the length of their target."""
    errors, lengths = short.characters
    shares = errors / np.maximum(lengths, 1)
    order = [n for n in np.argsort(-shares, kind="stable")[:_WORST] if shares[n] and results[n]]
    return [
        WrongResult(pairs[n].source, references[n][short.nearest[n]], results[n][0]) for n in order
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
