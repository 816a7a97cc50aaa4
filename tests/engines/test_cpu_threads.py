"""Threads: rows shared, columns shared with barriers, products shared; two callers at once."""

import threading

import pytest
import torch
from contract import COMPILED, VARIED, distance, draw, everything, marks, slow_but
from fresh import by_columns, hoisted, renamed, threads
from odd_cells import ODD

from recurra.cells import CELLS
from recurra.engines.cpu.plan.tiling import make_plan
from recurra.engines.cpu.run import bound_call, compiled_loop
from recurra.nn import Recurrent
from recurra.passes import lower


def options_of(masked, steps, batch, *, reverse=False):
    lengths, resets = marks(steps, batch) if masked else (None, None)
    return {"lengths": lengths, "resets": resets, "reverse": reverse}


@pytest.mark.parametrize("number", [2, 3, 5])
@pytest.mark.parametrize("batch", [1, 2, 7, 13, 49, 100])
@pytest.mark.parametrize("masked", [False, True])
def test_rows_are_shared(number, batch, masked):
    drawn, options = draw(CELLS["gru"], batch=batch, hidden=9), options_of(masked, 6, batch)
    one = everything(CELLS["gru"], "cpu", drawn, **options)
    with threads(number):
        many, again = (everything(CELLS["gru"], "cpu", drawn, **options) for _ in range(2))
    torch.testing.assert_close(many, again, rtol=0, atol=0)
    assert distance(many, one) < 1e-13


@pytest.mark.parametrize("name", VARIED | ODD)
def test_columns_are_shared(name, monkeypatch):
    cell, options = (COMPILED | ODD)[name], options_of(True, 6, 5)
    drawn = draw(cell, hidden=38, scale=0.1)
    one = everything(cell, "cpu", drawn, **options)
    by_columns(monkeypatch)
    other = renamed(cell)
    for number in (2, 3):
        with threads(number):
            many, again = (everything(other, "cpu", drawn, **options) for _ in range(2))
        torch.testing.assert_close(many, again, rtol=0, atol=0)
        assert distance(many, one) < 1e-13


@pytest.mark.parametrize(
    "name", slow_but(["lstm", "Chain"], ["lstm", "gru_original", "Chain", "Delay"])
)
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 100])
def test_columns_are_shared_for_any_number_of_steps(name, reverse, steps, monkeypatch):
    cell, options = (COMPILED | ODD)[name], {"reverse": reverse}
    drawn = draw(cell, hidden=70, batch=1, steps=steps, scale=0.1)
    one = everything(cell, "cpu", drawn, **options)
    by_columns(monkeypatch)
    with threads(2):
        two = everything(renamed(cell), "cpu", drawn, **options)
    assert distance(two, one) < 1e-12


def test_more_threads_than_columns(monkeypatch):
    drawn = draw(CELLS["lstm"], hidden=3)
    one = everything(CELLS["lstm"], "cpu", drawn)
    by_columns(monkeypatch)
    with threads(5):
        assert distance(everything(renamed(CELLS["lstm"]), "cpu", drawn), one) < 1e-13


def test_products_before_the_loop_are_shared(monkeypatch):
    hoisted(monkeypatch)
    cell, drawn = renamed(CELLS["lstm"]), draw(CELLS["lstm"], steps=80, hidden=9, batch=7)
    one = everything(cell, "cpu", drawn)
    for number in (2, 3):
        with threads(number):
            assert distance(everything(cell, "cpu", drawn), one) < 1e-13


def test_columns_are_shared_where_rows_are_few():
    code, target = lower(CELLS["lstm"].graph()), compiled_loop.host()
    sizes = {"input_size": 32, "hidden_size": 256}
    plan = make_plan(code.loops["forward"], code.schedules["forward"], sizes, "float", target)
    compiled = bound_call.Code(plan)
    assert [bound_call._by_columns(compiled, batch, 2) for batch in (1, 64)] == [True, False]


def test_without_a_team_rows_are_shared_by_a_pool(monkeypatch):
    monkeypatch.setattr("recurra.engines.cpu.run.bound_call._openmp", lambda: None)
    cell, drawn = renamed(CELLS["gru"]), draw(CELLS["gru"], batch=13, hidden=9)
    one = everything(CELLS["gru"], "cpu", drawn)
    with threads(3):
        assert distance(everything(cell, "cpu", drawn), one) < 1e-13


def run_together(number, work):
    """The results of as many Python threads, begun at one moment."""
    found, start = {}, threading.Barrier(number)

    def body(i):
        start.wait()
        found[i] = work(i)

    workers = [threading.Thread(target=body, args=(i,)) for i in range(number)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return [found[i] for i in range(number)]


@pytest.mark.parametrize("cache", ["on", "off"])
def test_two_callers_at_once_from_the_first_call_on(cache, monkeypatch):
    if cache == "off":
        monkeypatch.setenv("RECURRA_CACHE", "off")
    cell = renamed(CELLS["rnn"])
    drawn = [draw(cell, hidden=11, batch=4, steps=30, seed=i) for i in range(2)]
    found = run_together(2, lambda i: [everything(cell, "cpu", drawn[i]) for _ in range(5)])
    for i, results in enumerate(found):
        wanted = everything(CELLS["rnn"], "interp", drawn[i])
        assert max(distance(r, wanted) for r in results) < 1e-12


def test_two_callers_share_a_layer():
    layer, x = Recurrent("lstm", 5, 9, engine="cpu"), torch.randn(50, 6, 5)
    wanted = layer(x)[0]
    found = run_together(2, lambda i: [layer(x)[0] for _ in range(5)])
    assert all(torch.equal(y, wanted) for ys in found for y in ys)


def test_what_is_bound_is_bound_for_a_number_of_threads():
    """A layer that ran on three threads runs on one, and on three again."""
    drawn = draw(CELLS["lstm"], batch=13, hidden=9)
    wanted = everything(CELLS["lstm"], "cpu", drawn)
    for number in (3, 1, 2, 3):
        with threads(number):
            assert distance(everything(CELLS["lstm"], "cpu", drawn), wanted) < 1e-13
    assert compiled_loop.torch.get_num_threads() == 1
