"""What a cell says of its values: the candidate, the gate that forgets, how parameters start."""

import pytest
import torch

from recurra.cells import CELLS, Cell, sigmoid, tanh
from recurra.cells.roles import forget_gate
from recurra.compile import kernel
from recurra.errors import CellError

WITHOUT_CANDIDATE = {"rnn", "rnn_relu", "irnn", "ornn", "rotation", "indrnn"}
WITHOUT_FORGETTING = WITHOUT_CANDIDATE | {
    *("antisymmetric", "antisymmetric_gated", "fastrnn", "lstm_1997", "rglru")
}


def test_which_cells_have_a_candidate_and_a_gate_that_forgets():
    assert {name for name, cell in CELLS.items() if not cell.candidate} == WITHOUT_CANDIDATE
    assert {name for name, cell in CELLS.items() if not cell.forget} == WITHOUT_FORGETTING


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", [n for n in CELLS if n not in WITHOUT_CANDIDATE])
def test_the_candidate_is_one_value_of_the_graph(name, bias):
    graph = CELLS[name].graph(bias=bias)
    (node,) = [n for n in graph.nodes if n.name == CELLS[name].candidate]
    assert str(node.shape[0]) == "hidden_size"
    assert node not in graph.results


def after_a_step(cell, forget_bias):
    """What a step leaves of a state of ones, all else being zeros."""
    sizes, graph = cell.bind(4, 4), cell.graph()
    p = {q.name: torch.zeros(q.shape(sizes)) for q in graph.params}
    gate, sign = forget_gate(cell.forget)
    bias = next(q for q in graph.params if gate in q.gates and q.name in ("b", "norm1_bias"))
    p[bias.name].chunk(len(bias.gates))[bias.gates.index(gate)].fill_(sign * forget_bias)
    states = [torch.ones(2, size.value(sizes)) for size in graph.state_sizes]
    new = kernel(cell, engine="interp").step(torch.zeros(2, 4), states, p)
    return new[cell.states.index("c") if "c" in cell.states else 0]


@pytest.mark.parametrize("name", [n for n in CELLS if n not in WITHOUT_FORGETTING])
def test_the_gate_that_forgets_keeps_the_state_or_lets_it_go(name):
    at_least = 2 / 3 if name == "minlstm" else 1.0  # its input gate, half open, takes its part
    assert after_a_step(CELLS[name], 30.0).min() > at_least - 1e-5
    assert after_a_step(CELLS[name], -30.0).max() < 1e-5


def gated(**declared):
    """A cell of two gates with these declarations."""

    class Mine(Cell):
        states = ("h",)
        gates = ("f", "n")
        scalars = {"a": 0.5}
        locals().update(declared)

        def step(self, x, h, W, U, p, b, a):
            f = sigmoid(W.f @ x + U.f @ h + b.f)
            n = tanh(W.n @ x + U.n @ h + b.n)
            twice = f * n
            twice = twice * n
            return f * h + a * p * twice

    return Mine()


# what is declared: what the message says
WRONG = {
    "no such value": ({"candidate": "g"}, "is 'g', and step gives .* to no value;.*f, n"),
    "two values": ({"candidate": "twice"}, "to more than one value"),
    "no such gate": ({"forget": "z"}, "`forget` is 'z', and the gates are f, n; 'f' or '1 - f'"),
    "no such gate kept": ({"forget": "1 - z"}, "`forget` is '1 - z'"),
    "another formula": ({"forget": "1-f"}, "`forget` is '1-f'"),
    "no such parameter": ({"init": {"V": "zeros"}}, " names `V`, which isn't a para"),
    "no such parameter of a gate": ({"init": {"V.f": 1.0}}, "names `V`, which isn't a parameter"),
    "no such gate of it": ({"init": {"b.z": 1.0}}, "names `b.z`, and `b` has the gates f, n"),
    "no gates at all": ({"init": {"p.f": 1.0}}, "names `p.f`, and `p` has no gates"),
    "word": (
        {"init": {"U": "eye"}},
        "gives `U` 'eye'; allowed are 'uniform', 'normal', 'zeros'",
    ),
    "range": ({"init": {"b": (1.0, 0.0)}}, "low < high"),
    "gain": ({"init": {"b": ("uniform", 0.0)}}, r"\('uniform', gain\) with gain > 0"),
    "gain of a word": ({"init": {"b": ("zeros", 2.0)}}, r"gives `b` \('zeros', 2.0\)"),
    "gain that is a flag": ({"init": {"b": ("uniform", True)}}, r"gives `b` \('uniform', True\)"),
    "triple": ({"init": {"b": (0.0, 1.0, 2.0)}}, r"pair \(low, high\)"),
    "truth": ({"init": {"b": True}}, "gives `b` True"),
    "scalar": ({"init": {"a": 1.0}}, "`a` is a scalar; `scalars` has"),
    "orthogonal vector": ({"init": {"b": "orthogonal"}}, "can't start orthogonal: it is a vector"),
    "normal vector": ({"init": {"p": "normal"}}, "`p` can't start normal: it is a vector"),
    "identity of a vector": ({"init": {"b.f": "identity"}}, "`b.f` can't start identity: it is a"),
    "identity": ({"init": {"W": "identity"}}, "`W`.*identity: it is hidden_size x input_size"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_refused_at_its_line(case):
    declared, message = WRONG[case]
    with pytest.raises(CellError, match=rf"^test_roles.py:\d+, `.*`: .*Mine.*{message}"):
        gated(**declared).graph()


def test_a_cell_without_gates_cannot_name_one():
    class Plain(Cell):
        states = ("h",)
        forget = "f"

        def step(self, x, h, W):
            return tanh(W @ x + h)

    with pytest.raises(CellError, match="Plain: `forget` is 'f', and the gates are none"):
        Plain().graph()


def test_starts_are_in_the_graph():
    init = {"U": "orthogonal", "U.n": "identity", "b": (0.0, 1.0), "b.f": 2.0}
    params = {p.name: p for p in gated(init=init).graph().params}
    assert params["U"].init == "orthogonal"
    assert params["U"].gate_init == (("n", "identity"),)
    assert (params["b"].init, params["b"].gate_init) == ((0.0, 1.0), (("f", 2.0),))
    assert gated(init=init).digest() == gated().digest()
