"""Pages that load nothing, such as a run's report.html, and the tables of text on them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from recurra.errors import MissingExtra, RunError
from recurra.plots import COLOURS, svg
from recurra.reports.examples import Examples
from recurra.reports.headline import Headline, prose

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
_FEW_ROWS = 2

# The variables are what `recurra.plots.svg` colours texts and axes with; the accent is the first
# colour of the pictures' palette, on a dark page the lighter blue of the same palette.
_STYLE = f"""
:root {{ color-scheme: light dark; --ink: #222426; --muted: #5d6165; --grid: #e3e5e7;
       --paper: #fff; --shade: #f5f6f7; --accent: {COLOURS[0]}; }}
@media (prefers-color-scheme: dark) {{
       :root {{ --ink: #e4e6e8; --muted: #a3a7ab; --grid: #3a3e42; --paper: #16181a;
       --shade: #212427; --accent: {COLOURS[5]}; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper);
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: break-word; }}
h1 {{ font-size: 1.6rem; line-height: 1.25; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
p, li {{ max-width: 46rem; }}
.headline {{ margin-bottom: 2rem; }} .headline p {{ margin: .3rem 0; }}
.figure {{ font-size: 1.15rem; }}
.figure b {{ font-size: 2.4rem; line-height: 1.2; color: var(--accent); margin-right: .3rem; }}
.scale {{ list-style: none; margin: 1rem 0 0; padding: 0; max-width: 46rem; }}
.scale li {{ display: grid; grid-template-columns: 15rem 1fr 6rem; gap: 0 1rem; padding: .1rem 0;
       align-items: center; }}
.scale b {{ text-align: right; white-space: nowrap; font-weight: 400;
       font-variant-numeric: tabular-nums; }}
.scale .own, .scale .own b {{ color: var(--ink); font-weight: 600; }}
.scale small {{ display: block; line-height: 1.2; }}
.track {{ position: relative; height: 2px; background: var(--grid); margin: 0 .5rem; }}
.track i {{ position: absolute; top: 50%; width: .6rem; height: .6rem; border-radius: 50%;
       background: var(--muted); transform: translate(-50%, -50%); }}
.own .track i {{ width: .9rem; height: .9rem; background: var(--accent); }}
.table {{ overflow-x: auto; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: .15rem 1.5rem .15rem 0; text-align: left;
       vertical-align: top; font-variant-numeric: tabular-nums; }}
th {{ font-weight: 500; white-space: nowrap; }}
th, li, .note, figcaption, tr.other td {{ color: var(--muted); }}
tr + tr.other td {{ border-top: 1px solid var(--grid); }}
th.number, td.number {{ text-align: right; white-space: nowrap; }}
pre {{ white-space: pre-wrap; background: var(--shade); padding: 1rem; border-radius: 4px; }}
.examples {{ display: grid; gap: 1.2rem 2rem;
       grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }}
.examples img {{ max-width: 100%; background: #fff;
       border-radius: 4px; }} .examples audio {{ width: min(100%, 26rem); }}
.examples .text {{ margin: 0; white-space: pre-wrap; }} .text span {{ border-radius: 3px; }}
.examples dl {{ display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem;
       margin: .3rem 0 0; }} .examples dt {{ color: var(--muted); }} .examples dd {{ margin: 0; }}
figure {{ margin: 0; }} figcaption {{ max-width: 46rem; margin-top: .5rem; }}
.pictures {{ display: grid; gap: 1.5rem;
       grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }}
.pictures svg {{ width: 100%; max-width: 42rem; height: auto; }}
.wide {{ overflow-x: auto; }} .wide svg {{ width: 100%; min-width: 44rem; height: auto; }}
@media (max-width: 40rem) {{
       .scale li {{ grid-template-columns: 1fr 6rem; padding: .3rem 0; }}
       .scale .track {{ grid-area: 2 / 1 / 3 / 3; margin: .6rem .5rem; }}
       td, th {{ padding-right: .9rem; }} th {{ white-space: normal; }}
       .numbers td:first-child, .numbers th:first-child {{ position: sticky; left: 0;
              background: var(--paper); }}
       .stacked th {{ display: none; }} .stacked tr {{ display: block; margin-bottom: .8rem; }}
       .stacked td, .stacked td.number {{ display: block; padding: 0; text-align: left;
              white-space: normal; }}
       .stacked td::before {{ content: attr(data-label) ": ";
              color: var(--muted); }} .stacked td:empty {{ display: none; }} }}
"""


@dataclass(frozen=True)
class Picture:
    """SVG elements, side by side where the page has room, with a sentence under them.

    One that is `wide` is as wide as the page, and scrolls where the page is narrow.
    """

    svgs: Sequence[str]
    caption: str = ""
    wide: bool = False

    def html(self) -> str:
        """The pictures as an HTML element."""
        kind = "wide" if self.wide else "pictures"
        caption = f"<figcaption>{prose(self.caption)}</figcaption>" if self.caption else ""
        return f"<figure><div class='{kind}'>{''.join(self.svgs)}</div>{caption}</figure>"


@dataclass(frozen=True)
class TextTable:
    """Rows of text under a heading for each column.

    The first `text_columns` are aligned to the left, the others, numbers, to the right. `others`
    are further rows, set apart below; `notes` are sentences under the table. On a narrow page a
    table of texts, or of one row or two, shows each row as a block; one of numbers scrolls.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    others: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    text_columns: int = 1

    def html(self) -> str:
        """The table as an HTML element, with a list of the notes after it.

        >>> print(TextTable(("cell", "H"), [("lstm", "64")] * 3).html()[:68])
        <div class='table'><table class='numbers'><tr><th>cell</th><th class
        """
        rows = [self._line("td", row) for row in self.rows]
        others = [self._line("td", row, " class='other'") for row in self.others]
        notes = "".join(f"<li>{prose(note)}</li>" for note in self.notes)
        lines = f"{self._line('th', self.columns)}{''.join([*rows, *others])}"
        kind = "stacked" if self._is_stacked() else "numbers"
        table = f"<div class='table'><table class='{kind}'>{lines}</table></div>"
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

    def _is_stacked(self) -> bool:
        of_texts = self.text_columns == len(self.columns)
        return of_texts or len(self.rows) + len(self.others) <= _FEW_ROWS

    def _line(self, tag: str, cells: Sequence[str], kind: str = "") -> str:
        line = zip(self.columns, cells, strict=True)
        return f"<tr{kind}>{''.join(self._cell(tag, *cell) for cell in enumerate(line))}</tr>"

    def _cell(self, tag: str, index: int, cell: tuple[str, str]) -> str:
        column, text = cell
        number = " class='number'" if index >= self.text_columns else ""
        is_named = tag == "td" and self._is_stacked()
        label = f' data-label="{escape(column)}"' if is_named else ""
        return f"<{tag}{number}{label}>{prose(text)}</{tag}>"


def _escape_bars(text: str) -> str:
    return text.replace("|", r"\|")


@dataclass(frozen=True)
class Section:
    """A part of the page under a title, or without one where it is "".

    Its content is the key figure, facts by name, a text shown as it is, sentences, a table,
    pictures, or examples.
    """

    title: str
    content: Headline | Mapping[str, object] | str | Sequence[str] | TextTable | Picture | Examples


def drawn_section(
    title: str, *draws: Callable[[], Figure], caption: str = "", wide: bool = False
) -> Section:
    """A section with the figures that `draws` make; without matplotlib, how to install it."""
    try:
        return Section(title, Picture([svg(draw(), title) for draw in draws], caption, wide))
    except MissingExtra as absent:
        return Section(title, [str(absent)])


def report(title: str, sections: Sequence[Section]) -> str:
    """The page as HTML, one section after the other: first the headline, then pictures, tables.

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
        case Picture() | TextTable() | Headline() | Examples():
            return content.html()
        case Mapping():
            return _facts(content)
        case Sequence():
            return f"<ul>{''.join(f'<li>{prose(sentence)}</li>' for sentence in content)}</ul>"
    raise TypeError(f"a section holds {type(content).__name__}; see Section for what it may hold")


def _facts(facts: Mapping[str, object]) -> str:
    rows = (
        f"<tr><th>{escape(name)}</th><td>{prose(str(value))}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{''.join(rows)}</table>"
