"""Cells of no use but to the tests: each asks something of the passes that no real cell does."""

from recurra.cells import Cell, maximum, minimum, sigmoid, tanh


class Chain(Cell):
    """A product of a state's bare gradient, which a step back overwrites."""

    states = ("h", "c")

    def step(self, x, h, c, W, U, V):
        return tanh(W @ x + c), U @ c + V @ h


class Swap(Cell):
    """Each state's gradient comes from the other's."""

    states = ("h", "c")

    def step(self, x, h, c, W, U):
        return tanh(W @ x) + c * 0.5, tanh(U @ h)


class Delay(Cell):
    """States that are handed on."""

    states = ("h", "c", "d")

    def step(self, x, h, c, d, W, U):
        return tanh(W @ x + U @ d) + c * 0.5, h, c


class TwoSizes(Cell):
    """A scalar that weighs vectors of two sizes."""

    states = ("h", "c")
    sizes = {"c": "other"}
    scalars = {"alpha": 0.7}
    other: int = 3

    def step(self, x, h, c, W, U, V, alpha):
        return tanh(W @ x + alpha * h + U @ c), tanh(V @ h) * alpha + 0.3 * c


class Nested(Cell):
    """Gates whose products outside the loop are of vectors that differ by gate."""

    states = ("h",)
    gates = ("i", "f")

    def step(self, x, h, W, V, U, b):
        i = sigmoid(W.i @ tanh(V.i @ x) + U.i @ h + b.i)
        f = sigmoid(W.f @ tanh(V.f @ x) + U.f @ h + b.f)
        return i * h + f * 0.3


class MatrixSum(Cell):
    """All gates of a sum of matrices."""

    states = ("h",)
    gates = ("i", "f")

    def step(self, x, h, W, U, V):
        a = W @ x + (U - V) @ h
        return sigmoid(a.i) * h + tanh(a.f)


class Twice(Cell):
    """The same value under two names, and a product squared."""

    states = ("h",)

    def step(self, x, h, W, U):
        p = tanh(W @ x)
        q = tanh(W @ x)
        return p * h + q * tanh(U @ h) + (U @ h) * (U @ h)


class Late(Cell):
    """A state's gradient is read in a phase after the first."""

    states = ("h", "c")

    def step(self, x, h, c, W, U, V):
        return tanh(W @ x + U @ (V @ c) + c), c * tanh(U @ tanh(V @ h))


class Early(Cell):
    """A state's gradient is overwritten in the first phase, and read in the second."""

    states = ("h", "c")

    def step(self, x, h, c, W, U, V):
        m = tanh(V @ h)
        return tanh(W @ x + U @ m), 0.5 * c + m


class Stale(Cell):
    """A state that is new in the first phase, and wanted as it was in the second."""

    states = ("h", "c")

    def step(self, x, h, c, W, U, V):
        return tanh(W @ x + U @ tanh(V @ h)) + c, 0.5 * c + tanh(W @ x)


class Alone(Cell):
    """Neither input nor parameters: the backward loop gives only the first state's gradient."""

    states = ("h",)

    def step(self, x, h):
        return tanh(h) * 0.9


class Half(Cell):
    """No gate's part of a parameter but one is in the loop."""

    states = ("h",)
    gates = ("i", "f")

    def step(self, x, h, W, U, b):
        return sigmoid(U.f @ h + b.f) * h + tanh(W.i @ x)


class Deep(Cell):
    """Three phases forward, four back."""

    states = ("h",)

    def step(self, x, h, W, U, V, R):
        a = tanh(W @ x + U @ h)
        b = tanh(V @ a + U @ h)
        c = tanh(R @ b + V @ h)
        return a * b + c - maximum(a, b) * minimum(h, a)


ODD = {
    kind.__name__: kind()
    for kind in (
        Chain,
        Swap,
        Delay,
        TwoSizes,
        Nested,
        MatrixSum,
        Twice,
        Late,
        Early,
        Stale,
        Alone,
        Half,
        Deep,
    )
}
