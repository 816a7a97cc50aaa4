"""What the tests of insight share."""

import pytest

from recurra.cells import Cell, sigmoid, tanh


class Counter(Cell):
    """A cell with a state that nothing reads."""

    states = ("h", "n")

    def step(self, x, h, n, W, U, V):
        return tanh(W @ x + U @ h), n + V @ x


@pytest.fixture
def counter():
    return Counter


class Inverted(Cell):
    """A cell whose gate forgets where it is open."""

    states = ("h",)
    gates = ("f", "n")

    def step(self, x, h, W, U, b):
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        n = tanh(W.n @ x + U.n @ h + b.n)
        return (1 - f) * h + f * n


@pytest.fixture
def inverted():
    return Inverted
