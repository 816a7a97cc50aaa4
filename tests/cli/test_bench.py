"""`recurra bench`: what it prints and writes, and what it refuses before it measures."""

import json

import pytest

from recurra.bench import SUITES

TINY = ("--batch", 2, "--steps", 3, "--size", "4,5", "--rounds", 1, "--warmup", 1)


@pytest.fixture(autouse=True)
def _peak(monkeypatch):
    monkeypatch.setattr("recurra.bench.results.peak", lambda: 5e9)


def test_help_explains_every_suite(recurra):
    text = recurra("bench", "--help").stdout
    for suite in SUITES.values():
        assert f"{suite.name:<10} {suite.summary}" in text


def test_help_loads_nothing_heavy(process):
    heavy = ("torch", "numpy", "rich", "matplotlib", "pandas")
    code = f"""
import sys
from recurra.cli.app import VERBS, main
for verb in VERBS:
    try:
        main([verb, *(["language"] if verb == "train" else []), "--help"])
    except SystemExit as ended:
        assert not ended.code
    print(verb, "loads", [name for name in {heavy!r} if name in sys.modules])
"""
    out, err = process(python=("-c", code)).communicate(timeout=60)
    found = [line for line in out.splitlines() if " loads " in line]
    assert len(found) >= 8, err
    assert all(line.endswith("loads []") for line in found), found


def test_a_table_for_each_suite(recurra):
    result = recurra("bench", "layers", "own", "--layer", "lstm", *TINY)
    assert result.exit_code == 0, result.output
    assert "FMA peak 5 GFLOP/s before, 5 after" in result.stdout
    starts = [line.split()[:5] for line in result.stdout.splitlines()]
    assert starts.count(["LSTM", "training", "2", "3", "5"]) == 2
    assert "eager loop" in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 120


def test_without_a_suite_it_is_layers(recurra, here):
    assert recurra("bench", "--layer", "RNN", *TINY, "--json", "b.json").exit_code == 0
    told = json.loads((here / "b.json").read_text())
    assert list(told["suites"]) == ["layers"]
    assert told["options"] == {"rounds": 1, "warmup": 1, "input_gradient": False}
    assert told["machine"]["threads"] == 1
    assert [point["size"] for point in told["suites"]["layers"]["points"]] == [4, 5, 4, 5]


def test_a_picture(recurra, here):
    assert recurra("bench", "inference", *TINY, "--plot", "b.png").exit_code == 0
    assert (here / "b.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("layrs",), "'layrs' is not one of 'layers'"),
        (("--layer", "CNN"), "'CNN' is not one of"),
        (("packed", "--layer", "GRU"), "packed does not measure GRU; it measures LSTM."),
        (("--size", "64,many"), "'64,many' is not a list of numbers"),
        (("--batch", "0"), "'0' is not a list of numbers from 1"),
        (("--rounds", "0"), "--rounds"),
        (("--json", "nowhere/b.json"), "nowhere/b.json can't be written (No such file"),
        (("--json", "."), ". is a directory"),
        (("--plot", "b.txt"), "b.txt: the name of a plot ends in .png, .svg, .pdf"),
    ],
)
def test_what_cannot_be_is_told_before_anything_is_measured(recurra, monkeypatch, words, part):
    monkeypatch.setattr(
        "recurra.bench.results.measure_suite", lambda *args: pytest.fail("measured")
    )
    result = recurra("bench", *words)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    assert result.stderr.startswith("recurra: ")
    assert part in result.stderr
    assert result.stdout == ""
