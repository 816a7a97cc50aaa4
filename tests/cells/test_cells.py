"""What holds for every built-in cell, and how a cell is shown, hashed and made."""

import dataclasses
import re
import sys
from pathlib import Path

import pytest
import torch

import recurra.cells
from recurra.cells import CELLS, GRU, LSTM, RNN, Cell, ProjectedLSTM, exp, load, norm, sigmoid, tanh
from recurra.cells.regularised import Regularised
from recurra.ir import CellError, Size, parameters, verify

EQUATIONS = {
    "rnn": "hₜ = tanh(W xₜ + U hₜ₋₁ + b)",
    "rnn_relu": "hₜ = relu(W xₜ + U hₜ₋₁ + b)",
    "lstm": """\
iₜ = σ(W_i xₜ + U_i hₜ₋₁ + b_i)
fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)
gₜ = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)
oₜ = σ(W_o xₜ + U_o hₜ₋₁ + b_o)
cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ
hₜ = oₜ ⊙ tanh(cₜ)""",
    "lstm_projected": """\
iₜ = σ(W_i xₜ + U_i hₜ₋₁ + b_i)
fₜ = σ(W_f xₜ + U_f hₜ₋₁ + b_f)
gₜ = tanh(W_g xₜ + U_g hₜ₋₁ + b_g)
oₜ = σ(W_o xₜ + U_o hₜ₋₁ + b_o)
cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ
hₜ = R (oₜ ⊙ tanh(cₜ))""",
    "gru": """\
rₜ = σ(W_r xₜ + U_r hₜ₋₁ + b_r)
zₜ = σ(W_z xₜ + U_z hₜ₋₁ + b_z)
nₜ = tanh(W_n xₜ + b_n + rₜ ⊙ (U_n hₜ₋₁ + b_h_n))
hₜ = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁""",
    "gru_original": """\
rₜ = σ(W_r xₜ + U_r hₜ₋₁ + b_r)
zₜ = σ(W_z xₜ + U_z hₜ₋₁ + b_z)
nₜ = tanh(W_n xₜ + U_n (rₜ ⊙ hₜ₋₁) + b_n)
hₜ = (1 - zₜ) ⊙ nₜ + zₜ ⊙ hₜ₋₁""",
}


def kinds(base):
    for kind in base.__subclasses__():
        yield from (kind, *kinds(kind))


def test_list_of_cells_is_complete():
    found = [k for k in kinds(Cell) if k.__module__.startswith("recurra.cells.")]
    # An example of a docstring makes a class, too.
    own = {k for k in found if hasattr(sys.modules[k.__module__], k.__name__)} - {Regularised}
    assert {type(cell) for cell in CELLS.values()} == own
    assert {kind.__name__ for kind in own} <= set(recurra.cells.__all__)


def test_the_document_lists_every_cell():
    text = (Path(__file__).parents[2] / "docs" / "cells.md").read_text(encoding="utf-8")
    table = text.partition("## Built-in cells")[2]
    rows = re.findall(r"^\| (`.*?) \|", table, re.M)
    assert [name for row in rows for name in re.findall(r"`(\w+)`", row)] == list(CELLS)


@pytest.mark.parametrize("name", EQUATIONS)
def test_equations(name):
    assert CELLS[name].show() == EQUATIONS[name]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", CELLS)
def test_contract(name, bias):
    cell = load(name)
    graph = cell.graph(bias=bias)
    verify(graph)
    assert graph is cell.graph(bias=bias)
    assert graph.states == cell.states
    assert all(node.where.file.endswith(".py") for node in graph.nodes)
    assert type(cell).__doc__
    assert cell.source


SQUARE = {"W": (7, 5), "U": (7, 7), "b": (7,)}
INPUT_ALONE = {"W": (7, 5), "b": (7,)}
SHAPES = {  # of one gate, where it is not as in the simple network
    "indrnn": INPUT_ALONE | {"u": (7,)},
    "fastgrnn_low_rank": {"W1": (7, 16), "W2": (16, 5), "U1": (7, 16), "U2": (16, 7), "b": (7,)},
    "lstm_peephole": SQUARE | {"p": (7,)},
    "lstm_projected": {"W": (7, 5), "U": (7, 64), "b": (7,), "R": (64, 7)},
    "lstm_multiplicative": SQUARE | {"V": (7, 5), "R": (7, 7)},
    "gru": SQUARE | {"b_h": (7,)},
    "ligru": {"W": (7, 5), "U": (7, 7)},
    "sru": {"W": (7, 7), "v": (7,), "b": (7,)},
    "rglru": {"W": (7, 7), "b": (7,), "decay": (7,)},
    "rotation": {"W": (7, 5), "a": (7,)},
} | dict.fromkeys(("minlstm", "mingru", "qrnn_f", "qrnn_fo", "qrnn_ifo"), INPUT_ALONE)


@pytest.mark.parametrize("name", CELLS)
def test_shapes_of_parameters(name):
    inputs = 7 if CELLS[name].sizes.get("x") == "hidden_size" else 5
    sizes = CELLS[name].bind(inputs, 7)
    params = {p.name: p for p in CELLS[name].graph().params}
    wanted = SHAPES.get(name, {"W": (7, inputs), "U": (7, 7), "b": (7,)})
    found = {k: params[k].shape(sizes) for k in params if not k.startswith("norm")}
    stacked = {k: (max(1, len(params[k].gates)) * rows, *v) for k, (rows, *v) in wanted.items()}
    assert found == stacked | dict.fromkeys(CELLS[name].scalars, ())


def test_shapes_of_states():
    assert LSTM().graph().state_sizes == (Size("hidden_size"), Size("hidden_size"))
    assert ProjectedLSTM().graph().state_sizes == (Size("proj_size"), Size("hidden_size"))
    assert ProjectedLSTM(proj_size=3).bind(2, 5)["proj_size"] == 3


def test_second_bias_of_the_gru_is_stored_for_its_gate_alone():
    by_name = {p.name: p for p in GRU().graph().params}
    assert by_name["b_h"].gates == ("n",)
    assert by_name["b_h"].shape(GRU().bind(5, 7)) == (7,)


def test_parameters_in_words():
    assert parameters(ProjectedLSTM().graph()) == [
        ("W", "i f g o", "hidden_size x input_size"),
        ("U", "i f g o", "hidden_size x proj_size"),
        ("b", "i f g o", "hidden_size"),
        ("R", "", "proj_size x hidden_size"),
    ]


@pytest.mark.parametrize("name", CELLS)
def test_bias_false_leaves_out_every_bias(name):
    names = {p.name for p in CELLS[name].graph(bias=False).params}
    assert names == {p.name for p in CELLS[name].graph().params} - {"b", "b_h"}


def test_how_parameters_start():
    class Mine(Cell):
        states = ("h",)
        scalars = {"a": -3.0}
        init = {"b": 1.0, "U": "zeros"}

        def step(self, x, h, W, U, b, a):
            return a * norm(W @ x + U @ h + b)

    starts = {p.name: p.init for p in Mine().graph().params}
    assert starts == {
        "W": "uniform",
        "U": "zeros",
        "b": 1.0,
        "a": -3.0,
        "norm1_gain": "ones",
        "norm1_bias": "zeros",
    }


def test_only_biases_are_left_out():
    class Mine(Cell):
        states = ("h",)
        scalars = {"beta": 0.5}

        def step(self, x, h, W, beta, blend, b, b2, b_h):
            return tanh(W @ x + b + b2 + b_h + beta * h + blend * h)

    assert [p.name for p in Mine().graph(bias=False).params] == ["W", "beta", "blend"]


def test_digests_differ():
    digests = {name: cell.digest() for name, cell in CELLS.items()}
    assert digests.pop("irnn") == digests["rnn_relu"]  # what sets them apart is how they start
    assert len(set(digests.values())) == len(digests)


def make(equation, **names):
    """A cell of one equation, as digests are compared."""

    class Mine(Cell):
        states = ("h",)

        def step(self, x, h, W, U, b):
            return equation(x, h, W, U, b)

    return Mine(**names)


def plain(x, h, W, U, b):
    return tanh(W @ x + U @ h + b)


def renamed(x, h, W, U, b):
    a = W @ x
    total = a + U @ h + b
    return tanh(total)


CHANGED = {
    "sign": lambda x, h, W, U, b: tanh(W @ x - U @ h + b),
    "order": lambda x, h, W, U, b: tanh(U @ h + W @ x + b),
    "operation": lambda x, h, W, U, b: sigmoid(W @ x + U @ h + b),
    "constant": lambda x, h, W, U, b: tanh(W @ x + U @ h + 2 * b),
    "other constant": lambda x, h, W, U, b: tanh(W @ x + U @ h + 2.0000000001 * b),
    "transpose": lambda x, h, W, U, b: tanh(W @ x + U.T @ h + b),
    "parameter": lambda x, h, W, U, b: tanh(U @ x + W @ h + b),
}


def test_digest_does_not_see_variables():
    assert make(renamed).digest() == make(plain).digest()


@pytest.mark.parametrize("change", CHANGED)
def test_digest_sees_the_equation(change):
    found = {make(CHANGED[c]).digest() for c in CHANGED} | {make(plain).digest()}
    assert len(found) == len(CHANGED) + 1
    assert make(CHANGED[change]).digest() != make(plain).digest()


def test_digest_sees_what_is_returned():
    class Mine(Cell):
        states = ("h", "c")
        scaled: bool = True

        def step(self, x, h, c, W):
            a = c + W @ x + h
            scaled = 2 * a
            return tanh(scaled), scaled if self.scaled else a

    assert Mine(scaled=True).digest() != Mine(scaled=False).digest()


def test_digest_sees_sizes():
    class Wide(ProjectedLSTM):
        sizes = {"h": "hidden_size"}

    assert Wide().digest() != ProjectedLSTM().digest()
    assert ProjectedLSTM(proj_size=3).digest() == ProjectedLSTM().digest()


def test_options():
    assert RNN().options() == {"nonlinearity": "tanh"}
    assert RNN(nonlinearity="relu") == CELLS["rnn_relu"]
    assert hash(RNN()) == hash(RNN())
    with pytest.raises(CellError, match="must be 'tanh' or 'relu'"):
        RNN(nonlinearity="sine")
    with pytest.raises(TypeError):
        LSTM(size=3)
    with pytest.raises(dataclasses.FrozenInstanceError):
        RNN().nonlinearity = "relu"


def test_options_are_constants_of_the_equations():
    class Leaky(Cell):
        states = ("h",)
        rate: float = 0.5

        def step(self, x, h, W):
            return (1 - self.rate) * h + self.rate * (W @ x)

    assert Leaky(rate=0.25).show() == "hₜ = 0.75 ⊙ hₜ₋₁ + 0.25 ⊙ W xₜ"
    assert Leaky(rate=0.25).digest() != Leaky().digest()


def test_subclass_takes_over_states_and_step():
    class Named(LSTM):
        """Another name."""

    assert Named().digest() == LSTM().digest()
    assert Named().graph().cell == "Named"


def test_names_of_values():
    class Mine(Cell):
        states = ("h", "c")
        gates = ("f", "g")

        def step(self, x, h, c, W, b):
            f, g = sigmoid(W.f @ x + b.f), tanh(W.g @ x + b.g)
            c = f * c
            c += g
            big: object = exp(c)
            return big / (1 + big), c

    assert Mine().show().splitlines() == [
        "  fₜ = σ(W_f xₜ + b_f)",
        "  gₜ = tanh(W_g xₜ + b_g)",
        " c′ₜ = fₜ ⊙ cₜ₋₁",
        "  cₜ = c′ₜ + gₜ",
        "bigₜ = exp(cₜ)",
        "  hₜ = bigₜ / (1 + bigₜ)",
    ]


def test_brackets_are_those_the_maths_needs():
    class Mine(Cell):
        states = ("h",)

        def step(self, x, h, W, U):
            v = W @ x
            return -(h - (v - h)) * h / (v / 2) - (U - U.T) @ (h * -v) - (v + h) + U @ h * 2

    line = Mine().show().splitlines()[-1]
    assert line == (
        "hₜ = (-(hₜ₋₁ - (vₜ - hₜ₋₁))) ⊙ hₜ₋₁ / (vₜ / 2) - (U - Uᵀ) (hₜ₋₁ ⊙ (-vₜ)) - (vₜ + hₜ₋₁)"
        " + U hₜ₋₁ ⊙ 2"
    )


def test_results_that_are_no_new_value():
    class Mine(Cell):
        states = ("h", "before", "same")

        def step(self, x, h, before, same, W):
            new = W @ x + h + before + same
            return new, h, new

    assert Mine().show().splitlines() == [
        "  sameₜ = W xₜ + hₜ₋₁ + beforeₜ₋₁ + sameₜ₋₁",
        "     hₜ = sameₜ",
        "beforeₜ = hₜ₋₁",
    ]


def test_numbers_of_numpy_are_numbers():
    numpy = pytest.importorskip("numpy")

    class Mine(Cell):
        states = ("h",)

        def step(self, x, h, W):
            return numpy.float64(2) * h + (W @ x) * numpy.float32(0.5) + numpy.sqrt(4.0) / h

    assert Mine().show() == "hₜ = 2 ⊙ hₜ₋₁ + W xₜ ⊙ 0.5 + 2 / hₜ₋₁"


def test_tracing_draws_no_random_numbers():
    before = torch.get_rng_state()

    class Mine(LSTM):
        pass

    Mine().graph()
    assert torch.equal(before, torch.get_rng_state())
