"""The course: its code runs, prints what the pages say, and draws the pictures that they show."""

import contextlib
import io
import re
from itertools import pairwise
from pathlib import Path

import matplotlib as mpl
import pytest

COURSE = Path(__file__).parents[1] / "docs" / "course"
PAGES = sorted(COURSE.glob("[1-9]-*.md"))
TRAINING = ("5-gru", "7-uses", "8-limits")
"""Pages whose code takes ten seconds or more, since it trains several networks."""

NUMBER = r"[-−+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?"


def parts(page):
    """Each block of code with the output that the page shows below it, None where it shows none."""
    text = page.read_text(encoding="utf-8")
    pattern = r"^```python\n(.*?)^```(?:\n+```text\n(.*?)^```)?"
    for match in re.finditer(pattern, text, re.M | re.S):
        begin = "\n" * text[: match.start(1)].count("\n")
        yield begin + match[1], match[2]


def check_same(found, wanted):
    """The words are equal, and numbers differ by a tenth at most, or by one of the last digit."""
    assert re.sub(NUMBER, "#", found).split() == re.sub(NUMBER, "#", wanted).split()
    for own, shown in zip(re.findall(NUMBER, found), re.findall(NUMBER, wanted), strict=True):
        a, b = (float(text.replace(",", "").replace("−", "-")) for text in (own, shown))
        digits = len(shown.partition(".")[2]) if "e" not in shown else 12
        assert abs(a - b) <= max(0.1 * abs(b), 1.01 * 10**-digits * ("." in shown)), (own, shown)


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=pytest.mark.slow) if page.stem in TRAINING else page
        for page in PAGES
    ],
    ids=lambda page: page.stem,
)
def test_code_of_a_page_prints_what_it_shows(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(mpl, "rcParams", mpl.rcParams.copy())
    mpl.use("agg")
    names = {}
    for code, shown in parts(page):
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(compile(code, str(page), "exec"), names)
        if shown is not None:
            check_same(said.getvalue(), shown)
        else:
            assert said.getvalue() == "", "a block prints what the page doesn't show"
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == set(re.findall(r"!\[[^]]+\]\(([\w.-]+)\)", page.read_text(encoding="utf-8")))
    assert all((COURSE / name).exists() for name in drawn)


def test_the_pages_lead_to_one_another():
    assert len(PAGES) == 8
    for page, following in pairwise(PAGES):
        assert f"({following.name})" in page.read_text(encoding="utf-8")
        assert f"({page.name})" in following.read_text(encoding="utf-8")
