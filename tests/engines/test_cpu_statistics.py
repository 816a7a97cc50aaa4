"""Normalisation inside a step, compiled: of gates alone and together, of states, at any size."""

import pytest
import torch
from contract import assert_same, distance, draw, everything, marks, widened
from fresh import by_columns, guarded_all, threads

from recurra.cells import Cell, LayerNormLSTM, norm, sigmoid, tanh
from recurra.cells.regularised import Regularised


class OfSums(Cell):
    """One norm over the sum of the products of all gates, and one of a new state."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    def step(self, x, h, c, W, U, b):
        a = norm(W @ x + U @ h + b)
        c = sigmoid(a.f) * c + sigmoid(a.i) * tanh(a.g)
        return sigmoid(a.o) * tanh(c), norm(c)


class OfStates(Cell):
    """Norms that are new states themselves, of old states and of what needs no product."""

    states = ("h", "s")

    def step(self, x, h, s, W, U, V, p):
        h = norm(tanh(W @ x + U @ h) + norm(p * s, "inner"), "outer")
        return h, norm(V @ s + h)


class OfNorms(Cell):
    """A norm of a product of a norm."""

    states = ("h",)

    def step(self, x, h, W, U, V):
        return tanh(norm(U @ norm(V @ h)) + W @ x)


CELLS = {c.__name__: c() for c in (LayerNormLSTM, OfSums, OfStates, OfNorms)}
SIZES = (1, 37)


@pytest.mark.parametrize("hidden", SIZES)
@pytest.mark.parametrize("name", CELLS)
def test_values_and_gradients(name, hidden):
    drawn = draw(CELLS[name], steps=5, batch=3, hidden=hidden)
    # One unit's norm is its bias: what flows back to it is rounding, zero but for that.
    if hidden == 1:
        found, wanted = (everything(CELLS[name], engine, drawn) for engine in ("cpu", "interp"))
        torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)
    else:
        assert_same(CELLS[name], drawn, tolerance=1e-9)


@pytest.mark.parametrize("name", CELLS)
def test_lengths_resets_directions_and_second_gradients(name):
    lengths, resets = marks(7, 5)
    for reverse in (False, True):
        drawn = draw(CELLS[name], steps=7, hidden=9)
        both = {"lengths": lengths, "resets": resets, "reverse": reverse}
        assert_same(CELLS[name], drawn, tolerance=1e-9, **both)
    lengths, resets = marks(2, 5)
    both = {"lengths": lengths, "resets": resets}
    drawn = draw(CELLS[name], steps=2, hidden=9)
    assert_same(CELLS[name], drawn, order=2, tolerance=1e-8, **both)


@pytest.mark.parametrize("name", CELLS)
def test_threads_that_share_the_columns(name, monkeypatch):
    by_columns(monkeypatch)
    drawn = draw(CELLS[name], steps=4, batch=2, hidden=SIZES[-1])
    with threads(2):
        assert_same(CELLS[name], drawn, tolerance=1e-9)


def test_a_mean_far_from_zero_leaves_the_deviation():
    cell = OfNorms()
    params, x, states = draw(cell, steps=3, batch=2, hidden=16, dtype=torch.float32)
    states = [(states[0] * 1e-2 + 100).detach().requires_grad_()]
    drawn = {**params, "V": torch.eye(16).requires_grad_()}, x, states
    found, wanted = everything(cell, "cpu", drawn), everything(cell, "interp", widened(drawn))
    # Squares of 100 hold 1e-3 of float32's steps: their difference would know no deviation of 1e-2.
    assert distance(found[:2], wanted[:2]) < 1e-2


class OfTheState(Cell):
    """A norm of the state itself, so as wide as that."""

    states = ("h",)

    def step(self, x, h, W):
        return W @ x + norm(h)


def at_scale(engine, scale, dtype):
    """Results and gradients with a state of that scale, its gradient times the scale."""
    params, x, (h,) = draw(OfTheState(), steps=1, batch=3, hidden=37)
    drawn = {k: v.detach().to(dtype).requires_grad_() for k, v in params.items()}
    h = (h.detach() * scale).to(dtype).requires_grad_()
    x = x.detach().to(dtype).requires_grad_()
    *others, slope = everything(OfTheState(), engine, (drawn, x, [h]))
    return [*others, slope.double() * scale]


SCALES = {torch.float32: [2.0**k for k in (20, 29, 34, 47, 64, 100, 122)]}
SCALES[torch.float64] = [2.0**k for k in (20, 190, 260, 400, 512, 900, 1018)]
EDGES = [(dtype, scale) for dtype, scales in SCALES.items() for scale in scales]


@pytest.mark.parametrize("engine", ["cpu", "interp"])
@pytest.mark.parametrize(("dtype", "scale"), EDGES)
def test_a_norm_is_the_same_at_every_scale(engine, dtype, scale):
    """Beside float64 at a scale where eps is nothing and no square is near a limit."""
    wanted, found = at_scale("interp", 2.0**30, torch.float64), at_scale(engine, scale, dtype)
    assert distance(found, wanted) < {torch.float32: 3e-6, torch.float64: 1e-10}[dtype]


def test_nothing_is_read_or_written_beside_the_buffers():
    cell = CELLS["OfSums"]
    drawn = draw(cell, steps=3, batch=3, hidden=13)
    found = everything(cell, "cpu", guarded_all(drawn))
    assert distance(found, everything(cell, "interp", drawn)) < 1e-9


def test_zoneout_of_a_normalised_cell():
    cell = Regularised(cell=LayerNormLSTM(), zoneout=("h", "c"), state_masks=True)
    params, x, states = draw(cell, steps=5, batch=3, hidden=9)
    random = torch.Generator().manual_seed(4)
    for name, _ in cell.graph().givens:
        params[name] = torch.rand(5, 3, 9, generator=random, dtype=torch.float64).round()
    given = {k: v.detach().requires_grad_() for k, v in params.items()}
    found, wanted = (everything(cell, e, (given, x, states)) for e in ("cpu", "interp"))
    masks = range(
        1 + len(states) + len(params) - len(cell.graph().givens), 1 + len(states) + len(params)
    )
    pairs = [(f, w) for i, (f, w) in enumerate(zip(found, wanted, strict=True)) if i not in masks]
    assert distance(*zip(*pairs, strict=True)) < 1e-9
