"""Pages that load nothing, such as a run's report.html, and the tables of text on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from recurra.errors import MissingExtra, RunError
from recurra.plots import plot_training, svg

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = [
    "Picture",
    "Section",
    "TextTable",
    "amended",
    "carried_over",
    "drawn_section",
    "report",
]

_END = "</body></html>\n"

# The variables are what `recurra.plots.svg` colours texts and axes with.
_STYLE = """
:root { color-scheme: light dark; --ink: #222426; --muted: #5d6165; --grid: #e3e5e7;
       --paper: #fff; --shade: #f5f6f7; }
@media (prefers-color-scheme: dark) {
       :root { --ink: #e4e6e8; --muted: #a3a7ab; --grid: #3a3e42; --paper: #16181a;
       --shade: #212427; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; display: block; max-width: 100%; overflow-x: auto; }
td, th { padding: .15rem 1.5rem .15rem 0; text-align: left;
       vertical-align: top; font-variant-numeric: tabular-nums; }
th { font-weight: 500; } th, li, tr.other td { color: var(--muted); }
tr + tr.other td { border-top: 1px solid var(--grid); }
th.number, td.number { text-align: right; }
pre { white-space: pre-wrap; background: var(--shade); padding: 1rem; border-radius: 4px; }
svg { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True)
class Picture:
    """An SVG element with a sentence under it."""

    svg: str
    caption: str = ""


@dataclass(frozen=True)
class TextTable:
    """Rows of text under a heading for each column.

    The first `text_columns` are aligned to the left, the others, numbers, to the right. `others`
    are further rows, set apart below; `notes` are sentences under the table.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    others: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    text_columns: int = 1

    def html(self) -> str:
        """The table as an HTML element, with a list of the notes after it.

        >>> TextTable(("cell",), [("lstm",)]).html()
        '<table><tr><th>cell</th></tr><tr><td>lstm</td></tr></table>'
        """
        rows = [self._line("td", row) for row in self.rows]
        others = [self._line("td", row, " class='other'") for row in self.others]
        notes = "".join(f"<li>{escape(note)}</li>" for note in self.notes)
        table = f"<table>{self._line('th', self.columns)}{''.join([*rows, *others])}</table>"
        return f"{table}\n<ul>{notes}</ul>" if notes else table

    def markdown(self) -> str:
        """The table as Markdown, with a list of the notes after it.

        >>> print(TextTable(("cell", "H"), [("lstm", "64")]).markdown())
        | cell | H |
        | --- | ---: |
        | lstm | 64 |
        """
        numbers = len(self.columns) - self.text_columns
        aligned = ["---"] * self.text_columns + ["---:"] * numbers
        lines = [self.columns, aligned, *self.rows, *self.others]
        text = [f"| {' | '.join(map(_escape_bars, line))} |" for line in lines]
        notes = [f"- {note}" for note in self.notes]
        return "\n".join([*text, "", *notes] if notes else text)

    def _line(self, tag: str, cells: Sequence[str], kind: str = "") -> str:
        numbers = [index >= self.text_columns for index in range(len(cells))]
        classes = [" class='number'" if is_number else "" for is_number in numbers]
        parts = zip(cells, classes, strict=True)
        return f"<tr{kind}>{''.join(f'<{tag}{c}>{escape(t)}</{tag}>' for t, c in parts)}</tr>"


def _escape_bars(text: str) -> str:
    return text.replace("|", r"\|")


@dataclass(frozen=True)
class Section:
    """A part of the page under a title, or without one where it is "".

    Its content is facts by name, a text shown as it is, a table, a picture, or the lines of
    metrics.jsonl, which are drawn as curves.
    """

    title: str
    content: Mapping[str, object] | str | TextTable | Picture | Sequence[Mapping[str, Any]]


def drawn_section(title: str, draw: Callable[[], Figure], caption: str = "") -> Section:
    """A section with the figure that `draw` makes; without matplotlib, how to install it."""
    try:
        return Section(title, Picture(svg(draw()), caption))
    except MissingExtra as absent:
        return Section(title, {"": absent})


def report(title: str, sections: Sequence[Section]) -> str:
    """The page as HTML, one section after the other.

    Example:
        >>> page = report("A run", [Section("Data", {"file": "a.txt"})])
        >>> "a.txt" in page
        True
    """
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(title)}</title><meta name='viewport' content='width=device-width'>"
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        + "\n".join(map(_section, sections))
        + f"\n{_END}"
    )


def amended(page: str, name: str, sections: Sequence[Section]) -> str:
    """A page of `report` with sections added at its end, in place of those of the same name.

    Raises RunError for a page that is cut short.
    """
    return _with_block(page, name, "\n".join(map(_section, sections)))


def carried_over(old: str, new: str, name: str) -> str:
    """The page `new` with the sections of that name that the page `old` has, if any.

    Raises RunError as `amended` does, for either page.
    """
    _, block, _ = _split_at_block(old, name)
    return new if block is None else _with_block(new, name, block)


def _with_block(page: str, name: str, block: str) -> str:
    before, _, rest = _split_at_block(page, name)
    return f"{before}<!-- {name} -->\n{block}\n<!-- end of {name} -->\n{rest}"


def _split_at_block(page: str, name: str) -> tuple[str, str | None, str]:
    """The text before the block of that name, the block or None, and the text after it."""
    before, begin, after = page.partition(f"<!-- {name} -->\n")
    block, end, rest = after.partition(f"\n<!-- end of {name} -->\n")
    if not page.endswith(_END) or bool(begin) != bool(end):
        raise RunError("report.html is cut short; delete it, and a new one is made.")
    return (before, block, rest) if begin else (page.removesuffix(_END), None, _END)


def _section(section: Section) -> str:
    heading = f"<h2>{escape(section.title)}</h2>" if section.title else ""
    return heading + _content(section.content)


def _content(content: object) -> str:
    match content:
        case str():
            return f"<pre>{escape(content)}</pre>"
        case Picture():
            return content.svg + (f"<p>{escape(content.caption)}</p>" if content.caption else "")
        case TextTable():
            return content.html()
        case Mapping():
            return _facts(content)
        case Sequence():
            return _curves(content)
    raise TypeError(f"a section holds {type(content).__name__}; see Section for what it may hold")


def _facts(facts: Mapping[str, object]) -> str:
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{''.join(rows)}</table>"


def _curves(metrics: Sequence[Mapping[str, Any]]) -> str:
    if not any("loss" in line for line in metrics):
        return "<p>No step was logged.</p>"
    return _content(drawn_section("", lambda: plot_training(metrics)).content)
