"""The page of a run: self-contained, escaped, with its curves or a sentence on how to have them."""

import importlib.util
import math
import re
from html.parser import HTMLParser

import pytest

from recurra.errors import RunError
from recurra.plots import plot_optimiser, plot_training
from recurra.reports import (
    Example,
    Examples,
    Headline,
    Mark,
    Media,
    Section,
    TextTable,
    amended,
    card,
    carried_over,
    drawn_section,
    report,
)

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


HEADLINE = Headline("loss", Mark("this run", 0.2), [Mark("chance", 3.0)])


def new_page():
    facts, text = Section("Data", {"<file>": "a & b"}), Section("Text", "<x>\n")
    curves = drawn_section("Curves", lambda: plot_training(ROWS), lambda: plot_optimiser(ROWS))
    return report("A run", [Section("", HEADLINE), facts, text, curves])


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


def test_the_page_defines_the_colours_of_its_pictures(page):
    used = set(re.findall(r"var\((--\w+)", page))
    assert used == {"--ink", "--muted", "--grid", "--paper", "--shade", "--accent"}
    light, dark = page.split("@media (prefers-color-scheme: dark)")
    dark = dark.partition("body")[0]
    assert all(f"{name}:" in light and f"{name}:" in dark for name in used)


def test_a_section_holds_what_it_may_hold():
    with pytest.raises(TypeError, match="a section holds int"):
        report("A run", [Section("Number", 3)])


TABLE = TextTable(("cell", "H"), [("a|b", "<3>")], [("by chance", "")], ["a & b"])


def test_a_table_is_escaped_and_numbers_are_aligned():
    page = report("A run", [Section("", TABLE)])
    assert "<h2>" not in page
    number = "<td class='number' data-label=\"H\">&lt;3&gt;</td>"
    assert f'<tr><td data-label="cell">a|b</td>{number}</tr>' in page
    assert "<tr class='other'><td data-label=\"cell\">by chance</td>" in page
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
    once = amended(page, "inspection", [Section("New", "an old one")])
    twice = amended(once, "inspection", [Section("New", "a new one")])
    assert "an old one" in once
    assert "an old one" not in twice
    assert twice.count("<h2>New</h2>") == 1
    assert amended(twice, "inspection", [Section("New", "an old one")]) == once
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


def test_the_headline_is_a_figure_a_verdict_and_a_ranked_scale():
    chance, paper = Mark("chance", 0.5), Mark("<TCN>", 0.001, "a & b")
    page = report("x", [Section("", Headline("loss", Mark("this run", 0.02), [chance, paper]))])
    assert "<p class='figure'><b>0.02</b> loss</p>" in page
    assert "<p>Better than chance (0.5), behind &lt;TCN&gt; (0.001).</p>" in page
    rows = re.findall(r"<li( class='own')?><span>(.*?)(?: <small>.*?)?</span>.*?left:(.*?)%", page)
    assert [(bool(own), name) for own, name, _ in rows] == [
        (False, "&lt;TCN&gt;"), (True, "this run"), (False, "chance"),
    ]  # fmt: skip
    decades = [math.log10(value / 0.001) / math.log10(500) for value in (0.001, 0.02, 0.5)]
    assert [float(place) / 100 for *_, place in rows] == pytest.approx(decades, abs=1e-3)
    assert "lower is better, on a logarithmic scale" in page


def test_higher_may_be_better_and_figures_near_one_another_have_a_linear_scale():
    marks = [Mark("chance", 0.1, text="10 %"), Mark("GRU", 0.9)]
    headline = Headline("accuracy", Mark("this run", 0.95, text="95 %"), marks, True)
    assert headline.sentence == "Better than GRU (0.9)."
    assert [mark.name for mark in headline.ranked()] == ["this run", "GRU", "chance"]
    assert "<b>95&nbsp;%</b>" in headline.html()
    worse = Headline("accuracy", Mark("this run", 0.1), marks, True)
    assert worse.sentence == "No better than chance (10 %)."
    assert "logarithmic" not in Headline("loss", Mark("a", 1.0), [Mark("b", 3.0)]).html()


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_figure_that_is_not_finite_has_no_place(value):
    headline = Headline("loss", Mark("this run", value), [Mark("chance", 1.0), Mark("b", 2.0)])
    assert headline.sentence == "The loss is not a finite number."
    assert headline.html().count("left:") == 2
    assert headline.ranked()[-1].name == "this run"


def test_a_headline_alone_has_no_scale_and_a_card_has_it_as_a_table():
    assert "<ol" not in Headline("loss", Mark("this run", 1.0)).html()
    assert card("A run", [Section("", HEADLINE)], []).splitlines() == [
        "# A run", "", "**0.2** loss", "", "Better than chance (3).", "",
        "| loss, lower is better | |", "| --- | ---: |",
        "| this run | 0.2 |", "| chance | 3 |",
    ]  # fmt: skip


def test_tables_of_texts_stack_on_a_narrow_page_and_tables_of_numbers_scroll():
    texts = TextTable(("layer", "finding"), [("a", "b")] * 3, text_columns=2)
    numbers = TextTable(("cell", "loss"), [("a", "1")] * 3)
    assert "class='stacked'" in texts.html()
    assert 'data-label="finding"' in texts.html()
    assert "class='numbers'" in numbers.html()
    assert "data-label" not in numbers.html()


def test_sentences_are_a_list():
    page = report("x", [Section("", ["a < b", "1 %"])])
    assert "<ul><li>a &lt; b</li><li>1&nbsp;%</li></ul>" in page
    assert card("x", [Section("Notes", ["a", "b"])], []).endswith("## Notes\n\n- a\n- b\n")


def test_pictures_have_a_name_for_who_hears_the_page(page):
    assert page.count('<svg role="img" aria-label="Curves"') == 2


def rgb(colour):
    """#0072b2 or #fff as three numbers from 0 to 1."""
    digits = colour.lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    return [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]


def luminance(colour):
    """WCAG's relative luminance."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_a_text_is_escaped_and_its_weights_are_readable_in_light_and_dark(page):
    media = Media.of_text("a <b>\n& c", [(2, 5, 1.0), (3, 6, 1.0), (6, 7, 0.0), (8, 9, 0.5)])
    mix = "background: color-mix(in srgb, var(--accent) {}%, transparent)"
    assert media.html() == (
        "<p class='text' dir='auto' aria-label='the text'>a "
        f"<span title='1.00' style='{mix.format(45)}'>&lt;b&gt;</span>\n&amp; "
        f"<span title='0.50' style='{mix.format(22)}'>c</span></p>"
    )
    assert "color-mix" not in Media.of_text("a", [(0, 1, math.nan), (0, 1, -1)]).html()
    assert "45%" in Media.of_text("a", [(0, 1, 7)]).html()
    light, dark = page.split("@media (prefers-color-scheme: dark)")
    for style in (light, dark.partition("body")[0]):
        names = ("accent", "paper", "ink")
        accent, paper, ink = (rgb(re.search(rf"--{name}: (#\w+)", style)[1]) for name in names)
        ground = [0.45 * a + 0.55 * p for a, p in zip(accent, paper, strict=True)]
        darker, lighter = sorted([luminance(ground), luminance(ink)])
        assert (lighter + 0.05) / (darker + 0.05) > 4.5


def test_a_text_among_examples():
    page = Examples([Example(Media.of_text("<x>"), {"label": "y"})]).html()
    assert "<p class='text' dir='auto' aria-label='the text'>&lt;x&gt;</p><dl>" in page
    assert ".examples .text" in report("A run", [])
