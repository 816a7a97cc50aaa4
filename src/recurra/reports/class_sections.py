"""Sections on a classifier: figures of each class, and the pairs that are confused most."""

from __future__ import annotations

import math
from collections.abc import Sequence

from recurra.reports.html_page import Section, TextTable

__all__ = ["ClassFigures", "class_table", "confusion_table", "percent"]

ClassFigures = tuple[float, float, float, float]
"""Of a class: precision, recall and F1, NaN where undefined, and the number of its items."""

_COLUMNS = ("precision", "recall", "F1", "items")
_UNDEFINED = "undefined"


def class_table(
    names: Sequence[str],
    figures: Sequence[ClassFigures],
    *,
    title: str = "Classes",
    kind: str = "class",
    most: int = 40,
) -> Section:
    """The section with the figures of each class, or label (`kind`).

    Of more than `most` classes those with the lowest F1 are shown, the lowest first. Undefined
    figures are shown as such, with a note on what they lack. Raises ValueError where numbers of
    names and figures differ.

    >>> section = class_table(["cat", "dog"], [(0.5, 1.0, 2 / 3, 10), (float("nan"), 0.0, 0.0, 5)])
    >>> print(section.content.markdown())
    | class | precision | recall | F1 | items |
    | --- | ---: | ---: | ---: | ---: |
    | cat | 50.0 % | 100.0 % | 66.7 % | 10 |
    | dog | undefined | 0.0 % | 0.0 % | 5 |
    <BLANKLINE>
    - Undefined: the precision where no item is predicted as the class, the recall where none is \
of it, F1 where neither is.
    """
    if len(names) != len(figures):
        raise ValueError(
            f"{len(names)} names and {len(figures)} figures: give one a {kind} of both"
        )
    lines = list(zip(names, figures, strict=True))
    shown = lines if len(lines) <= most else sorted(lines, key=_by_f1)[:most]
    rows = [[name, *map(percent, one[:3]), f"{one[3]:,.6g}"] for name, one in shown]
    notes = []
    if len(shown) < len(lines):
        notes.append(f"The {most:,} of {len(lines):,} with the lowest F1.")
    if any(math.isnan(figure) for _, one in shown for figure in one):
        notes.append(
            f"Undefined: the precision where no item is predicted as the {kind}, the recall where "
            "none is of it, F1 where neither is."
        )
    return Section(title, TextTable((kind, *_COLUMNS), rows, notes=notes))


def confusion_table(
    pairs: Sequence[tuple[str, str, float, float]], *, title: str = "Most confused classes"
) -> Section:
    """The section with pairs of classes: actual, predicted, items, and their share of the actual.

    >>> print(confusion_table([("cat", "dog", 12, 0.06)]).content.markdown())
    | actual | predicted | items | of the actual class |
    | --- | --- | ---: | ---: |
    | cat | dog | 12 | 6.0 % |
    """
    if not pairs:
        return Section(title, ["No item was predicted as another class."])
    rows = [
        [actual, predicted, f"{items:,.6g}", percent(share)]
        for actual, predicted, items, share in pairs
    ]
    columns = ("actual", "predicted", "items", "of the actual class")
    return Section(title, TextTable(columns, rows, text_columns=2))


def _by_f1(line: tuple[str, ClassFigures]) -> tuple[bool, float]:
    f1 = line[1][2]
    return math.isnan(f1), f1


def percent(share: float) -> str:
    """A share in words.

    >>> percent(0.9876), percent(math.nan)
    ('98.8 %', 'undefined')
    """
    return _UNDEFINED if math.isnan(share) else f"{100 * share:.1f} %"
