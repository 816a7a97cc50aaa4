"""All that is shown is run: code and commands of the documents, examples, and docstrings."""

import contextlib
import dataclasses
import doctest
import importlib
import importlib.util
import inspect
import pkgutil
import re
import shlex
import shutil
import statistics
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import recurra
from helpers.serving import server_process
from recurra.cli import main
from recurra.compare.comparison import Comparison
from recurra.compare.trial_process import run_trial
from recurra.config.options import config_from_mapping
from recurra.data.audio.sound import Sound, write_sound
from recurra.errors import MissingExtra
from recurra.tasks.registry import TASKS, config_of
from recurra.tuning.trial_training import run_next_trial

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MODULES = sorted(m.name for m in pkgutil.walk_packages(recurra.__path__, "recurra."))
MODULES.remove("recurra.__main__")
SHOWN = [m for m in MODULES if ">>>" in inspect.getsource(importlib.import_module(m))]
BOOK = "The rain went on. A cell keeps what it needs, and lets go of the rest.\n" * 40
BOOK += "Once more, quickly: the fox jumped over every box by memory!\n"


def blocks(document, *languages):
    """The fenced blocks in these languages, in the order of the page: language, code.

    Blank lines before the code keep its line numbers true.
    """
    text = document.read_text()
    for match in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.M | re.S):
        if match[1] in languages:
            yield match[1], "\n" * text[: match.start(2)].count("\n") + match[2]


def commands(code):
    """The commands of a shell block as words; of torchrun, the one that it runs in each process."""
    for line in code.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["torchrun"]:
            words = words[words.index("-m") + 1 :]
        if words:
            yield words


def sales(weeks=3):
    """Hourly sales of two shops."""
    hours = [datetime(2025, 1, 1) + timedelta(hours=h) for h in range(weeks * 168)]
    rows = [f"{s},{t},{8 + t.hour % 12 + s}" for s in range(2) for t in hours]
    return "\n".join(["unique_id,ds,y", *rows]) + "\n"


def reviews(folder):
    """Tables of labelled texts, one of them without labels."""
    rows = [f"a {word} film,{label}" for word, label in (("fine", "good"), ("sad", "bad"))] * 12
    for name in ("reviews", "other"):
        (folder / f"{name}.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    (folder / "new.csv").write_text("text\na fine story\n")


def sentences(folder):
    """Files of tokens with tags of names, and one of texts without."""
    lines = [f"{name}\tB-PER\nleft\tO\nRome\tB-LOC\n" for name in ("Ann", "Bob") * 8]
    for name in ("sentences", "other"):
        (folder / f"{name}.conll").write_text("\n".join(lines))
    (folder / "new.txt").write_text("Ann left Rome.\n")


def plant(folder):
    """Tables of a plant, one of them without what a soft sensor gives."""
    rows = [f"{minute},{minute % 17},{minute % 5}" for minute in range(300)]
    (folder / "today.csv").write_text("\n".join(["time,heat,flow", *rows]) + "\n")
    rows = [f"{row},{number % 17 / 3}" for number, row in enumerate(rows)]
    (folder / "plant.csv").write_text("\n".join(["time,heat,flow,quality", *rows]) + "\n")


def recordings(folder):
    """A folder of recordings with their texts, a longer one, and a manifest of others."""
    noise = np.random.default_rng(0).normal(size=8000).astype("f4") / 10
    for name in ("recordings", "other"):
        (folder / name).mkdir()
        for number in range(12):
            write_sound(folder / name / f"{number}.wav", Sound(noise, 8000))
            (folder / name / f"{number}.txt").write_text("ab"[number % 2 :])
    rows = [f"{number}.wav,ab" for number in range(12)]
    (folder / "other" / "manifest.csv").write_text("\n".join(["path,text", *rows]) + "\n")
    write_sound(folder / "talk.wav", Sound(noise, 8000))


def translations(folder):
    """Parallel files of two languages."""
    for name in ("news", "test", "new", "more", "all"):
        (folder / f"{name}.de").write_text("ein hund läuft .\nein kind lacht .\n" * 20)
        (folder / f"{name}.en").write_text("a dog runs .\na child laughs .\n" * 20)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """An empty directory to work in, with the files that documents speak of."""
    for name in ("mycell", "bits"):  # of another directory
        sys.modules.pop(name, None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "book.txt").write_text(BOOK)
    (tmp_path / "sales.csv").write_text(sales())
    reviews(tmp_path)
    sentences(tmp_path)
    plant(tmp_path)
    (tmp_path / "newer.csv").write_text(sales(weeks=4))
    recordings(tmp_path)
    translations(tmp_path)
    yield tmp_path
    for name in ("mycell", "bits"):
        sys.modules.pop(name, None)


FEW = {"max_steps": 2, "batch_size": 4}
SMALL = {
    "classify": {**FEW, "hidden": 8, "channels": 4},
    "language": {**FEW, "window": 16},
    "regress": {**FEW, "hidden": 8, "channels": 4},
    "forecast": {**FEW, "hidden": 16, "budget": "5s"},
    "tag": {**FEW, "hidden": 8, "channels": 4},
    "transcribe": {**FEW, "hidden": 8, "channels": 4},
    "translate": {**FEW, "hidden": 8, "embedding": 8},
    "long-range": {**FEW, "validate_every": 1, "validation_sequences": 4, "test_sequences": 4},
}


@pytest.fixture
def briefly(monkeypatch):
    """Trainings are small and end after two steps, whatever a document asks for; comparisons have
    one seed and train in this process, without pictures.
    """
    read, begin = config_from_mapping, Comparison.__post_init__

    def small(cls, settings):
        found = {**settings, **SMALL.get(getattr(cls, "task", ""), {})}
        if settings.get("model", "auto") != "auto":
            found.pop("budget", None)  # it is for choosing a model
        return read(cls, found)

    def one_seed(comparison):
        object.__setattr__(comparison, "seeds", 1)
        begin(comparison)

    def run_here(jobs, workers, *, progress, ended):
        for job in jobs:
            with monkeypatch.context() as interpreted:
                interpreted.setenv("RECURRA_ENGINE", "interp")
                run_trial(**job.arguments)
            ended(job, None)

    monkeypatch.setattr("recurra.config.task_config.config_from_mapping", small)
    monkeypatch.setattr(Comparison, "__post_init__", one_seed)

    def try_here(jobs, workers, *, progress, ended, failed):
        monkeypatch.setattr(
            "recurra.tuning.trial_training.report_progress", lambda **line: progress("", line)
        )
        for job in jobs:
            ended(job, run_next_trial(**job.arguments))

    monkeypatch.setattr("recurra.compare.comparison_run.run_jobs", run_here)
    monkeypatch.setattr("recurra.tuning.tuning_run.run_jobs", try_here)
    monkeypatch.setattr("recurra.compare.findings.require_matplotlib", no_matplotlib)


def no_matplotlib():
    raise MissingExtra("matplotlib", "plot", "A picture")


def run_python(code, file, names):
    """Run a block, its file where a user would save it."""
    named = re.match(r"\n*# (\w+\.py)\n", code)
    if named:
        Path(named[1]).write_text(code.lstrip("\n"))
    file.write_text(code)
    exec(compile(code, str(file), "exec"), names)


def run_command(words, serving):
    """Run `recurra ...`; a server in a process of its own, which `serving` ends.

    `make` is held to the Makefile below.
    """
    if words[0] == "make":
        return
    if words[0] == "curl":
        subprocess.run([*words, "--fail", "--silent"], check=True, stdout=subprocess.DEVNULL)
        return
    assert words[0] == "recurra", words
    if words[1] == "serve":
        serving.enter_context(server_process(*words[2:]))
        return
    result = CliRunner().invoke(main, words[1:])
    assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}\n{result.exception!r}"


BLOCKS = {
    "README.md": (12, 10),
    "cells.md": (4, 0),
    "classification.md": (4, 3),
    "compare.md": (2, 1),
    "design.md": (0, 0),
    "export.md": (1, 1),
    "forecasting.md": (4, 1),
    "insight.md": (5, 1),
    "remedies.md": (2, 1),
    "serving.md": (1, 2),
    "stacks.md": (5, 0),
    "streaming.md": (3, 0),
    "tagging.md": (2, 1),
    "tasks.md": (3, 2),
    "training.md": (2, 1),
    "transcription.md": (2, 1),
    "translation.md": (1, 2),
    "tuning.md": (1, 1),
}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_code_and_commands_of_documents_run_in_the_order_of_the_page(document, desk, briefly):
    names = {}
    found = list(blocks(document, "python", "sh"))
    with contextlib.ExitStack() as serving:
        for language, code in found:
            if language == "python":
                run_python(code, desk / f"{document.stem}_{code.count(chr(10))}.py", names)
            else:
                for words in commands(code):
                    run_command(words, serving)
    languages = [language for language, _ in found]
    assert (languages.count("python"), languages.count("sh")) == BLOCKS[document.name]


def header_commands(path):
    """The commands in the comment that begins a configuration."""
    header = re.match(r"(?:#.*\n)+", path.read_text())[0]
    lines = (re.sub(r"#\s+(command\s+)?", "", line) for line in header.splitlines())
    return [w for line in lines if re.match("(recurra|python) ", line) for w in commands(line)]


CONFIGS = sorted([*(ROOT / "configs").glob("*.toml"), *(ROOT / "benchmarks").glob("*/*.toml")])


@pytest.fixture
def parsed(monkeypatch):
    """`recurra` parses its words and does nothing; the paths of the commands it was to run."""
    found = []
    monkeypatch.setattr("click.Command.invoke", lambda _, context: found.append(context.info_name))
    return found


def check_words(words):
    """Hold a command that takes long to the options that its program has."""
    if words[0] == "recurra":
        result = CliRunner().invoke(main, words[1:])
        assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}"
    elif words[0] == "python":
        source = (ROOT / words[1]).read_text()
        flags = {word.partition("=")[0] for word in words[2:] if word.startswith("--")}
        assert {flag for flag in flags if f'"{flag}"' not in source} <= {"--lookback", "--steps"}
        assert words[1] == "benchmarks/forecast/scale.py" or "--lookback" not in flags
    for word in words[1:]:
        if re.fullmatch(r"(configs|benchmarks)/.*\.(toml|py)", word):
            assert (ROOT / word).exists(), word


def test_commands_of_the_benchmarks_are_understood(parsed):
    page = [
        words
        for _, code in blocks(ROOT / "benchmarks" / "README.md", "sh")
        for words in commands(code)
    ]
    assert len(page) > 20
    for words in page:
        check_words(words)
    assert {"train", "evaluate", "compare", "bench"} & {*parsed} >= {"evaluate", "compare", "bench"}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_commands_of_configurations_are_understood(path, parsed):
    found = header_commands(path)
    assert found
    for words in found:
        check_words(_without_options(words) if words[:2] == ["recurra", "evaluate"] else words)


def _without_options(words):
    """`recurra evaluate` without the options of its task, which it has for a run that is there."""
    options = [config_of(task).evaluation for task in TASKS]
    names = {field.name for each in options for field in dataclasses.fields(each)}
    fields, off = {f"--{name}" for name in names}, {f"--no-{name}" for name in names}
    words = [word for word in words if word not in off]
    named = [place for place, word in enumerate(words) if word in fields]
    return [word for place, word in enumerate(words) if not {place, place - 1} & {*named}]


def test_no_command_of_a_document_is_left_out():
    """Each stands in a block of its own language: one in an indented block would never run."""
    for document in [*DOCUMENTS, ROOT / "benchmarks" / "README.md"]:
        text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.M | re.S)
        assert not re.findall(r"^(?: {4}|\t)(?:recurra|python|make|torchrun) .*", text, re.M)


def test_lines_of_the_readme_are_short():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert not [line for line in lines if len(line) > 120]


def pictures():
    """The script that draws the pictures of the benchmarks and of the README, as a module."""
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "benchmarks" / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_readmes_figures_are_those_of_the_benchmarks():
    readme, page = ((ROOT / p).read_text() for p in ("README.md", "benchmarks/README.md"))
    rows = dict(
        re.findall(r"^\| (?:training step.*|the same): (.*?) \| \*\*(.*?)\*\*", readme, re.M)
    )
    grids = {name: grid.ratios for name, grid in pictures().grids().items()}
    assert [len(ratios) for ratios in grids.values()] == [24] * 3
    assert rows == {
        name.replace("RNN", "simple RNN"): f"{min(ratios):.1f} to {max(ratios):.1f}"
        for name, ratios in grids.items()
    }
    for name, ratios in grids.items():
        mean = re.findall(rf"^\| (?:simple )?{name} \| ([\d.]+) x \| ([\d.]+) x", page, re.M)[-1]
        assert statistics.geometric_mean(ratios) == pytest.approx(float(mean[0]), rel=0.01)
        assert min(ratios) == float(mean[1])
    for figure in ("0.408", "0.440", "1.476", "1.4697"):
        assert figure in readme
        assert figure in page


def test_the_readmes_picture_shows_what_its_caption_tells(monkeypatch):
    script = pictures()
    monkeypatch.setattr(script, "ROWS", 2)
    speed, gradient = script.draw_overview().axes
    dots = [line.get_ydata() for line in speed.lines if line.get_marker() == "o"]
    assert all(min(ratios) > 1 for ratios in dots)
    left = {line.get_label(): line.get_ydata() for line in gradient.lines}
    plain = [left["simple RNN"], left["LSTM, as torch.nn initialises it"]]
    assert [next(d for d, n in enumerate(norms, 1) if n < 0.01) for norms in plain] == [9, 9]
    assert left["LSTM, chrono initialisation"][-1] > 0.1
    assert len(left["LSTM, chrono initialisation"]) == 599


def test_the_benchmarks_pictures_show_the_tables():
    script = pictures()
    above, below = script.draw_layers().axes[:2]
    heights = [[bar.get_height() for bar in bars] for bars in above.containers]
    assert [len(bars) for bars in heights] == [24, 24]
    assert heights[0][:3] == [1.34, 1.25, 1.15]
    assert heights[1][-1] == 1.63
    assert [bar.get_height() for bar in below.containers[1]][-1] == 74
    costs = script.costs()
    assert costs["LSTM"]["layer normalisation by gate"] == [62, 17]
    assert costs["GRU"]["weight drop"] == [7, -5]
    assert [len(remedies) for remedies in costs.values()] == [14, 12]
    assert [len(axes.containers) for axes in script.draw_remedies().axes] == [2, 2]


def test_the_readmes_error_is_the_real_one(desk):
    readme = (ROOT / "README.md").read_text()
    own = next(c for _, c in blocks(ROOT / "README.md", "python") if "# mycell.py" in c)
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
    assert names == [
        "own_cell",
        "pen_to_text",
        "read_images",
        "swap_layers",
        "truncated_bptt",
        "voice_commands",
    ]


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [("own_cell", {"steps": 2}), ("read_images", {"steps": 2}), ("truncated_bptt", {"epochs": 1})],
)
def test_examples_run(name, kwargs):
    run_example(ROOT / "examples" / f"{name}.py", **kwargs)


SHORT = {"count": 40, "steps": 2, "port": 0}


def test_the_pen_is_read():
    pytest.importorskip("HersheyFonts", reason="Hershey-Fonts isn't installed")
    assert run_example(ROOT / "examples" / "pen_to_text.py", **SHORT) <= 1


def test_voices_are_heard():
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng isn't installed")
    assert run_example(ROOT / "examples" / "voice_commands.py", **SHORT) <= 1


def test_swapping_moves_no_output():
    assert run_example(ROOT / "examples" / "swap_layers.py") < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "enough"), [("own_cell", 0.99), ("read_images", 0.8), ("truncated_bptt", -0.002)]
)
def test_examples_learn(name, enough):
    result = run_example(ROOT / "examples" / f"{name}.py")
    assert (-result if enough < 0 else result) >= enough


TINY = """
model = "direct"
layout = "{layout}"
time = "{time}"
freq = "{freq}"
hidden = 4
max_steps = 2
lookback = 48
quantiles = "0.01,0.05,0.1587,0.8413,0.95,0.99"
"""


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize(
    ("script", "table", "words"),
    [
        ("etth1", {"layout": "wide", "time": "date", "freq": "h"}, ["--horizons", "96"]),
        ("exchange_rate", {"layout": "wide", "time": "day", "freq": "1"}, []),
        ("m4_hourly", {"layout": "rows", "time": "ds", "freq": "1"}, ['id="id"']),
        ("value_at_risk", {"layout": "wide", "time": "day", "freq": "1"}, []),
        ("scale", {}, ["--series", "50", "--length", "200", "--steps", "2"]),
    ],
)
def test_scripts_of_benchmarks_run(real_data, tmp_path, script, table, words):
    if table:
        (tmp_path / "tiny.toml").write_text(TINY.format(**table))
        words = ["--config", str(tmp_path / "tiny.toml"), *words]
    path = ROOT / "benchmarks" / "forecast" / f"{script}.py"
    done = subprocess.run([sys.executable, path, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout


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
