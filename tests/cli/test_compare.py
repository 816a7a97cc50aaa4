"""`recurra compare`: what it prints and leaves, what it refuses, Ctrl-C and resuming."""

import json
import signal
import time
import tomllib
from pathlib import Path

import pytest

from recurra.compare.comparison import comparison_from

CONFIGS = sorted((Path(__file__).parents[2] / "benchmarks/long_range").glob("*.toml"))
SMALL = ("--length", 8, "--hidden", 3, "--batch", 2, "--seeds", 1, "--set", "test_sequences=3")
SMALL = (*SMALL, "--set", "validation_sequences=3")


def test_a_table(recurra, here):
    result = recurra("compare", "adding", "--cells", "gru", "--steps", 2, *SMALL, "--out", "c")
    assert result.exit_code == 0, result.output
    for word in ("test loss", "gru", "by chance", "c/report.html"):
        assert word in result.stdout
    assert "[1/1]" in result.stderr
    rows = json.loads((here / "c/table.json").read_text())["rows"]
    assert [(row["label"], row["trainings"]) for row in rows] == [("gru", 1)]
    assert (here / "c/runs/gru-0/model.safetensors").exists()
    again = recurra("compare", "--resume", "--out", "c")
    assert "Resuming: 1 of them have ended before." in again.stderr
    assert again.exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            (),
            "No problem given; the problems are classify, forecast, language, regress, tag,",
        ),
        (("adding",), "No cells to compare; name some: --cells"),
        (("ading", "--cells", "gru"), "There is no problem 'ading'"),
        (("addding", "--cells", "gru"), "no problem 'addding'; did you mean adding?"),
        (("adding", "lstm", "--cells", "gru"), "lstm is a cell; --cells takes names with commas"),
        (("adding", "--cells", "gru,"), "cells = ['gru', '']; it must be a list of names"),
        (("adding", "--cells", "gru, grru"), "grru: There is no cell 'grru'"),
        (("adding", "--cells", "grru"), "grru: There is no cell 'grru'; did you mean gru?"),
        (("adding", "--cells", "gru", "--length", 1), "gru: length = 1 is too short"),
        (("adding", "--cells", "gru", "--parameters", 5), "gru: parameters = 5; the smallest"),
        (("adding", "--cells", "gru", "--set", "hiden=3"), "did you mean 'hidden'?"),
        (("adding", "--cells", "gru", "--set", "layers"), "give a setting as KEY=VALUE"),
        (
            ("adding", "a.txt", "--cells", "gru"),
            "the sequences of long-range problems are drawn, not read",
        ),
        (("--resume",), "holds no comparison"),
        (("adding", "--cells", "gru", "--config", "no.toml"), "no.toml: the configuration cannot"),
    ],
)
def test_mistakes_are_told_in_one_line_before_anything_is_made(recurra, here, words, message):
    result = recurra("compare", *words, "--out", "c")
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (here / "c").exists()


def test_help_names_the_problems_and_loads_nothing_heavy(process):
    showing = process("compare", "--help", python=("-X", "importtime", "-m", "recurra"))
    out, err = showing.communicate(timeout=120)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in err.splitlines()}
    assert "temporal-order-3" in out
    assert not loaded & {"torch", "numpy", "rich", "matplotlib"}


def test_settings_come_from_the_file_and_the_words(recurra, here, monkeypatch):
    (here / "c.toml").write_text(
        'problem = "copy"\nlength = 4\nsteps = 1\n'
        '[cells.ornn]\ncell = "rnn"\northogonal = true\n[cells.gru]\n'
    )
    asked = []
    monkeypatch.setattr(
        "recurra.compare.comparison_run.plan", lambda comparison: asked.append(comparison)
    )
    words = ("--cells", "ornn,lstm", "--steps", 7, "--set", "layers=2", "--set", "skip=residual")
    recurra("compare", "--config", "c.toml", *words, "--out", "c")
    assert asked[0].cells == {"ornn": {"cell": "rnn", "orthogonal": True}, "lstm": {}}
    assert (asked[0].problem, asked[0].steps) == ("copy", 7)
    assert asked[0].shared == {"length": 4, "layers": 2, "skip": "residual"}


@pytest.mark.parametrize(
    ("session", "number", "code"),
    [("ctrl_c", signal.SIGINT, 130), ("background", signal.SIGTERM, 143)],
)
def test_a_signal_keeps_what_there_is_and_says_how_to_resume(
    process, here, request, session, number, code
):
    request.getfixturevalue(session)
    long = ("--steps", 100_000, "--set", "checkpoint_every=100_000", "--set", "log_every=5", *SMALL)
    comparing = process("compare", "adding", "--cells", "rnn", *long, "--out", "c")
    rows = here / "c/runs/rnn-0/metrics.jsonl"
    while not rows.exists() or not rows.stat().st_size:
        assert comparing.poll() is None, comparing.communicate()
        time.sleep(0.02)
    comparing.send_signal(number)
    _, err = comparing.communicate(timeout=120)
    assert comparing.returncode == code
    saved = max((here / "c/runs/rnn-0/checkpoints").iterdir())
    assert saved.name > "step-00000000"
    assert "recurra compare --resume --out c" in err
    assert "Traceback" not in err
    assert json.loads((here / "c/comparison.json").read_text())["steps"] == 100_000


def test_the_benchmarks_are_here():
    assert {"adding-600", "copy-1000", "clipping", "depth"} <= {path.stem for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_benchmark_tells_its_command_metric_and_hardware(path):
    text = path.read_text()
    header = [line.removeprefix("#").split()[:1] for line in text.splitlines() if line[:1] == "#"]
    assert [word in header for word in (["command"], ["metric"], ["hardware"])] == [True] * 3
    command = f"recurra compare --config benchmarks/long_range/{path.name} --out runs/{path.stem}\n"
    assert command in text
    assert len(comparison_from(tomllib.loads(text)).cells) > 1
