"""Pages without a server, in Chromium, beside the runs that they are of."""

import importlib.util
import json
import shutil
import warnings

import numpy as np
import pytest

import recurra
from helpers.small_models import WAVES
from recurra.deploy.export import evaluate_exported, export
from recurra.errors import ConfigError, MissingExtra, RecurraWarning

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("ziglang") is None, reason="ziglang is not installed"
)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Runs of text and of series."""
    folder = tmp_path_factory.mktemp("runs")
    text = "the quick brown fox jumps over the lazy dog. " * 40
    brief = {"hidden": 12, "max_steps": 20}
    waves = [np.stack([wave, np.roll(wave, 3)], 1) for wave in WAVES]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecurraWarning)
        return {
            "text": recurra.LanguageModel(window=20, batch_size=4, **brief).fit(
                text, out=folder / "text"
            ),
            "classes": recurra.Classifier(bidirectional=False, **brief).fit(
                waves, ["up", "down"] * 10, out=folder / "classes"
            ),
            "number": recurra.Regressor(bidirectional=False, level=0.5, **brief).fit(
                waves, np.arange(20) / 50, out=folder / "number"
            ),
        }


def test_the_module_imports_nothing_and_agrees(runs):
    found = evaluate_exported(runs["text"], "html", "a lazy dog jumps over the fox. " * 9)
    assert found.evaluation.remarks[-1] == "Every figure is that of the run itself."


@pytest.fixture(scope="module")
def browser():
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def opened(browser, model, folder, width=1280):
    """The page of a model, and what its console said."""
    (path,) = export(model, "html", folder)
    page = browser.new_page(viewport={"width": width, "height": 900})
    troubles, requests = [], []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    page.wait_for_selector("form")
    assert requests == [path.as_uri()]
    return page, troubles


@pytest.mark.parametrize("width", [400, 1280])
def test_a_text_is_written_on(browser, runs, tmp_path, width):
    page, troubles = opened(browser, runs["text"], tmp_path, width)
    page.get_by_label("Beginning of the text").fill("the quick ")
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Length").fill("40")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector("text=Done: 40 tokens.")
    written = "".join(page.locator(".token").all_text_contents())
    wanted = runs["text"].generate("the quick ", length=40, temperature=0)
    assert written == wanted.removeprefix("the quick ")
    assert page.locator(".units i").count() == 12
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert troubles == []
    page.close()


def test_letters_are_read_as_the_run_reads_them(browser, tmp_path):
    text = "the quick brown fox jumps over the lazy dog. " * 40
    model = recurra.LanguageModel(lower=True, hidden=12, max_steps=20, window=20, batch_size=4)
    page, troubles = opened(browser, model.fit([text.title()], out=tmp_path / "run"), tmp_path)
    page.get_by_label("Beginning of the text").fill("ÀQuick Brown ")
    page.get_by_label("Temperature").fill("0")
    page.get_by_label("Length").fill("30")
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector("text=Done: 30 tokens.")
    written = "".join(page.locator(".token").all_text_contents())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RecurraWarning)
        wanted = model.generate("ÀQuick Brown ", length=30, temperature=0)
    assert wanted.endswith(written)
    assert troubles == []
    page.close()


@pytest.mark.parametrize("name", ["classes", "number"])
def test_series_are_answered_as_by_the_run(browser, runs, tmp_path, name):
    page, troubles = opened(browser, runs[name], tmp_path)
    rows = np.stack([np.linspace(-1, 2, 30), np.linspace(1, 0, 30)], 1).astype(np.float32)
    text = "\n".join(f"{a}, {b}" for a, b in rows.tolist())
    page.locator("textarea").fill(text)
    page.get_by_role("button", name="Run").click()
    if name == "classes":
        page.wait_for_selector(".bar b")
        shown = [float(t.removesuffix(" %")) for t in page.locator(".bar b").all_inner_texts()]
        np.testing.assert_allclose(shown, 100 * runs[name].predict_proba([rows])[0], atol=0.06)
    else:
        page.wait_for_selector(".figure b")
        shown = float(page.locator(".figure b").inner_text())
        assert shown == pytest.approx(float(runs[name].predict([rows])[0]), rel=1e-3)
    page.locator("textarea").fill("1\n2")
    page.get_by_role("button", name="Run").click()
    page.wait_for_selector("text=A row has 1 numbers, and the model reads 2")
    assert troubles == []
    page.close()


def test_what_has_no_page_is_said(runs, tmp_path, monkeypatch):
    from helpers.small_models import small_model

    for name, said in (
        ("words", "ensemble of 2"),
        ("films", "reads text; use `recurra serve`"),
        ("tags", "task tag have no page of their own"),
    ):
        with pytest.raises(ConfigError, match=said):
            export(small_model(name), "html", tmp_path)
    monkeypatch.setattr("recurra.deploy.export.web_assembly.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="ziglang"):
        export(runs["text"], "html", tmp_path)
    assert json.dumps(list(map(str, tmp_path.iterdir()))) == "[]"
