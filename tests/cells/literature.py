"""The cells of the literature, to prove that the notation has room for each of them."""

from weft.cells import (
    LSTM,
    Cell,
    exp,
    log,
    maximum,
    norm,
    relu,
    sigmoid,
    softplus,
    sqrt,
    tanh,
)


class PlainRNN(Cell):
    """Le et al. 2015; what makes it the IRNN is the identity that U starts from."""

    states = ("h",)

    def step(self, x, h, W, U, b):
        return relu(W @ x + U @ h + b)


class LSTM1997(Cell):
    """Hochreiter & Schmidhuber 1997: no forget gate."""

    states = ("h", "c")
    gates = ("i", "g", "o")

    def step(self, x, h, c, W, U, b):
        i = sigmoid(W.i @ x + U.i @ h + b.i)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = c + i * g
        return o * tanh(c), c


class PeepholeLSTM(Cell):
    """Gers, Schraudolph, Schmidhuber 2002: the gates see the cell."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    def step(self, x, h, c, W, U, p, b):
        i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
        f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        c = f * c + i * g
        o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
        return o * tanh(c), c


class CoupledLSTM(Cell):
    """Greff et al. 2015, CIFG: the input gate is what the forget gate leaves."""

    states = ("h", "c")
    gates = ("f", "g", "o")

    def step(self, x, h, c, W, U, b):
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        c = f * c + (1 - f) * g
        return o * tanh(c), c


class JANET(Cell):
    """van der Westhuizen & Lasenby 2018: the forget gate alone, the input shifted by beta."""

    states = ("h",)
    gates = ("s", "g")
    beta: float = 1.0

    def step(self, x, h, W, U, b):
        s = W.s @ x + U.s @ h + b.s
        g = tanh(W.g @ x + U.g @ h + b.g)
        return sigmoid(s) * h + (1 - sigmoid(s - self.beta)) * g


class Projected(Cell):
    """Sak et al. 2014: h is a projection, of a size of its own."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    sizes = {"h": "proj_size"}
    proj_size: int = 3

    def step(self, x, h, c, W, U, b, R):
        i, f, o = (sigmoid(getattr(W, k) @ x + getattr(U, k) @ h + getattr(b, k)) for k in "ifo")
        g = tanh(W.g @ x + U.g @ h + b.g)
        c = f * c + i * g
        return R @ (o * tanh(c)), c


class GateNormLSTM(Cell):
    """Layer-normalised LSTM, a norm over each gate's products and over the cell."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    def step(self, x, h, c, W, U, b):
        i = sigmoid(norm(W.i @ x) + norm(U.i @ h) + b.i)
        f = sigmoid(norm(W.f @ x) + norm(U.f @ h) + b.f)
        g = tanh(norm(W.g @ x) + norm(U.g @ h) + b.g)
        o = sigmoid(norm(W.o @ x) + norm(U.o @ h) + b.o)
        c = f * c + i * g
        return o * tanh(norm(c, "norm_c")), c


class JointNormLSTM(Cell):
    """Ba et al. 2016: one norm over all gates' products at once."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    def step(self, x, h, c, W, U, b):
        a = norm(W @ x) + norm(U @ h) + b
        c = sigmoid(a.f) * c + sigmoid(a.i) * tanh(a.g)
        return sigmoid(a.o) * tanh(norm(c)), c


class MultiplicativeLSTM(Cell):
    """Krause et al. 2016: the recurrent product is of m, which input and state make together."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")
    sizes = {"V": "factor_size"}
    factor_size: int = 5

    def step(self, x, h, c, W, U, V, R, b):
        m = (V @ x) * (R @ h)
        i = sigmoid(W.i @ x + U.i @ m + b.i)
        f = sigmoid(W.f @ x + U.f @ m + b.f)
        g = W.g @ x + U.g @ m + b.g
        o = sigmoid(W.o @ x + U.o @ m + b.o)
        c = f * c + i * g
        return tanh(c) * o, c


class MGU(Cell):
    """Zhou et al. 2016: one gate."""

    states = ("h",)
    gates = ("f", "n")

    def step(self, x, h, W, U, b):
        f = sigmoid(W.f @ x + U.f @ h + b.f)
        n = tanh(W.n @ x + U.n @ (f * h) + b.n)
        return (1 - f) * h + f * n


class LiGRU(Cell):
    """Ravanelli et al. 2018: no reset gate, relu; layer norm where the paper norms over batches."""

    states = ("h",)
    gates = ("z", "n")

    def step(self, x, h, W, U):
        a = norm(W @ x)
        z = sigmoid(a.z + U.z @ h)
        n = relu(a.n + U.n @ h)
        return z * h + (1 - z) * n


class UGRNN(Cell):
    """Collins et al. 2017: the update gate alone."""

    states = ("h",)
    gates = ("g", "n")

    def step(self, x, h, W, U, b):
        g = sigmoid(W.g @ x + U.g @ h + b.g)
        n = tanh(W.n @ x + U.n @ h + b.n)
        return g * h + (1 - g) * n


class IndRNN(Cell):
    """Li et al. 2018: a unit sees itself alone."""

    states = ("h",)

    def step(self, x, h, W, u, b):
        return relu(W @ x + u * h + b)


class SRU(Cell):
    """Lei et al. 2018: light recurrence; h is output only, and x has its size."""

    states = ("h", "c")
    gates = ("z", "f", "r")
    sizes = {"x": "hidden_size"}
    scale: float = 1.5

    def step(self, x, h, c, W, v, b):
        f = sigmoid(W.f @ x + v.f * c + b.f)
        r = sigmoid(W.r @ x + v.r * c + b.r)
        c = f * c + (1 - f) * (W.z @ x)
        return r * c + (1 - r) * x * self.scale, c


class QRNNf(Cell):
    """Bradbury et al. 2017, f-pooling."""

    states = ("h",)
    gates = ("z", "f")

    def step(self, x, h, W, b):
        z = tanh(W.z @ x + b.z)
        f = sigmoid(W.f @ x + b.f)
        return f * h + (1 - f) * z


class QRNNfo(Cell):
    """Bradbury et al. 2017, fo-pooling."""

    states = ("h", "c")
    gates = ("z", "f", "o")

    def step(self, x, h, c, W, b):
        z = tanh(W.z @ x + b.z)
        f = sigmoid(W.f @ x + b.f)
        o = sigmoid(W.o @ x + b.o)
        c = f * c + (1 - f) * z
        return o * c, c


class QRNNifo(Cell):
    """Bradbury et al. 2017, ifo-pooling, of windows two steps wide (the last x is a state)."""

    states = ("h", "c", "last")
    gates = ("z", "i", "f", "o")
    sizes = {"last": "input_size"}

    def step(self, x, h, c, last, W, V, b):
        a = W @ x + V @ last + b
        c = sigmoid(a.f) * c + sigmoid(a.i) * tanh(a.z)
        return sigmoid(a.o) * c, c, x


class FastRNN(Cell):
    """Kusupati et al. 2018: a residual connection in time, weighed by two learnt scalars."""

    states = ("h",)
    scalars = {"alpha": -3.0, "beta": 3.0}

    def step(self, x, h, W, U, b, alpha, beta):
        return sigmoid(alpha) * tanh(W @ x + U @ h + b) + sigmoid(beta) * h


class FastGRNN(Cell):
    """Kusupati et al. 2018: gate and candidate share their products; low rank."""

    states = ("h",)
    gates = ("z", "n")
    scalars = {"zeta": 1.0, "nu": -4.0}
    sizes = {"W2": "rank", "U2": "rank"}
    rank: int = 2

    def step(self, x, h, W1, W2, U1, U2, b, zeta, nu):
        a = W1 @ (W2 @ x) + U1 @ (U2 @ h)
        z = sigmoid(a + b.z)
        n = tanh(a + b.n)
        return (sigmoid(zeta) * (1 - z) + sigmoid(nu)) * n + z * h


class AntisymmetricRNN(Cell):
    """Chang et al. 2019, with the gate."""

    states = ("h",)
    gates = ("z", "n")
    gamma: float = 0.01
    epsilon: float = 0.1

    def step(self, x, h, W, U, b):
        a = (U - U.T) @ h - self.gamma * h
        z = sigmoid(a + W.z @ x + b.z)
        return h + self.epsilon * z * tanh(a + W.n @ x + b.n)


class sLSTM(Cell):
    """Beck et al. 2024: exponential gates, normaliser n, stabiliser m, heads."""

    states = ("h", "c", "n", "m")
    gates = ("i", "f", "z", "o")
    blocks = {"U": "heads"}
    heads: int = 2

    def step(self, x, h, c, n, m, W, U, b):
        i = W.i @ x + U.i @ h + b.i
        f = W.f @ x + U.f @ h + b.f
        z = tanh(W.z @ x + U.z @ h + b.z)
        o = sigmoid(W.o @ x + U.o @ h + b.o)
        log_f = -softplus(-f)
        m_new = maximum(log_f + m, i)
        keep = exp(log_f + m - m_new)
        add = exp(i - m_new)
        c = keep * c + add * z
        n = keep * n + add
        return o * (c / n), c, n, m_new


class MinGRU(Cell):
    """Feng et al. 2024."""

    states = ("h",)
    gates = ("z", "n")

    def step(self, x, h, W, b):
        z = sigmoid(W.z @ x + b.z)
        return (1 - z) * h + z * (W.n @ x + b.n)


class MinLSTM(Cell):
    """Feng et al. 2024: the two gates are made to sum to one."""

    states = ("h",)
    gates = ("f", "i", "n")

    def step(self, x, h, W, b):
        f = sigmoid(W.f @ x + b.f)
        i = sigmoid(W.i @ x + b.i)
        return f / (f + i) * h + i / (f + i) * (W.n @ x + b.n)


class RGLRU(Cell):
    """De et al. 2024 (Griffin): a linear recurrence whose decay the input gates."""

    states = ("h",)
    gates = ("r", "i")
    sizes = {"x": "hidden_size"}
    blocks = {"W": "heads"}
    heads: int = 2
    power: float = 8.0

    def step(self, x, h, W, b, decay):
        r = sigmoid(W.r @ x + b.r)
        i = sigmoid(W.i @ x + b.i)
        log_a = -self.power * softplus(decay) * r
        return exp(log_a) * h + sqrt(1 - exp(2 * log_a)) * (i * x)


class HeadsLSTM(LSTM):
    """An LSTM whose recurrent matrix is block-diagonal."""

    blocks = {"U": "heads"}
    heads: int = 2


class LogSpaceLSTM(Cell):
    """Not of the literature: the words that no cell above has."""

    states = ("h",)

    def step(self, x, h, W, b):
        a = abs(W @ x + b)
        return log(1 + a**2) + (a + 1) ** 0.5 - h / 2


CELLS = {
    kind.__name__: kind()
    for kind in (
        PlainRNN,
        LSTM1997,
        PeepholeLSTM,
        CoupledLSTM,
        JANET,
        Projected,
        GateNormLSTM,
        JointNormLSTM,
        MultiplicativeLSTM,
        MGU,
        LiGRU,
        UGRNN,
        IndRNN,
        SRU,
        QRNNf,
        QRNNfo,
        QRNNifo,
        FastRNN,
        FastGRNN,
        AntisymmetricRNN,
        sLSTM,
        MinGRU,
        MinLSTM,
        RGLRU,
        HeadsLSTM,
        LogSpaceLSTM,
    )
}
