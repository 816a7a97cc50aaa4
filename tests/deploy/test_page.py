"""The served page in Chromium, with a backend that answers fixed numbers."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from helpers.page_server import served_page
from recurra.deploy.page import PAGE_FILES, single_page
from recurra.plots import COLOURS

BACKEND = (Path(__file__).parents[1] / "helpers" / "page_backend.js").read_text(encoding="utf-8")
CHROMIUM = "/usr/bin/chromium"
UNNAMED = """[...document.querySelectorAll("input, textarea, select, meter, button")].filter(
    (x) => !x.labels?.length && !x.ariaLabel && !x.textContent.trim()).length"""


def opened(browser: Any, path: Path, width: int) -> tuple[Any, list[str]]:
    page = browser.new_page(viewport={"width": width, "height": 900})
    troubles: list[str] = []
    page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    outside = re.compile("(?!file:|data:)")
    page.on("request", lambda r: troubles.append(r.url) if outside.match(r.url) else None)
    page.goto(path.as_uri())
    page.wait_for_selector("main .view")
    return page, troubles


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright isn't installed")
    if not shutil.which(CHROMIUM):
        pytest.skip(f"{CHROMIUM} isn't installed")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(single_page(BACKEND), encoding="utf-8")
    return path


def use(page: Any, run: str) -> None:
    """Give the view of `run` an input, by keyboard where it has a form."""
    page.get_by_label("Run", exact=True).select_option(run)
    if run == "forecast-numbers":
        page.get_by_label("Next observation").fill("1.5")
        page.keyboard.press("Enter")
    elif run == "transcribe-ink":
        page.get_by_text("Paste points instead").click()
        page.get_by_label("Points, one a line").fill("1, 2, 1\n3, 4, 0")
        page.get_by_role("button", name="Send points").click()
    elif run != "transcribe-sound":
        page.locator("textarea").fill("0.25\n0.75" if run.endswith("numbers") else "a House")
        page.keyboard.press("Tab")
        if run == "language-text":
            page.keyboard.press("Enter")
        else:
            page.keyboard.press("Space")


ANSWERS = {
    "language-text": "the quick brown fox",
    "transcribe-ink": "hello wor",
    "forecast-numbers": "90 % between",
    "tag-text": "HouseNAME",
    "classify-numbers": "dog25.0 %",
    "regress-numbers": "3.25 between 3 and 3.5",
    "translate-text": "ein HausOne token is unknown",
    "transcribe-sound": "The text appears here.",
}


@pytest.mark.parametrize("width", [400, pytest.param(1280, marks=pytest.mark.slow)])
@pytest.mark.parametrize("run", ANSWERS)
def test_a_view_shows_its_answer(browser: Any, path: Path, run: str, width: int) -> None:
    page, troubles = opened(browser, path, width)
    use(page, run)
    page.wait_for_function(
        "text => document.querySelector('main').textContent.includes(text)", arg=ANSWERS[run]
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(UNNAMED) == 0
    assert troubles == []
    page.close()


def test_errors_and_a_lost_server_are_words(browser: Any, path: Path) -> None:
    page, _ = opened(browser, path, 1280)
    page.get_by_label("Run", exact=True).select_option("tag-text")
    page.locator("textarea").fill("bad")
    page.get_by_role("button", name="Run").click()
    assert page.get_by_role("alert").first.inner_text() == "The text has an unknown word."
    page.evaluate("lose()")
    assert page.locator("#notice").inner_text() == "The server stopped. Reconnect"
    page.close()


def test_the_page_speaks_to_a_server_and_says_when_it_went_away(browser: Any) -> None:
    with served_page() as address:
        page = browser.new_page()
        troubles: list[str] = []
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.goto(address)
        page.get_by_label("Text").fill("to be")
        page.get_by_role("button", name="Run").click()
        page.wait_for_selector("text=TAG0")
        assert page.locator(".word small").all_inner_texts() == ["TAG0", "TAG1"]
        assert troubles == []
    page.get_by_role("button", name="Reconnect").wait_for()
    page.close()


def test_speech_is_sent_with_its_rate(browser: Any, path: Path) -> None:
    fake = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    speaking = browser.browser_type.launch(executable_path=CHROMIUM, args=["--no-sandbox", *fake])
    page, troubles = opened(speaking, path, 1280)
    page.get_by_label("Run", exact=True).select_option("transcribe-sound")
    page.get_by_role("button", name="Speak").click()
    page.wait_for_function(
        "() => seen.some(({ samples }) => samples?.some((value) => value !== 0))"
    )
    assert page.evaluate("seen.find(({ type }) => type === 'sound').rate") in (44100, 48000)
    page.get_by_role("button", name="Stop").click()
    assert page.evaluate("seen.at(-1)") == {"type": "finish"}
    assert troubles == []
    speaking.close()


def test_strokes_are_points(browser: Any, path: Path) -> None:
    page, _ = opened(browser, path, 1280)
    page.get_by_label("Run", exact=True).select_option("transcribe-ink")
    box = page.locator("canvas").bounding_box()
    page.mouse.move(box["x"] + 10, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 40, steps=3)
    page.mouse.up()
    points = page.evaluate("seen.at(-1).points")
    assert [pen for *_, pen in points] == [1, 1, 1, 0]
    page.get_by_role("button", name="Undo stroke").click()
    assert page.evaluate("seen.at(-1)") == {"type": "reset"}
    page.close()


def test_the_page_has_the_colours_of_pictures() -> None:
    style = (files("recurra.deploy.page") / "page.css").read_text(encoding="utf-8")
    assert tuple(re.findall(r"--colour\d: (#\w+)", style)) == COLOURS


def test_the_page_loads_only_its_files() -> None:
    folder = files("recurra.deploy.page")
    sources = {f.name for f in folder.iterdir() if f.name.endswith((".js", ".css"))}
    assert sources == set(PAGE_FILES)
