"""The page of a run: self-contained, escaped, with its curves or a sentence on how to have them."""

import importlib.util
import re
from html.parser import HTMLParser

import pytest

from recurra.errors import RunError
from recurra.reports import Section, TextTable, amended, carried_over, report

ROWS = [
    {"step": step, "epoch": 1, "loss": 3 / step, "learning_rate": 1e-3, "gradient_norm": 1.0}
    for step in range(1, 30)
] + [{"step": 29, "epoch": 1, "validation": {"loss": 0.2}}]


class Parser(HTMLParser):
    """Collects the tags that were opened and not closed, and everything that would be loaded."""

    def __init__(self):
        super().__init__()
        self.open, self.loaded = [], []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)
        self.loaded += [v for k, v in attrs if k in ("src", "href") and not v.startswith("#")]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def new_page():
    facts, text = Section("Data", {"<file>": "a & b"}), Section("Text", "<x>\n")
    return report("A run", [facts, text, Section("Curves", ROWS)])


@pytest.fixture(scope="module")
def page():
    """Drawn once: drawing takes longer than all that is asked of it."""
    return new_page()


def test_the_page_is_whole_and_loads_nothing(page):
    parser = Parser()
    parser.feed(re.sub(r"<svg.*</svg>", "", page, flags=re.S))
    assert parser.open == []
    assert parser.loaded == []
    assert "url(http" not in page


def test_what_it_shows_is_escaped(page):
    assert "<th>&lt;file&gt;</th><td>a &amp; b</td>" in page
    assert "<pre>&lt;x&gt;\n</pre>" in page


def test_curves_are_drawn_with_their_labels(page):
    for label in ("training", "validation", "loss", "learning rate", "gradient norm"):
        assert f"<!-- {label} -->" in page


def test_without_matplotlib_a_sentence_stands_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "<svg" not in new_page()
    assert "pip install &#x27;recurra[plot]&#x27;" in new_page()


def test_a_run_without_metrics_has_no_curves():
    assert "No step was logged" in report("A run", [Section("Curves", [])])


def test_the_page_defines_the_colours_of_its_pictures(page):
    used = set(re.findall(r"var\((--\w+)", page))
    assert used == {"--ink", "--muted", "--grid", "--paper", "--shade"}
    light, dark = page.split("@media (prefers-color-scheme: dark)")
    assert all(f"{name}:" in light and f"{name}:" in dark for name in used)


def test_a_section_holds_what_it_may_hold():
    with pytest.raises(TypeError, match="a section holds int"):
        report("A run", [Section("Number", 3)])


TABLE = TextTable(("cell", "H"), [("a|b", "<3>")], [("by chance", "")], ["a & b"])


def test_a_table_is_escaped_and_numbers_are_aligned():
    page = report("A run", [Section("", TABLE)])
    assert "<h2>" not in page
    assert "<tr><td>a|b</td><td class='number'>&lt;3&gt;</td></tr>" in page
    assert "<tr class='other'><td>by chance</td>" in page
    assert "<li>a &amp; b</li>" in page


def test_a_table_as_markdown():
    assert TABLE.markdown().splitlines() == [
        "| cell | H |",
        "| --- | ---: |",
        r"| a\|b | <3> |",
        "| by chance |  |",
        "",
        "- a & b",
    ]


def test_a_page_is_amended_and_amended_again():
    page = report("A run", [Section("Data", {"a": 1})])
    once = amended(page, "inspection", [Section("New", "first")])
    twice = amended(once, "inspection", [Section("New", "second")])
    assert "first" in once
    assert "first" not in twice
    assert twice.count("<h2>New</h2>") == 1
    assert amended(twice, "inspection", [Section("New", "first")]) == once
    assert twice.endswith("</body></html>\n")


def test_sections_that_were_added_are_carried_over():
    old, new = report("Old", []), report("New", [])
    assert carried_over(old, new, "inspection") == new
    block = [Section("Kept", "as it was")]
    assert carried_over(amended(old, "i", block), new, "i") == amended(new, "i", block)


def test_a_page_that_is_cut_short_is_refused():
    with pytest.raises(RunError, match=r"report\.html is cut short; delete it"):
        amended("<html>", "inspection", [])
    with pytest.raises(RunError, match=r"report\.html is cut short; delete it"):
        carried_over("<html>", report("New", []), "inspection")
