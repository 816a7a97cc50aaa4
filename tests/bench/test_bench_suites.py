"""The suites: their points, and contenders that do the same work."""

import re
from pathlib import Path

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from recurra.bench import SUITES, SizeGrid, layer_suites, process_suites
from recurra.bench.catalogue import RECURRA, TORCH
from recurra.bench.layer_suites import (
    BASES,
    REMEDIES,
    Contender,
    EagerPeephole,
    pair,
    ragged_lengths,
)
from recurra.bench.layer_suites import _remedy_run as remedy_run
from recurra.bench.measurement import SUMS, Point, SuitePlan, _text, operations, peak
from recurra.bench.process_suites import compiling, job
from recurra.bench.results import chosen_suites, measure_suite
from recurra.cells import PeepholeLSTM
from recurra.errors import ConfigError, EngineError
from recurra.nn import Recurrent
from recurra.processes import run_job

TINY = SizeGrid((2,), (3,), (4, 5))
ONE = SizeGrid((2,), (3,), (4,))


@pytest.fixture(autouse=True)
def _peak(monkeypatch):
    monkeypatch.setattr("recurra.bench.results.peak", lambda: 1e9)


def rows_of(name, *layers, grid=TINY, **options):
    suite = SUITES[name]
    plan = SuitePlan(grid, layers or suite.layers, rounds=1, warmup=1, **options)
    told = []
    result = measure_suite(suite, plan, told.append)
    assert result.points == told
    return told


BOTH = ("training", "forward")
WORKS = {
    "layers": [(layer, work) for layer in ("LSTM", "GRU", "RNN") for work in BOTH],
    "packed": [("LSTM", work) for work in BOTH],
    "own": [("LSTM", work) for work in BOTH],
    "inference": [("LSTM", "forward"), ("GRU", "forward")],
    "steps": [
        ("LSTM", "one step"),
        *((f"{layer}Cell", "training loop") for layer in ("LSTM", "GRU", "RNN")),
    ],
    "stream": [(layer, "a chunk") for layer in ("LSTM", "GRU", "RNN")],
}


@pytest.mark.parametrize("name", WORKS)
def test_points_of_the_suites_that_are_timed(name):
    rows = rows_of(name)
    points = [(row.point.layer, row.point.work, row.point.size) for row in rows]
    assert points == [(*work, size) for work in WORKS[name] for size in (4, 5)]
    for row in rows:
        assert all(spread.median > 0 for spread in row.spreads.values())
        assert all(row.ratio(ratio) > 0 for ratio in SUITES[name].ratios)


def test_memory_is_measured_in_processes():
    point = Point("RNN", "training", 8, 64, 64)
    plan = SuitePlan(TINY, ["RNN"])
    found = [run_job(job("step_bytes", point, plan, name)) for name in (TORCH, RECURRA)]
    outputs = 4 * 8 * 64 * 64
    assert all(outputs <= count < 100 * outputs for count in found)


def test_compiling_is_measured_in_a_process():
    point = Point("RNN", "first call", 1, 1, 4)
    seconds = run_job(job("compile_seconds", point, SuitePlan(TINY, ["RNN"]), RECURRA))
    assert list(seconds) == ["start", "first", "second"]
    assert all(value > 0 for value in seconds.values())


def test_the_second_process_finds_the_cache_of_the_first(monkeypatch):
    caches = []

    def answer(compiled):
        caches.append(compiled.settings["RECURRA_CACHE"])
        return {"start": 4.0, "first": float(len(caches)), "second": 0.5}

    monkeypatch.setattr(process_suites, "run_job", answer)
    (row, *_) = compiling(SuitePlan(TINY, ["GRU"], rounds=2))
    assert [row.spreads[name].median for name in ("compiled", "cached")] == [2.0, 3.0]
    assert caches[0] == caches[1] != caches[2] == caches[3]
    assert not any(Path(cache).exists() for cache in caches)


def test_operations_are_those_of_the_products():
    rows, size = 6, 5
    gate = 2 * rows * size * size
    assert operations("LSTM", "forward", rows, size) == 4 * 2 * gate  # W x, U h
    assert operations("GRU", "training", rows, size) == 3 * 5 * gate  # and of W, U, h
    assert operations("RNN", "training", rows, size, input_gradient=True) == 6 * gate


def test_packed_operations_leave_the_padding_out():
    (row, _) = [row for row in rows_of("packed") if row.point.work == "forward"]
    steps = int(ragged_lengths(2, 3).sum())
    assert row.operations == operations("LSTM", "forward", steps, 4)


def test_lengths_are_ragged_and_always_the_same():
    lengths = ragged_lengths(64, 50)
    assert lengths.min() >= 1
    assert lengths.max() == 50
    assert 20 < lengths.float().mean() < 31
    assert torch.equal(lengths, ragged_lengths(64, 50))


@pytest.mark.parametrize("is_wanted", [False, True])
def test_the_input_has_a_gradient_where_it_is_asked_for(is_wanted, monkeypatch):
    asked = []
    leaf = layer_suites.leaf

    def spied(*args):
        x = leaf(*args)
        asked.append(x.requires_grad)
        return x

    monkeypatch.setattr(layer_suites, "leaf", spied)
    rows = rows_of("layers", "RNN", input_gradient=is_wanted)
    assert asked == [is_wanted, is_wanted, False, False]
    assert rows[0].operations == operations("RNN", "training", 6, 4, input_gradient=is_wanted)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "RNN"])
def test_both_layers_do_the_same_work(name):
    x, lengths = torch.randn(6, 3, 5), ragged_lengths(3, 6)
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    theirs, ours = pair(name, 5).values()
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])
    torch.testing.assert_close(ours(packed)[0].data, theirs(packed)[0].data)


def test_the_eager_loop_is_the_cell():
    ours = Recurrent(PeepholeLSTM, 5, 5)
    eager = EagerPeephole(ours)
    x = torch.randn(7, 3, 5)
    outputs = [module(x)[0] for module in (ours, eager)]
    for y in outputs:
        y.square().sum().backward()
    torch.testing.assert_close(*outputs)
    for name in "WUbp":
        expected = getattr(ours, f"{name}_l0").grad
        torch.testing.assert_close(getattr(eager, name).grad, expected)


def test_the_peak_is_of_independent_multiply_adds():
    text = _text(8)
    sums = re.findall(r"%n(\d+) = call <8 x float> @llvm\.fma\.v8f32\(<8 x float> %s(\d+),", text)
    assert sums == [(str(n), str(n)) for n in range(SUMS)]
    assert peak(steps=1000) > 1e6


def test_suites_are_chosen_by_layer():
    assert [suite.name for suite, _ in chosen_suites(["all"], ["RNN"])] == (
        ["layers", "steps", "stream", "memory", "compile"]
    )
    assert chosen_suites(["steps", "steps"], ["GRU"]) == [(SUITES["steps"], ["GRU"])]
    with pytest.raises(ConfigError, match=r"packed does not measure GRU; it measures LSTM\."):
        chosen_suites(["packed"], ["GRU"])


def test_a_process_that_fails_says_how():
    point = Point("GRU", "training", 1, 2, -3)
    with pytest.raises(EngineError, match=r"GRU with B = 1, T = 2, H = -3.*; try smaller sizes"):
        run_job(job("step_bytes", point, SuitePlan(TINY, ["GRU"]), TORCH))


def test_the_suite_of_remedies_has_a_row_for_each():
    rows = rows_of("remedies", "LSTM", grid=ONE)
    assert [row.point.work for row in rows] == list(REMEDIES)
    assert {row.point.work for row in rows_of("remedies", "GRU", grid=ONE)} == (
        {name for name in REMEDIES if not name.startswith("norm")}
    )
    assert all(list(row.spreads) == ["without", "with"] for row in rows)


def test_a_remedy_is_measured_against_the_same_layer_without_it(monkeypatch):
    made = []

    class Noted(Recurrent):
        def __init__(self, *args, **options):
            made.append(options)
            super().__init__(*args, **options)

    monkeypatch.setattr(layer_suites, "Recurrent", Noted)
    rows_of("remedies", "GRU", grid=ONE)
    pairs = list(zip(made[::2], made[1::2], strict=True))
    assert pairs[0] == ({"num_layers": 2}, {"num_layers": 2, "dropout": 0.3})
    assert pairs[1] == ({}, {"input_dropout": 0.3})


@pytest.mark.parametrize("name", [*BASES, *REMEDIES])
def test_a_run_of_a_remedy_is_a_training_step(name, monkeypatch):
    found = []
    zero_grad = Recurrent.zero_grad

    def noting(module, **named):
        found.append(
            [p.grad is not None for n, p in module.named_parameters() if "initial" not in n]
        )
        zero_grad(module, **named)

    monkeypatch.setattr(Recurrent, "zero_grad", noting)
    remedy_run((BASES | REMEDIES)[name], Point("LSTM", "training", 2, 3, 4), torch.randn(3, 2, 4))()
    assert len(found) == 1
    assert all(found[0])


def test_a_penalty_is_part_of_the_step():
    seen = []

    def penalty(y):
        seen.append(y)
        return y.sum()

    run = remedy_run(Contender(penalty=penalty), Point("GRU", "", 2, 3, 4), torch.randn(3, 2, 4))
    run()
    assert seen[0].shape == (3, 2, 4)
