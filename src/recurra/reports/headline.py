"""Headline: the key figure of a page, what it means, and a scale to hold it against."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Headline", "Mark", "prose"]

_DECADES = 1.5
"""A scale over more decades than this is logarithmic."""


def prose(text: str) -> str:
    """A text as HTML; a number and its per cent sign stay on one line."""
    return escape(text).replace(" %", "&nbsp;%")


@dataclass(frozen=True)
class Mark:
    """A figure on a scale: whose it is, where it was published, and how it is written."""

    name: str
    value: float
    source: str = ""
    text: str = ""

    def __str__(self) -> str:
        return self.text or f"{self.value:.4g}"


@dataclass(frozen=True)
class Headline:
    """The figure `own` of a `measure`, among `others`: chance, baselines, published figures.

    `verdict` is a sentence on it, by default its place among the others; `meaning` are further
    sentences.

    >>> chance, paper = Mark("chance", 0.167), Mark("TCN", 5.8e-5, "a paper")
    >>> Headline("test loss", Mark("this run", 0.01), [chance, paper]).sentence
    'Better than chance (0.167), behind TCN (5.8e-05).'
    """

    measure: str
    own: Mark
    others: Sequence[Mark] = ()
    higher_is_better: bool = False
    verdict: str = ""
    meaning: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        """The verdict: the figure's nearest neighbours on the scale, on either side."""
        if self.verdict or not math.isfinite(self.own.value):
            return self.verdict or f"The {self.measure} is not a finite number."
        ranked = self.ranked()
        place = ranked.index(self.own)
        ahead, beaten = ranked[:place][-1:], ranked[place + 1 :][:1]
        behind = f"behind {_named(ahead[0])}" if ahead else ""
        if beaten:
            return f"Better than {_named(beaten[0])}{behind and f', {behind}'}."
        return f"No better than {_named(ahead[0])}." if ahead else ""

    def ranked(self) -> list[Mark]:
        """All figures, the best first; those that are not finite last, equal ones before ours."""
        sign = -1 if self.higher_is_better else 1
        marks = [*self.others, self.own]
        return sorted(marks, key=lambda m: sign * m.value if math.isfinite(m.value) else math.inf)

    def html(self) -> str:
        """The headline as HTML, without a picture, so that it reflows on a narrow page."""
        said = "".join(f"<p>{prose(s)}</p>" for s in (self.sentence, *self.meaning) if s)
        figure = f"<p class='figure'><b>{prose(str(self.own))}</b> {escape(self.measure)}</p>"
        return f"<div class='headline'>{figure}{said}{self._scale() if self.others else ''}</div>"

    def markdown(self) -> str:
        """The headline as Markdown, its scale as a table."""
        parts = [f"**{self.own}** {self.measure}", *filter(None, (self.sentence, *self.meaning))]
        if self.others:
            direction = "higher" if self.higher_is_better else "lower"
            head = [f"| {self.measure}, {direction} is better | |", "| --- | ---: |"]
            rows = [f"| {_with_source(mark)} | {mark} |" for mark in self.ranked()]
            parts.append("\n".join([*head, *rows]))
        return "\n\n".join(parts)

    def _scale(self) -> str:
        marks = self.ranked()
        places = _places([mark.value for mark in marks])
        rows = "".join(map(self._row, marks, places))
        direction = "higher" if self.higher_is_better else "lower"
        logarithmic = ", on a logarithmic scale" if _is_wide([m.value for m in marks]) else ""
        return (
            f"<ol class='scale'>{rows}</ol>"
            f"<p class='note'>{escape(self.measure)}: {direction} is better{logarithmic}</p>"
        )

    def _row(self, mark: Mark, place: float | None) -> str:
        kind = " class='own'" if mark is self.own else ""
        source = f" <small>{escape(mark.source)}</small>" if mark.source else ""
        dot = "" if place is None else f"<i style='left:{100 * place:.1f}%'></i>"
        return (
            f"<li{kind}><span>{escape(mark.name)}{source}</span><span class='track'>{dot}</span>"
            f"<b>{prose(str(mark))}</b></li>"
        )


def _named(mark: Mark) -> str:
    return f"{mark.name} ({mark})"


def _with_source(mark: Mark) -> str:
    text = f"{mark.name} ({mark.source})" if mark.source else mark.name
    return text.replace("|", r"\|")


def _is_wide(values: Sequence[float]) -> bool:
    finite = [value for value in values if math.isfinite(value)]
    return min(finite, default=0) > 0 and math.log10(max(finite) / min(finite)) > _DECADES


def _places(values: Sequence[float]) -> list[float | None]:
    """The place of each value between the least, 0, and the largest, 1; None if not finite."""
    is_wide = _is_wide(values)
    scaled = [math.log(v) if is_wide and math.isfinite(v) else v for v in values]
    finite = [v for v in scaled if math.isfinite(v)]
    low, width = min(finite, default=0), max(finite, default=0) - min(finite, default=0)
    return [(v - low) / width if width and math.isfinite(v) else None for v in scaled]
