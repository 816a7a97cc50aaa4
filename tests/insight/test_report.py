"""The page of a run: self-contained, escaped, with its curves or a sentence on how to have them."""

import importlib.util
import re
from html.parser import HTMLParser

import pytest

from recurra.errors import MissingExtra
from recurra.plots.learning_curves import curves_svg
from recurra.reports import Section, report

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
    for label in ("training", "validation", "loss (nats)", "learning rate", "gradient norm"):
        assert f"<!-- {label} -->" in page
    assert curves_svg(ROWS[:-1]).count("<!-- validation -->") == 0


def test_without_matplotlib_a_sentence_stands_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'recurra\[plot\]'"):
        curves_svg(ROWS)
    assert "<svg" not in new_page()
    assert "pip install &#x27;recurra[plot]&#x27;" in new_page()


def test_a_run_without_metrics_has_no_curves():
    assert "No step was logged" in report("A run", [Section("Curves", [])])
