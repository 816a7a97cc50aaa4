"""Tables of a layer's figures: all tags, each tag, segments or events, and confusions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recurra.metrics.classification import confused_pairs
from recurra.metrics.span_scores import SpanScores
from recurra.metrics.step_scores import StepScores
from recurra.reports import Section, TextTable, class_table, confusion_table, percent

__all__ = ["figure_sections"]

_CONFUSIONS = 15

_CALLED = {
    "f1": "F1 of segments",
    "precision": "precision of segments",
    "recall": "recall of segments",
    "accuracy": "right tags",
    "frame_f1": "F1 of steps where something is",
    "event_f1": "F1 of events (half of their steps in common)",
    "unknown_accuracy": "right tags of words that training lacks",
    "unknown_share": "share of such words",
    "sequence_accuracy": "sequences without an error",
    "macro_f1": "F1 of tags, mean over them",
    "ece": "expected calibration error",
}


def figure_sections(
    numbers: Mapping[str, float],
    names: Sequence[str],
    steps: StepScores,
    spans: SpanScores | None,
    *,
    frames: bool,
) -> list[Section]:
    """The sections of a layer whose labels have these names; `frames`: of series."""
    found = [Section("Figures", _table(numbers))]
    if spans is not None and spans.kinds:
        title, kind = ("Events", "event") if frames else ("Segments", "segment")
        kinds = list(map(str, spans.kinds))
        found.append(class_table(kinds, list(spans.kinds.values()), title=title, kind=kind))
    pairs = [
        (names[pair.actual], names[pair.predicted], pair.items, pair.share)
        for pair in confused_pairs(steps.confusion, _CONFUSIONS)
    ]
    return [
        *found,
        class_table(names, steps.labels, title="Tags", kind="tag"),
        confusion_table(pairs, title="Most confused tags"),
    ]


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
