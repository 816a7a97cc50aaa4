"""`recurra inspect` as a user calls it."""

import shutil

import pytest

from recurra import LanguageModel
from recurra.errors import RecurraWarning


def test_it_prints_layers_and_verdicts_and_adds_pictures(recurra, run):
    result = recurra("inspect", run, "--steps", 12, "--rows", 2)
    assert result.exit_code == 0, result.output
    for word in (
        "horizon",
        "radius",
        "exponent",
        "LSTM",
        "near their limits",
        "steps were clipped",
    ):
        assert word in result.stdout
    page = (run / "report.html").read_text()
    assert page.count("<h2>Gradient flow</h2>") == 1
    assert "<h2>Learning curves</h2>" in page


def test_another_text_and_another_page(recurra, run, here, undrawn):
    before = (run / "report.html").read_bytes()
    result = recurra("inspect", run, "cats.txt", "--steps", 15, "--out", "page.html")
    assert result.exit_code == 0, result.output
    assert "Pictures: page.html" in result.stdout
    assert "<h2>Dynamics</h2>" in (here / "page.html").read_text()
    assert (run / "report.html").read_bytes() == before


def test_from_python_it_gives_what_it_prints(run, undrawn):
    found, page = LanguageModel.load(run).inspect(rows=2, steps=12)
    assert page == run / "report.html"
    assert [layer.name for layer in found.layers] == ["recurrent"]
    assert found.verdicts


def test_resuming_the_training_keeps_the_inspection(run, tmp_path, undrawn):
    out = shutil.copytree(run, tmp_path / "copy")
    (out / "report.html").write_text("cut sh")
    with pytest.warns(RecurraWarning, match=r"report\.html is replaced: report\.html is cut short"):
        LanguageModel().fit(out=out, resume=True)
    LanguageModel.load(out).inspect(rows=1, steps=12)
    for steps in (22, 24):
        LanguageModel(max_steps=steps).fit(out=out, resume=True)
    page = (out / "report.html").read_text()
    assert f">{steps}</td>" in page
    assert page.count("<h2>Verdicts</h2>") == 1
    assert "<td>20 steps of training</td>" in page
    assert page.count("<h2>Gradient flow during training</h2>") == 1


def test_mistakes_are_told_in_a_line(recurra, run, here):
    (here / "short.txt").write_text("the cat")
    for words, told in [
        ((run, "short.txt"), "has 7 tokens, and 100 steps need 101; give a longer text"),
        ((run, "--rows", 0), "rows = 0, steps = 100; give 1 row or more"),
        (("nowhere",), "does not exist"),
    ]:
        result = recurra("inspect", *words)
        assert result.exit_code == 2
        assert told in result.stderr
        assert result.stderr.count("\n") == 1
