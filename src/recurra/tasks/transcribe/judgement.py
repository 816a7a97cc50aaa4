"""Error rates of a recogniser on items, with intervals, confusions, and the worst mistakes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from recurra.metrics.bootstrap import bootstrap_interval
from recurra.metrics.reliability import Reliability, reliability
from recurra.metrics.transcription import (
    EditCounts,
    ErrorRates,
    RatedTranscript,
    confusions,
    error_rates,
    right_characters,
    worst_transcripts,
)
from recurra.reports import Section, TextTable
from recurra.tasks.inputs.collection import Part, groups_of
from recurra.tasks.task import Evaluation
from recurra.tasks.transcribe.config import Decoding
from recurra.tasks.transcribe.recogniser import Recogniser
from recurra.tasks.transcribe.word_list import ruled_out

__all__ = ["TranscriptJudgement", "judged"]

_CONFUSIONS, _WORST = 15, 10


@dataclass(frozen=True, eq=False)
class TranscriptJudgement(Evaluation):
    """An evaluation with what the report draws: reliability of confidences, the worst mistakes."""

    reliability: Reliability | None = field(default=None, repr=False)
    worst: Sequence[RatedTranscript] = field(default=(), repr=False)


def judged(
    product: Recogniser, part: Part, how: Decoding, groups: str | None = None
) -> TranscriptJudgement:
    """Decode every item and compare with its transcript.

    `groups` names a column: whole groups are drawn for the intervals.
    """
    readings = [reading.best for reading in product.read(part, how)]
    texts = [product.text(reading) for reading in readings]
    rates = error_rates(part.texts, texts)
    intervals = {
        unit: _interval(rates, unit, groups_of(part.items, groups))
        for unit in ("character", "word")
    }
    right = [right_characters(*pair) for pair in zip(part.texts, texts, strict=True)]
    confidences = [c for reading in readings for c in product.confidences(reading)]
    flags = [flag for row in right for flag in row]
    curve = reliability(confidences, flags) if flags else None
    numbers = {
        "cer": rates.cer,
        "wer": rates.wer,
        "exact": rates.exact,
        **{
            f"{_SHORT[unit]}_{end}": value
            for unit, ends in intervals.items()
            if ends
            for end, value in zip(("low", "high"), ends, strict=True)
        },
        "characters": rates.characters.length,
        "words": rates.words.length,
        "items": len(part),
        **({} if curve is None else {"ece": curve.ece}),
    }
    sections = [
        Section("Error rates", _table(rates, intervals)),
        *_confused(part.texts, texts),
    ]
    remarks = [f"Left out: {part.bad}"] if len(part.bad) else []
    if how.lexicon is not None:
        remark = ruled_out(how.lexicon, product.alphabet, part.texts)
        remarks += [remark] if remark else []
    worst = worst_transcripts(part.texts, texts, _WORST)
    return TranscriptJudgement(numbers, sections, remarks, curve, worst)


_SHORT = {"character": "cer", "word": "wer"}


def _interval(
    rates: ErrorRates, unit: str, groups: Sequence[str] | None
) -> tuple[float, float] | None:
    errors, lengths = rates.items[unit]
    return bootstrap_interval(errors, lengths, np.random.default_rng(0), groups=groups)


def _table(rates: ErrorRates, intervals: dict[str, tuple[float, float] | None]) -> TextTable:
    rows = [
        _row("characters", rates.characters, intervals["character"]),
        _row("words", rates.words, intervals["word"]),
    ]
    columns = ("of", "errors", "95 % interval", "substituted", "deleted", "inserted", "in all")
    notes = [f"{_percent(rates.exact)} of the items have no error."]
    return TextTable(columns, rows, notes=notes)


def _row(name: str, counts: EditCounts, ends: tuple[float, float] | None) -> list[str]:
    return [
        name,
        _percent(counts.rate),
        "" if ends is None else f"{100 * ends[0]:.1f} to {_percent(ends[1])}",
        f"{counts.substitutions:,}",
        f"{counts.deletions:,}",
        f"{counts.insertions:,}",
        f"{counts.length:,}",
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _confused(references: Sequence[str], texts: Sequence[str]) -> list[Section]:
    """The most frequent mistakes; nothing where there are none."""
    found = confusions(references, texts, _CONFUSIONS)
    rows = [[_shown(c.reference), _shown(c.hypothesis), c.kind, f"{c.count:,}"] for c in found]
    table = TextTable(("actual", "written", "kind", "times"), rows, text_columns=3)
    return [Section("Confusions of characters", table)] if rows else []


def _shown(character: str) -> str:
    return {"": "nothing", " ": "a space"}.get(character, character)
