"""report.html: one page, with nothing to load, that shows a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from recurra.errors import MissingExtra, RunError
from recurra.plots.learning_curves import curves_svg

__all__ = ["Picture", "Section", "Table", "amended", "report"]

_END = "</body></html>\n"

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { padding: .15rem 1.5rem .15rem 0; text-align: left;
       vertical-align: top; font-variant-numeric: tabular-nums; }
th { font-weight: 500; color: #666; }
pre { white-space: pre-wrap; background: #f6f6f4; padding: 1rem; border-radius: 4px; }
svg { max-width: 100%; height: auto; }
"""


@dataclass(frozen=True)
class Picture:
    """An SVG element with a sentence under it."""

    svg: str
    caption: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of text under a heading for each column."""

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Section:
    """A titled part of the page: facts by name, a text shown as it is, a table, a picture, or
    metrics as curves.
    """

    title: str
    content: Mapping[str, object] | str | Table | Picture | Sequence[Mapping[str, Any]]


def report(title: str, sections: Sequence[Section]) -> str:
    """The page of a run as HTML, one section after the other.

    Without matplotlib curves give way to a sentence that says how to have them.

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
    """A page of `report` with sections at its end, in place of those of that name.

    Raises RunError for a page that has no end, or whose sections of that name have none.
    """
    return _with_block(page, name, "\n".join(map(_section, sections)))


def carried_over(old: str, new: str, name: str) -> str:
    """The page `new` with what the page `old` was amended with under that name, if it was.

    Raises RunError as `amended` does, for either page.
    """
    _, block, _ = _parts(old, name)
    return new if block is None else _with_block(new, name, block)


def _with_block(page: str, name: str, block: str) -> str:
    before, _, rest = _parts(page, name)
    return f"{before}<!-- {name} -->\n{block}\n<!-- end of {name} -->\n{rest}"


def _parts(page: str, name: str) -> tuple[str, str | None, str]:
    """What stands before the block of that name, the block, and what stands after it."""
    before, found, after = page.partition(f"<!-- {name} -->\n")
    block, ended, rest = after.partition(f"\n<!-- end of {name} -->\n")
    if not page.endswith(_END) or bool(found) != bool(ended):
        raise RunError("report.html is not whole; delete it, and a new one is made.")
    return (before, block, rest) if found else (page.removesuffix(_END), None, _END)


def _section(section: Section) -> str:
    heading = f"<h2>{escape(section.title)}</h2>"
    if isinstance(section.content, str):
        return f"{heading}<pre>{escape(section.content)}</pre>"
    if isinstance(section.content, Picture):
        caption = f"<p>{escape(section.content.caption)}</p>" if section.content.caption else ""
        return f"{heading}{section.content.svg}{caption}"
    if isinstance(section.content, Table):
        return heading + _table(section.content)
    if not isinstance(section.content, Mapping):
        return f"{heading}{_curves(section.content)}"
    rows = (
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in section.content.items()
    )
    return f"{heading}<table>{''.join(rows)}</table>"


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _curves(metrics: Sequence[Mapping[str, Any]]) -> str:
    if not any("loss" in row for row in metrics):
        return "<p>No step was logged.</p>"
    try:
        return curves_svg(metrics)
    except MissingExtra as absent:
        return f"<p>{escape(str(absent))}</p>"
