"""What a comparison leaves: the table as JSON and Markdown, the pictures, and one page with all."""

from collections.abc import Sequence
from html import escape

from recurra.compare.folder import Folder
from recurra.compare.plot import (
    curves_figure,
    flow_figure,
    image,
    require_matplotlib,
    table_figure,
)
from recurra.compare.results import Outcome
from recurra.compare.table import Findings, Table, table_of
from recurra.errors import MissingExtra

__all__ = ["write_findings"]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; background: #fff;
       max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .2rem .8rem; border-bottom: 1px solid #e3e3e3; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { font-weight: 500; color: #666; } tr.other td { color: #777; }
li { color: #555; } svg { max-width: 100%; height: auto; }
"""


def write_findings(folder: Folder, findings: Findings) -> None:
    """Write everything anew, as far as the trainings have come.

    Without matplotlib there are no pictures, and the page says how to have them.
    """
    table = table_of(findings)
    rows = [row.as_json(findings.facts) for row in findings.rows]
    published = [vars(figure) for figure in findings.facts.published]
    chance = findings.facts.chance
    folder.write_json("table.json", {"rows": rows, "by chance": chance, "published": published})
    folder.write("table.md", table.markdown().encode())
    folder.write("report.html", _page(findings, table, _pictures(folder, findings)).encode())


def _pictures(folder: Folder, findings: Findings) -> str:
    """Write the pictures; those of the page as SVG, or the sentence about matplotlib."""
    try:
        require_matplotlib()
    except MissingExtra as absent:
        return f"<h2>Pictures</h2>\n<p>{escape(str(absent))}</p>"
    curves = curves_figure(findings)
    drawn = image(curves, "svg")
    folder.write("curves.svg", drawn)
    folder.write("curves.png", image(curves, "png"))
    folder.write("table.png", image(table_figure(findings), "png"))
    page = f"<h2>Learning curves</h2>\n{_element(drawn)}\n"
    flows = [flow_figure(findings, trained=trained) for trained in (False, True)]
    for name, figure in zip(("flow_at_start.png", "flow.png"), flows, strict=True):
        if figure is not None:
            folder.write(name, image(figure, "png"))
    drawings = [_element(image(figure, "svg")) for figure in flows if figure is not None]
    return page + (f"<h2>Gradient flow</h2>\n{''.join(drawings)}" if drawings else "")


def _element(drawn: bytes) -> str:
    text = drawn.decode()
    return text[text.index("<svg") :]


def _page(findings: Findings, table: Table, pictures: str) -> str:
    title = f"{findings.facts.title}: {', '.join(row.entry.label for row in findings.rows)}"
    diverged = [outcome for row in findings.rows for outcome in row.outcomes if outcome.diverged]
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(title)}</title><meta name='viewport' content='width=device-width'>"
        f"<style>{_STYLE}</style></head>\n<body><h1>{escape(title)}</h1>\n"
        f"{_html_table(table)}\n<ul>{''.join(f'<li>{escape(n)}</li>' for n in table.notes)}</ul>\n"
        f"{pictures}\n{_told(diverged)}</body></html>\n"
    )


def _html_table(table: Table) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in table.columns)
    body = "".join(_line(cells, "") for cells in table.rows)
    others = "".join(_line(cells, " class='other'") for cells in table.others)
    return f"<table><tr>{head}</tr>{body}{others}</table>"


def _line(cells: Sequence[str], kind: str) -> str:
    return f"<tr{kind}>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


def _told(diverged: Sequence[Outcome]) -> str:
    if not diverged:
        return ""
    items = "".join(
        f"<li>{escape(outcome.name)}: {escape(outcome.diverged or '')}</li>" for outcome in diverged
    )
    return f"<h2>Diverged</h2>\n<ul>{items}</ul>\n"
