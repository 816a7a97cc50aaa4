"""Cells that are of no paper, beside the built-in ones: words, sizes and blocks that none of those
has, as users may write them.
"""

from recurra.cells import (
    CELLS,
    LSTM,
    RGLRU,
    Cell,
    MultiplicativeLSTM,
    log,
    norm,
    sigmoid,
    sLSTM,
    tanh,
)


class HeadsLSTM(LSTM):
    """An LSTM whose recurrent matrix is block-diagonal."""

    blocks = {"U": "heads"}
    heads: int = 2


class FactoredLSTM(MultiplicativeLSTM):
    """A multiplicative LSTM whose factor m has a size of its own."""

    sizes = {"V": "factor_size"}
    factor_size: int = 5


class WideQRNN(Cell):
    """Windows two steps wide: the last x is a state."""

    states = ("h", "c", "last")
    gates = ("z", "i", "f", "o")
    sizes = {"last": "input_size"}

    def step(self, x, h, c, last, W, V, b):
        a = W @ x + V @ last + b
        c = sigmoid(a.f) * c + sigmoid(a.i) * tanh(a.z)
        return sigmoid(a.o) * c, c, x


class LogSpaceLSTM(Cell):
    """The words that no built-in cell has."""

    states = ("h",)

    def step(self, x, h, W, b):
        a = abs(W @ x + b)
        return log(1 + a**2) + (a + 1) ** 0.5 - h / 2


class StateNormGRU(Cell):
    """Norms of the recurrent products alone: their parameters are not stacked as the gates' are."""

    states = ("h",)
    gates = ("z", "n")

    def step(self, x, h, W, U, b):
        z = sigmoid(W.z @ x + norm(U.z @ h) + b.z)
        n = tanh(W.n @ x + norm(U.n @ h) + b.n)
        return (1 - z) * h + z * n


OWN = {
    "StateNormGRU": StateNormGRU(),
    "HeadsLSTM": HeadsLSTM(),
    "FactoredLSTM": FactoredLSTM(),
    "WideQRNN": WideQRNN(),
    "LogSpaceLSTM": LogSpaceLSTM(),
    "slstm of 2 heads": sLSTM(heads=2),
    "rglru of 2 heads": RGLRU(heads=2),
}
EVERY = CELLS | OWN
