"""All that is shown is run: code and commands of the documents, examples, and docstrings."""

import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import recurra
from recurra.cli import main

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MODULES = sorted(m.name for m in pkgutil.walk_packages(recurra.__path__, "recurra."))
MODULES.remove("recurra.__main__")
SHOWN = [m for m in MODULES if ">>>" in inspect.getsource(importlib.import_module(m))]
BOOK = "The rain went on. A cell keeps what it needs, and lets go of the rest.\n" * 40


def blocks(document, language):
    """The fenced blocks of a language, with the blank lines that keep their line numbers true."""
    text = document.read_text()
    for match in re.finditer(rf"^```{language}\n(.*?)^```", text, re.M | re.S):
        yield "\n" * text[: match.start(1)].count("\n") + match[1]


def sales():
    """Hourly sales of two shops over three weeks."""
    hours = [datetime(2025, 1, 1) + timedelta(hours=h) for h in range(500)]
    rows = [f"{s},{t},{8 + t.hour % 12 + s}" for s in range(2) for t in hours]
    return "\n".join(["unique_id,ds,y", *rows]) + "\n"


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty directory to work in, with the file that documents speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "book.txt").write_text(BOOK)
    (tmp_path / "sales.csv").write_text(sales())
    yield tmp_path
    sys.modules.pop("mycell", None)


@pytest.fixture
def briefly(monkeypatch):
    """Trainings are small and end after two steps, whatever a document asks for."""
    small = {"max_steps": 2, "batch_size": 4, "hidden": 16}
    shorten(monkeypatch, recurra.LanguageModel, {**small, "window": 16})
    shorten(monkeypatch, recurra.Forecaster, {**small, "samples": 10})


def shorten(monkeypatch, model, small):
    """Have a task's model take these settings, whatever it is given."""
    made = model.__init__
    monkeypatch.setattr(
        model, "__init__", lambda self, **settings: made(self, **{**settings, **small})
    )


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_of_documents(document, desk, briefly):
    names = {"torch": torch}
    for code in blocks(document, "python"):
        file = desk / f"{document.stem}_{code.count(chr(10))}.py"
        file.write_text(code)
        exec(compile(code, str(file), "exec"), names)


def test_commands_of_the_readme(desk, briefly):
    readme = ROOT / "README.md"
    own = next(code for code in blocks(readme, "python") if "# mycell.py" in code)
    (desk / "mycell.py").write_text(own.lstrip("\n"))
    commands = [line for code in blocks(readme, "sh") for line in code.splitlines()]
    commands = [line for line in commands if line.startswith("recurra ")]
    assert len(commands) == 9
    for line in commands:
        result = CliRunner().invoke(main, shlex.split(line)[1:])
        assert result.exit_code == 0, f"{line}\n{result.output}"


def test_the_readmes_error_is_the_real_one(desk):
    readme = (ROOT / "README.md").read_text()
    own = next(code for code in blocks(ROOT / "README.md", "python") if "# mycell.py" in code)
    (desk / "mycell.py").write_text(own.lstrip("\n").replace("W.n @ x", "W.k @ x"))
    result = CliRunner().invoke(main, ["cells", "mycell:Minimal"])
    assert result.exit_code == 2
    shown = re.search(r'error at its line: "(.*?)"', readme, re.S)[1].replace("\n", " ")
    assert shown in " ".join(result.output.split())


def test_makefile_words_of_the_documents_exist():
    makefile = (ROOT / "Makefile").read_text()
    words = set(re.findall(r"^make (\w+)", (ROOT / "README.md").read_text(), re.M))
    words |= set(re.findall(r"^make (\w+)", (ROOT / "CONTRIBUTING.md").read_text(), re.M))
    assert {"demo", "test", "check"} <= words
    for word in words:
        assert re.search(rf"^{word}:", makefile, re.M), word


def test_links_of_the_documents_lead_somewhere():
    for document in DOCUMENTS:
        for target in re.findall(r"\]\((?!http)([^)#]+)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"


def run_example(path, **kwargs):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main(**kwargs)


def test_there_are_examples():
    names = [path.stem for path in EXAMPLES]
    assert names == ["own_cell", "read_images", "swap_layers", "truncated_bptt"]


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("own_cell", {"steps": 2}), ("read_images", {"steps": 2}), ("truncated_bptt", {"epochs": 1})],
)
def test_examples_run(name, kwargs):
    run_example(ROOT / "examples" / f"{name}.py", **kwargs)


def test_swapping_moves_no_output():
    assert run_example(ROOT / "examples" / "swap_layers.py") < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "enough"), [("own_cell", 0.99), ("read_images", 0.8), ("truncated_bptt", -0.002)]
)
def test_examples_learn(name, enough):
    result = run_example(ROOT / "examples" / f"{name}.py")
    assert (-result if enough < 0 else result) >= enough


@pytest.mark.parametrize("name", SHOWN)
def test_docstrings(name):
    module = importlib.import_module(name)
    names = {**vars(module), "torch": torch}
    flags = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.testmod(module, extraglobs=names, optionflags=flags)
    assert result.failed == 0


def test_docstrings_hold_examples():
    finder = doctest.DocTestFinder()
    found = [
        t for name in MODULES for t in finder.find(sys.modules.get(name, recurra)) if t.examples
    ]
    assert len(found) >= 20
