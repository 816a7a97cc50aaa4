"""The weights-gradient product by itself, beside torch's in float64."""

import pytest
import torch
from fresh import threads
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.engines.cpu.run.products import add_gradient

BOUND = {torch.float32: 3e-6, torch.float64: 1e-14}
EDGE = float("nan")


def framed(rows, columns, dtype, random, left, right):
    """A matrix in a wider one, with NaN on both sides of each row."""
    wide = torch.full((rows, left + columns + right), EDGE, dtype=dtype)
    wide[:, left : left + columns] = torch.randn(rows, columns, generator=random).to(dtype)
    return wide, wide[:, left : left + columns]


def check(m, n, rows, dtype, *, bias=True, offsets=False, seed=0):
    random = torch.Generator().manual_seed(seed)
    _, g = framed(rows, m, dtype, random, 3, 5)
    frame, weight = framed(m, n, dtype, random, 2, 4)
    _, x = framed(rows, n, dtype, random, 1, 2)
    sums = torch.randn(m, generator=random).to(dtype) if bias else None
    before = None if sums is None else sums.double().clone()
    places, read = None, x
    if offsets:  # any rows, some of them twice
        index = torch.randint(0, rows, (rows,), generator=random)
        places, read = index * x.stride(0), x[index]
    add_gradient(weight, g, x, places, sums)
    exact = g.double().T @ read.double()
    size = g.double().abs().T @ read.double().abs()
    assert ((weight.double() - exact).abs() <= BOUND[dtype] * size).all()
    if sums is not None:
        limit = BOUND[dtype] * (g.double().abs().sum(0) + before.abs())
        assert ((sums.double() - before - g.double().sum(0)).abs() <= limit).all()
    assert frame[:, :2].isnan().all()
    assert frame[:, 2 + n :].isnan().all()


side = st.integers(1, 70)


@given(side, side, st.integers(1, 600), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=80, deadline=None, derandomize=True)
def test_any_size(m, n, rows, double, bias, offsets):
    dtype = torch.float64 if double else torch.float32
    check(m, n, rows, dtype, bias=bias, offsets=offsets, seed=rows)


@pytest.mark.parametrize("rows", [32, 33, 255, 256, 257, 512, 513])
@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_rows_at_the_edge_of_a_piece(rows, dtype):
    check(13, 33, rows, dtype)


@pytest.mark.parametrize("m", [311, 312, 313, 400])
@pytest.mark.parametrize("dtype", BOUND, ids=str)
def test_more_tiles_than_are_copied_at_once(m, dtype):
    check(m, 17, 300, dtype, offsets=True)


@pytest.mark.parametrize("number", [2, 3, 5])
@pytest.mark.parametrize("m", [1, 13, 14, 70])
def test_threads_share_the_tiles(number, m):
    with threads(number):
        check(m, 31, 290, torch.float32)
        check(m, 31, 290, torch.float64, offsets=True)


@pytest.mark.parametrize("rows", [5, 300])
def test_what_is_not_finite_stays_in_its_row_and_column(rows):
    g, x = torch.randn(rows, 20, dtype=torch.float64), torch.randn(rows, 40, dtype=torch.float64)
    g[3, 7], x[2, 11] = float("inf"), float("nan")
    weight = torch.empty(20, 40, dtype=torch.float64)
    add_gradient(weight, g, x, None, None)
    torch.testing.assert_close(weight, g.T @ x, equal_nan=True)


def test_the_same_bits_each_time():
    g, x = torch.randn(600, 50), torch.randn(600, 60)
    found = [torch.empty(50, 60) for _ in range(2)]
    for weight in found:
        add_gradient(weight, g, x, None, None)
    assert torch.equal(*found)
