"""Every mistake in a cell is refused at the user's own line, with the remedy."""

import pytest

from helpers import users_file
from helpers.users_file import refused, write
from recurra.cells import Cell, load, tanh
from recurra.errors import ConfigError
from recurra.ir import CellError

GATED = 'states = ("h",)\ngates = ("f", "n")'
TWO = 'states = ("h", "c")'

# name: (body of step, a piece of the line at fault, what the message says)
EQUATIONS = {
    "if": ("if h > 0:\n    h = -h\nreturn tanh(W @ x + U @ h + b)", "if h > 0", "use maximum"),
    "truth": ("h = h or x\nreturn tanh(W @ x + U @ h + b)", "h or x", "control flow.*maximum"),
    "while": ("while h:\n    h = h - b\nreturn tanh(W @ x + U @ h)", "while h", "control flow"),
    "comparison": ("k = h >= 0\nreturn tanh(W @ x + U @ h + b)", "k = h >= 0", "use maximum"),
    "equality": ("k = h == 0\nreturn tanh(W @ x + U @ h + b)", "k = h == 0", "use maximum"),
    "for": (
        "k = [v for v in h]\nreturn tanh(W @ x + U @ h + b)",
        "for v in h",
        "uses it as a whole",
    ),
    "unpacking": (
        "p, q = h\nreturn tanh(W @ x + U @ h + b)",
        "p, q = h",
        "uses it as a whole",
    ),
    "index": ("k = h[0]\nreturn tanh(W @ x + U @ h + b)", "h[0]", "gates are taken by name"),
    "len": ("k = len(h)\nreturn tanh(W @ x + U @ h + b)", "len(h)", "no length before"),
    "float": ("k = float(h)\nreturn tanh(W @ x + U @ h + b)", "float(h)", "recurra.cells"),
    "int": ("k = int(h)\nreturn tanh(W @ x + U @ h + b)", "int(h)", "no number"),
    "math": ("return math.tanh(W @ x + U @ h + b)", "math.tanh", "recurra.cells"),
    "numpy": ("return np.tanh(W @ x + U @ h + b)", "np.tanh", "numpy's `tanh`.*recurra.cells"),
    "numpy function": (
        "k = np.dot(U, h)\nreturn tanh(W @ x + b + k)",
        "np.dot",
        "numpy's `dot`.*use those",
    ),
    "numpy array": ("return tanh(W @ x + U @ h + b * np.ones(3))", "np.ones", "type ndarray"),
    "torch": (
        "return torch.tanh(W @ x + U @ h + b)",
        "torch.tanh",
        "torch's `tanh`.*recurra.cells",
    ),
    "torch nn": ("return torch.nn.functional.relu(W @ x + U @ h + b)", "relu(W", "torch's `relu`"),
    "tensor": ("return tanh(W @ x + U @ h + b * torch.ones(3))", "torch.ones", "Tensor isn't"),
    "sizes": ("return tanh(W @ x + U @ h + b) + x", "+ x", "input_size.*hidden_size.*W @ v"),
    "product of vectors": ("return tanh(W @ x + U @ h + b) * x * h", "* x", "sizes"),
    "same matrix": ("return tanh(W @ x + W @ h + U @ h + b)", "W @ h", "another parameter"),
    "vector first": ("return tanh(W @ x + h @ U + b)", "h @ U", "left of `@` must be a matrix"),
    "two matrices": ("return tanh(W @ x + (U @ U) @ h + b)", "U @ U", "right of `@` must be a v"),
    "matrix and vector": ("return tanh(W @ x + U @ h + b) + U", "+ U", "a matrix"),
    "number first": ("return tanh(2 @ x + W @ x + U @ h + b)", "2 @ x", "left of `@`"),
    "number second": ("return tanh(W @ x + U @ 2 + b)", "U @ 2", "right of `@` must be a vector"),
    "transpose": ("return tanh(W @ x + U @ h + b).T", ".T", "`.T` needs a matrix"),
    "text": ('h = "a" + h\nreturn tanh(W @ x + U @ h + b)', '"a" + h', "type str"),
    "none": ("h = h * None\nreturn tanh(W @ x + U @ h + b)", "h * None", "type NoneType"),
    "truth value": ("h = h * True\nreturn tanh(W @ x + U @ h + b)", "h * True", "type bool"),
    "power": ("return tanh(W @ x + U @ h + b) ** 3", "** 3", r"\*\* 3.*\*\* 2"),
    "number to tanh": ("return W @ x + U @ h + b + tanh(0.5)", "tanh(0.5)", "takes a .*not float"),
    "numbers to maximum": (
        "return W @ x + U @ h + b + maximum(0, 1)",
        "maximum(0, 1)",
        "only numbers",
    ),
    "norm of a number": ("return W @ x + U @ h + b + norm(1)", "norm(1)", "not int"),
    "norm of a matrix": (
        "return W @ x + norm(U) @ h + b",
        "norm(U)",
        "left of `@`.*this is a vector",
    ),
    "no gates": ("return tanh(W.f @ x + U @ h + b)", "W.f", "Mine; it has no gates"),
    "unknown name": ("return tahn(W @ x + U @ h + b)", "tahn", "NameError: name 'tahn'"),
    "unknown operator": ("return tanh(W @ x + U @ h + b) % 2", "% 2", "TypeError.*%"),
    "division": ("k = 1 / 0\nreturn tanh(W @ x + U @ h + b)", "1 / 0", "ZeroDivisionError"),
    "set an item": ("h[0] = 1\nreturn tanh(W @ x + U @ h + b)", "h[0] = 1", "TypeError"),
    "helper": ("return helper(W @ x + U @ h + b)", "v if v > 0", "use maximum"),
    "unused": ("return tanh(W @ x + U @ h)", "def step", "the parameter `b` of step.*leave it out"),
    "dead end": ("n = U @ h\nreturn tanh(W @ x + b)", "def step", "the parameter `U` of step"),
    "returns nothing": ("h = tanh(W @ x + U @ h + b)", "def step", "returns nothing"),
    "bare return": ("if W is U:\n    return h\nreturn None", "return None", "nothing.*in this o"),
    "returns a number": ("k = W @ x + U @ h + b\nreturn 1.0", "return 1.0", "type float.*`h`"),
    "returns too many": ("h = W @ x + U @ h + b\nreturn h, h", "return h, h", "2 values.*\\(h\\)"),
    "returns a list": ("h = W @ x + U @ h + b\nreturn [h]", "return [h]", "type list"),
}


@pytest.mark.parametrize("case", EQUATIONS)
def test_equation_is_refused_at_its_line(case, tmp_path):
    body, at, says = EQUATIONS[case]
    refused(write(tmp_path, body), at, says)


# name: (declarations, arguments of step, body, a piece of the line at fault, what is said)
DECLARED = {
    "unknown gate": (GATED, "x, h, W", "return W.f @ x + W.z @ x + h", "W.z", "its gates are f, n"),
    "gate of a gate": (GATED, "x, h, W", "return W.f.n @ x + h", "W.f.n", "one gate's part alre"),
    "gate of a small vector": (
        GATED,
        "x, h, W",
        "return (W.n @ x).f + (W.f @ x).n",
        "(W.n",
        "no gates",
    ),
    "gate as large as all": (
        GATED,
        "x, h, W",
        "return (W.n @ x).f + W.f @ x",
        "W.n",
        "equal sizes",
    ),
    "gate never used": (GATED, "x, h, W", "return W.f @ x + h", "def step", "gate `n` of Mine"),
    "gate of a scalar": (
        GATED + '\nscalars = {"a": 1.0}',
        "x, h, W, a",
        "return W.f @ x + W.n @ x + a.f * h",
        "a.f",
        "`a` is a scalar",
    ),
    "whole and by gates": (
        GATED,
        "x, h, W, U",
        "return W @ x + W.f @ x + W.n @ x + U @ h",
        "W @ x",
        "its gates are a matrix of hidden_size by input_size each",
    ),
    "state missing": (TWO, "x, h, c, W", "h = W @ x + h + c\nreturn h", "return h", "1 value, .*c"),
    "state of another size": (TWO, "x, h, c, W", "return W @ x + h, x", "def step", "new `c` is a"),
    "state is None": (TWO, "x, h, c, W", "return W @ x, None", "return W", "None as the new `c`"),
    "constant state": (
        TWO,
        "x, h, c, W, p",
        "return W @ x + c + h, tanh(p)",
        "tanh(p)",
        "`c` of Mine depends neither",
    ),
    "no state in step": ("", "x, W", "return W @ x", "def step", r"must take \(self, x, h, "),
    "states swapped": (TWO, "x, c, h, W", "return h, c", "def step", r"\(self, x, h, c, "),
    "default": ("", "x, h, W=None", "return W @ x + h", "def step", "without defaults"),
    "star": ("", "x, h, *W", "return W[0] @ x + h", "def step", r"\*W.*by their names"),
    "keyword": ("", "x, h, *, W", "return W @ x + h", "def step", "by their names"),
    "states as text": ('states = "h"', "x, h, W", "return W @ x", "states =", r"tuple of names"),
    "states as a list": ('states = ["h"]', "x, h, W", "return W @ x", "states =", r"\('h',\)"),
    "no states": ("states = ()", "x, W", "return W @ x", "states =", "is empty"),
    "state twice": ('states = ("h", "h")', "x, h, W", "return W @ x", "states =", "a name twice"),
    "state x": ('states = ("x",)', "x, W", "return W @ x", "states =", "which is the input"),
    "state not a name": ('states = ("h 1",)', "x, W", "return W @ x", "states =", "tuple of names"),
    "keyword as a state": ('states = ("if",)', "x, W", "return W @ x", "states =", "of names"),
    "gate twice": (GATED + '\ngates = ("f", "f")', "x, h", "return x", '"f", "f"', "name twice"),
    "gates as text": ('states = ("h",)\ngates = "fn"', "x, h", "return x", "gates", "tuple of"),
    "gate called T": ('states = ("h",)\ngates = ("T",)', "x, h", "return x", "gates", "called `T`"),
    "gate called node": ('states = ("h",)\ngates = ("node",)', "x, h", "return x", "gates", "node"),
    "size of nothing": (
        'states = ("h",)\nsizes = {"q": "hidden_size"}',
        "x, h, W",
        "return W @ x + h",
        "def step",
        "`sizes` of Mine names `q`, which isn't a parameter of step or a state",
    ),
    "unknown size": (
        'states = ("h",)\nsizes = {"h": "proj"}',
        "x, h, W",
        "return W @ x + h",
        "sizes =",
        "size `proj`; allowed are input_size, hidden_size",
    ),
    "size of zero": (
        'states = ("h",)\nsizes = {"h": "proj"}\nproj: int = 0',
        "x, h, W",
        "return W @ x + h",
        "sizes =",
        "above 0",
    ),
    "rows that can't be": (
        'states = ("h",)\nsizes = {"W": "rank"}\nrank: int = 2',
        "x, h, W",
        "return W @ x + h",
        "W @ x + h",
        "gives `W` rank rows, and the equations need hidden_size",
    ),
    "scalar of nothing": (
        'states = ("h",)\nscalars = {"q": 1.0}',
        "x, h, W",
        "return W @ x + h",
        "def step",
        "`scalars` of Mine names `q`",
    ),
    "block option missing": (
        'states = ("h",)\nblocks = {"U": "heads"}',
        "x, h, U",
        "return U @ h",
        "blocks =",
        "`heads` blocks; it must be the name of an option",
    ),
    "no blocks": (
        'states = ("h",)\nblocks = {"U": "heads"}\nheads: int = 0',
        "x, h, U",
        "return U @ h",
        "blocks =",
        "above 0",
    ),
    "blocks of a vector": (
        'states = ("h",)\nblocks = {"u": "heads"}\nheads: int = 2',
        "x, h, u, W",
        "return W @ x + u * h",
        "u * h",
        "`u` is block-diagonal.*left of `@`",
    ),
    "algebra of blocks": (
        'states = ("h",)\nblocks = {"U": "heads"}\nheads: int = 2',
        "x, h, U, W",
        "return W @ x + (U - U.T) @ h",
        "U - U.T",
        "only on the left of `@`",
    ),
}


@pytest.mark.parametrize("case", DECLARED)
def test_declaration_is_refused_at_its_line(case, tmp_path):
    declare, signature, body, at, says = DECLARED[case]
    refused(write(tmp_path, body, declare=declare, signature=signature), at, says)


def test_table_is_complete():
    assert len(EQUATIONS) >= 45
    assert len(DECLARED) >= 30


def test_line_of_an_expression_on_many_lines(tmp_path):
    body = """
        h = tanh(
            W @ x
            + U @ h
            + h * x
        )
        return h
    """
    message = refused(write(tmp_path, body, signature="x, h, W, U"), "+ h * x", "equal sizes")
    assert message.startswith("mycell.py:16, `+ h * x`")


def test_text_of_a_statement_with_a_body_is_its_first_line(tmp_path):
    body = "while h:\n    h = h - b\nreturn tanh(W @ x + U @ h)"
    assert ", `while h:`: " in refused(write(tmp_path, body), "while h:", "control flow")


def test_line_of_a_decorated_step(tmp_path):
    path = write(tmp_path, "return tanh(W @ x + U @ h)")
    text = path.read_text().replace("    def step", "    @passed_on\n    def step")
    path.write_text("def passed_on(f):\n    return f\n" + text)
    refused(path, "def step", "don't depend on the parameter `b` of step")


def test_class_without_step(tmp_path):
    path = write(tmp_path, "return W @ x")
    path.write_text(path.read_text().partition("    def step")[0])
    refused(path, "class Mine", r"no method `step\(self, x, h, \.\.\.\)`")


def test_step_that_is_no_method():
    class Mine(Cell):
        states = ("h",)
        step = staticmethod(lambda x, h: x + h)

    with pytest.raises(CellError, match=r"takes \(x, h\); it must take \(self, x, h, \.\.\.\)"):
        Mine().graph()


def test_options_that_cannot_be_hashed():
    class Mine(Cell):
        states = ("h",)
        list_of: tuple = ()

    with pytest.raises(CellError, match="must be hashable: numbers, text, tuples"):
        Mine(list_of=[1]).graph()


def test_fault_in_an_inherited_declaration(tmp_path):
    path = write(tmp_path, "return W @ x + h", signature="x, h, W")
    text = path.read_text().replace("class Mine(Cell)", "class Base(Cell)")
    path.write_text(text.replace('("h",)', '"h"') + "\nclass Mine(Base):\n    pass\n")
    refused(path, 'states = "h"', "tuple of names")


def test_cell_without_source_works_and_gives_lines():
    """As in a console, or made by exec."""
    text = "class Mine(Cell):\n  states = ('h',)\n  def step(self, x, h, W):\n    return {}\n"
    names = {"Cell": Cell, "tanh": tanh}
    exec(text.format("tanh(W @ x + h)"), names)
    assert names["Mine"]().show() == "hₜ = tanh(W xₜ + hₜ₋₁)"
    exec(text.format("tanh(W @ x + h[0])"), names)
    with pytest.raises(CellError, match=r"^<string>:4: a vector can't be indexed"):
        names["Mine"]().graph()


# what is given to `load`: what the message says
LOADED = {
    "lstmm": "did you mean lstm?",
    "LSTM": "did you mean lstm?",
    "nonsense": "The cells are rnn, .*package.module:Class",
    "": "The cells are",
    "no_such_module:Cell": "no module 'no_such_module'.*import",
    "recurra.no_such:Cell": "no module 'recurra.no_such'",
    "math:Nothing": "'Nothing' in math is missing",
    "math:pi": "'pi' in math is not a .*Cell",
    ":Cell": "package.module:Class",
    "math:": "package.module:Class",
    ".own:Cell": "package.module:Class",
}


@pytest.mark.parametrize("name", LOADED)
def test_load_refuses(name):
    with pytest.raises(ConfigError, match=LOADED[name]):
        load(name)


def test_load_refuses_a_cell_that_needs_options(tmp_path, monkeypatch):
    write(tmp_path, "return x", declare='states = ("h",)\nwidth: int')
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match=r"'width'.*give each a default"):
        load("mycell:Mine")


def test_load_finds_a_users_own(tmp_path, monkeypatch):
    path = write(tmp_path, "return tanh(W @ x + U @ h + b)")
    path.rename(tmp_path / "own_cell.py")
    monkeypatch.syspath_prepend(tmp_path)
    assert load("own_cell:Mine").show() == "hₜ = tanh(W xₜ + U hₜ₋₁ + b)"


def test_load_points_at_the_line(tmp_path, monkeypatch):
    path = write(tmp_path, "return W @ x + U @ h + b + x")
    path.rename(tmp_path / "bad_cell.py")
    monkeypatch.syspath_prepend(tmp_path)
    number = 1 + users_file.IMPORTS.count("\n") + 7
    with pytest.raises(CellError, match=f"^bad_cell.py:{number}, "):
        load("bad_cell:Mine")


@pytest.mark.parametrize("sizes", [(3, 4), (4, 6)])
def test_bind_refuses_sizes_that_contradict(sizes):
    class Mine(Cell):
        states = ("h",)
        sizes = {"x": "hidden_size"}
        blocks = {"U": "heads"}
        heads: int = 4

        def step(self, x, h, U):
            return x + U @ h

    with pytest.raises(CellError, match="Mine: input_size is"):
        Mine().bind(*sizes)
    with pytest.raises(CellError, match="heads=4 must divide hidden_size, which is 6"):
        Mine().bind(6, 6)
    assert Mine().bind(8, 8)["hidden_size"] == 8
