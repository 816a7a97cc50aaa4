"""The language: graphs, what `verify` refuses, and how `rewrite` makes new graphs."""

import dataclasses

import pytest

from recurra.cells import CELLS, LSTM, Cell, norm, tanh
from recurra.engines.interpreter import RULES
from recurra.ir import OPS, Graph, Node, Param, Size, in_order, rewrite, verify

H, X = Size("hidden_size"), Size("input_size")


class Mine(Cell):
    states = ("h",)
    gates = ("i", "n")
    scalars = {"a": 0.5}

    def step(self, x, h, W, U, b, a):
        v = norm(W @ x) + b
        return a * tanh(v.i + 0.5 * h) + (U - U.T) @ v.n


GRAPH = Mine().graph()


def broken(op, change):
    """The graph with the first node of that operation changed, by hand and against the rules."""
    victim = next(n for n in GRAPH.nodes if n.op == op)
    done = {}
    for node in GRAPH.nodes:
        same = {"args": tuple(done[a] for a in node.args)}
        done[node] = dataclasses.replace(node, **(same | change if node is victim else same))
    return dataclasses.replace(GRAPH, results=tuple(done[r] for r in GRAPH.results))


LEAF = Node("const", (), 1.0, ())
MATRIX = Node("param", (), ("U", None), (H, H))
VECTOR = Node("input", (), None, (X,))
BROKEN = {
    "unknown operation": ("tanh", {"op": "sine"}, "`sine` is not an operation"),
    "too few arguments": ("tanh", {"args": ()}, "`tanh` takes 1 values, not 0"),
    "too many arguments": ("tanh", {"args": (LEAF, LEAF)}, "`tanh` takes 1 values, not 2"),
    "constant that is no number": ("const", {"detail": "0.5"}, "`const`"),
    "constant with a size": ("const", {"shape": (H,)}, "`const`"),
    "state of another size": ("state", {"shape": (X,)}, "`state`"),
    "state of another name": ("state", {"detail": "c"}, "`state`"),
    "input that is a scalar": ("input", {"shape": ()}, "`input`"),
    "input that is a matrix": ("input", {"shape": (X, X)}, "`input`"),
    "unknown parameter": ("param", {"detail": ("Q", None)}, "`param`"),
    "unknown gate": ("param", {"detail": ("W", "z")}, "`param`"),
    "parameter without detail": ("param", {"detail": None}, "`param`"),
    "parameter of another size": ("param", {"shape": (H, X)}, "`param`"),
    "unary that changes a size": ("tanh", {"shape": (X,)}, "`tanh`"),
    "sizes that differ": ("mul", {"args": (LEAF, MATRIX)}, "`mul`"),
    "sum of a vector and a matrix": ("sub", {"args": (MATRIX, VECTOR)}, "`sub`"),
    "product of two matrices": ("product", {"args": (MATRIX, MATRIX)}, "`product`"),
    "product of a vector": ("product", {"args": (VECTOR, VECTOR)}, "`product`"),
    "product that doesn't fit": ("product", {"shape": (X,)}, "`product`"),
    "transpose that keeps its shape": ("transpose", {"shape": (H, X)}, "`transpose`"),
    "gate of a small vector": ("gate", {"args": (Node("state", (), "h", (H,)),)}, "`gate`"),
    "gate of a matrix": ("gate", {"args": (MATRIX,)}, "`gate`"),
    "gate as large as all": ("gate", {"shape": (Size("hidden_size", 2),)}, "`gate`"),
    "gate that isn't there": ("gate", {"detail": (2, "i")}, "`gate`"),
    "gate under another's index": ("gate", {"detail": (1, "i")}, "`gate`"),
    "norm of a matrix": ("normalize", {"args": (MATRIX,), "shape": (H, H)}, "`normalize`"),
    "norm that changes a size": ("normalize", {"shape": (H,)}, "`normalize`"),
}


def test_verify_takes_what_tracing_makes():
    verify(GRAPH)


@pytest.mark.parametrize("case", BROKEN)
def test_verify_refuses(case):
    op, change, says = BROKEN[case]
    with pytest.raises(ValueError, match=f"^Mine: {says}"):
        verify(broken(op, change))


def test_verify_refuses_results_that_do_not_fit():
    with pytest.raises(ValueError, match="one result and one size"):
        verify(dataclasses.replace(GRAPH, results=()))
    with pytest.raises(ValueError, match="one result and one size"):
        verify(dataclasses.replace(GRAPH, state_sizes=(H, H)))
    matrix = next(n for n in GRAPH.nodes if n.shape == (H, H))
    with pytest.raises(ValueError, match="result h has shape"):
        verify(dataclasses.replace(GRAPH, results=(matrix,)))


def test_every_operation_has_a_rule_in_the_interpreter():
    own = {"input", "state", "given", "probe", "param", "const"}
    own |= {"product", "gate", "normalize", "mean", "rstd"}
    assert OPS.keys() == RULES.keys() | own
    assert len(OPS) >= 23


def test_rewrite_with_the_identity_changes_nothing():
    results = rewrite(GRAPH.results, lambda node: node)
    assert dataclasses.replace(GRAPH, results=results).digest() == GRAPH.digest()


def test_rewrite_works_from_the_bottom_up():
    seen = []

    def rule(node):
        assert all(a in seen for a in node.args)
        new = dataclasses.replace(node, op="sigmoid") if node.op == "tanh" else node
        seen.append(new)
        return new

    (result,) = rewrite(GRAPH.results, rule)
    found = {n.op for n in in_order((result,))}
    assert "sigmoid" in found
    assert "tanh" not in found


def test_rewrite_makes_equal_nodes_one():
    x = Node("input", (), None, (X,))
    left, right = (Node("tanh", (x,), None, (X,)) for _ in range(2))
    (result,) = rewrite((Node("add", (left, right), None, (X,)),), lambda n: n)
    assert result.args[0] is result.args[1]
    assert len(in_order((result,))) == 3


def test_rewrite_leaves_the_old_graph_alone():
    digest = GRAPH.digest()
    rewrite(GRAPH.results, lambda n: dataclasses.replace(n, name="q"))
    assert dataclasses.replace(GRAPH).digest() == digest


def test_rewrite_can_replace_a_node_by_an_argument():
    results = rewrite(GRAPH.results, lambda n: n.args[0] if n.op == "normalize" else n)
    assert not any(n.op == "normalize" for n in in_order(results))
    verify(dataclasses.replace(GRAPH, results=results))


@pytest.mark.parametrize("name", CELLS)
def test_nodes_come_after_their_arguments(name):
    seen = set()
    for node in CELLS[name].graph().nodes:
        assert seen.issuperset(node.args)
        assert node not in seen
        seen.add(node)


def test_equal_expressions_are_one_node():
    class Twice(Cell):
        states = ("h",)

        def step(self, x, h, W):
            return tanh(W @ x + h) * tanh(W @ x + h)

    assert [n.op for n in Twice().graph().nodes].count("tanh") == 1


def test_what_depends_on_the_state():
    graph = LSTM().graph()
    products = [n for n in graph.nodes if n.op == "product"]
    of_input = [n for n in products if n.args[0].detail[0] == "W"]
    assert len(of_input) == 4
    assert not graph.stateful & set(of_input)
    assert graph.stateful >= set(products) - set(of_input)
    assert graph.timed >= set(products)
    assert not any(n.op == "param" for n in graph.timed)


def test_deep_graphs_do_not_overflow():
    class Deep(Cell):
        states = ("h",)

        def step(self, x, h, W):
            for _ in range(3000):
                h = tanh(h)
            return h + W @ x

    assert len(Deep().graph().nodes) > 3000


def test_shapes_of_a_parameter():
    sizes = {"hidden_size": 6, "input_size": 4}
    assert Param("a", "scalar").shape(sizes) == ()
    assert Param("u", "vector").shape(sizes) == (6,)
    assert Param("b", "vector", ("i", "n")).shape(sizes) == (12,)
    assert Param("W", "matrix", ("i", "n"), H, X).shape(sizes) == (12, 4)
    assert Param("U", "matrix", ("i", "n"), H, H, blocks=3).shape(sizes) == (12, 2)


def test_graph_is_frozen():
    assert isinstance(GRAPH, Graph)
    with pytest.raises(dataclasses.FrozenInstanceError):
        GRAPH.cell = "Other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        GRAPH.nodes[0].op = "other"
