"""Symbols, on which `step` is run. Each operation on them adds a node that knows its line.

A symbol has no value, so everything that needs one (an `if`, a loop, `float()`, a function of
torch, numpy or math) is refused at its line.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from numbers import Real
from types import CodeType, FrameType
from typing import Never

from recurra.cells.source import Span, place, span
from recurra.ir import CellError, Node, Where

__all__ = ["Number", "Symbol", "Tape", "here"]

Number = float | int

FUNCTIONS = (
    "exp", "expm1", "log", "log1p", "maximum", "minimum", "relu", "sigmoid", "softplus", "sqrt",
    "tanh",
)  # fmt: skip
"""The functions of recurra.cells, to be used instead of those of other libraries."""

_OURS = ("recurra.cells.symbols", "recurra.cells.functions")
_ARITHMETIC = {"add": "add", "subtract": "sub", "multiply": "mul", "divide": "div"}


@dataclass
class Tape:
    """A record of one run of `step`: shared nodes, and the node of each expression."""

    cell: str
    gates: Sequence[str]
    code: CodeType
    shared: dict[tuple[object, ...], Node] = field(default_factory=dict)
    spans: dict[Span, Node] = field(default_factory=dict)
    norms: int = 0

    def node(
        self,
        op: str,
        args: tuple[Node, ...] = (),
        detail: object = None,
        *,
        where: Where | None = None,
    ) -> Node:
        """The node of an operation, made once, at the user's expression or at `where`."""
        key = (op, args, detail)
        node = self.shared.get(key)
        if node is None:
            node = self.shared[key] = Node(op, args, detail, (), where or self.where())
        expression = self.span()
        if expression is not None:
            self.spans[expression] = node
        return node

    def where(self) -> Where | None:
        """The user's expression that is running."""
        frame = _outside()
        return None if frame is None else place(frame)

    def span(self) -> Span | None:
        """The position, within `step`, of the expression that is running."""
        frame = _outside()
        while frame is not None and frame.f_code is not self.code:
            frame = frame.f_back
        return None if frame is None else span(frame)


def _outside() -> FrameType | None:
    """The frame that used a symbol: neither ours nor of a library that was passed one."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and (
        frame.f_globals.get("__name__") in _OURS
        or str(frame.f_globals.get("__name__")).partition(".")[0] in ("torch", "numpy")
    ):
        frame = frame.f_back
    return frame


class Symbol:
    """Stands for a value of a step: a parameter, the input, a state, or computed from these."""

    __slots__ = ("node", "tape")

    def __init__(self, tape: Tape, node: Node) -> None:
        self.tape: Tape = tape
        self.node: Node = node

    def make(self, op: str, *args: Symbol | Number, detail: object = None) -> Symbol:
        """The symbol of an operation on symbols and numbers."""
        nodes = tuple(self.lift(a) for a in args)
        return Symbol(self.tape, self.tape.node(op, nodes, detail))

    def lift(self, value: object) -> Node:
        """The node of a symbol, or of a number as a constant. Anything else is refused."""
        if isinstance(value, Symbol):
            return value.node
        if isinstance(value, bool) or not isinstance(value, Real):
            self.refuse(
                f"a value of type {type(value).__name__} isn't allowed in an equation; "
                "numbers and the arguments of step are"
            )
        return self.tape.node("const", (), float(value))

    def refuse(self, problem: str) -> Never:
        """Raise CellError at the user's line."""
        raise CellError(f"{self.tape.where()}: {problem}.")

    def __getattr__(self, name: str) -> Symbol:
        if name.startswith("_"):
            raise AttributeError(name)
        if name == "T":
            return self.make("transpose", self)
        gates = self.tape.gates
        if name not in gates:
            known = f"its gates are {', '.join(gates)}" if gates else "it has no gates"
            self.refuse(f"`{name}` isn't a gate of {self.tape.cell}; {known}")
        if self.node.op == "param":
            assert isinstance(self.node.detail, tuple)
            param, gate = self.node.detail
            if gate is not None:
                self.refuse(f"`{param}.{gate}` is one gate's part already; it has no `.{name}`")
            return self.make("param", detail=(param, name))
        return self.make("gate", self, detail=(list(gates).index(name), name))

    def __matmul__(self, other: Symbol) -> Symbol:
        return self.make("product", self, other)

    def __rmatmul__(self, other: object) -> Never:
        self.refuse("the left of `@` must be a matrix: a parameter, or computed from parameters")

    def __add__(self, other: Symbol | Number) -> Symbol:
        return self.make("add", self, other)

    def __radd__(self, other: Number) -> Symbol:
        return self.make("add", other, self)

    def __sub__(self, other: Symbol | Number) -> Symbol:
        return self.make("sub", self, other)

    def __rsub__(self, other: Number) -> Symbol:
        return self.make("sub", other, self)

    def __mul__(self, other: Symbol | Number) -> Symbol:
        return self.make("mul", self, other)

    def __rmul__(self, other: Number) -> Symbol:
        return self.make("mul", other, self)

    def __truediv__(self, other: Symbol | Number) -> Symbol:
        return self.make("div", self, other)

    def __rtruediv__(self, other: Number) -> Symbol:
        return self.make("div", other, self)

    def __neg__(self) -> Symbol:
        return self.make("neg", self)

    def __abs__(self) -> Symbol:
        return self.make("abs", self)

    def __pow__(self, power: object) -> Symbol:
        if power not in (2, 0.5):
            self.refuse(f"the power {power!r} isn't allowed; ** 2, ** 0.5, exp and log are")
        return self.make("mul", self, self) if power == 2 else self.make("sqrt", self)

    def __bool__(self) -> bool:
        self.refuse(
            "Python control flow (`if`, `while`, `and`, `or`, `not`) needs a number, and a symbol "
            "has none before the cell runs; use maximum, minimum, relu or a gate"
        )

    def _compare(self, other: object) -> Never:
        self.refuse(
            "a comparison isn't allowed in an equation; use maximum, minimum, relu or a gate"
        )

    def __lt__(self, other: object) -> bool:
        self._compare(other)

    def __le__(self, other: object) -> bool:
        self._compare(other)

    def __gt__(self, other: object) -> bool:
        self._compare(other)

    def __ge__(self, other: object) -> bool:
        self._compare(other)

    def __eq__(self, other: object) -> bool:
        self._compare(other)

    def __ne__(self, other: object) -> bool:
        self._compare(other)

    def __hash__(self) -> int:
        return object.__hash__(self)

    def __iter__(self) -> Never:
        self.refuse("a vector can't be looped over or unpacked; an equation uses it as a whole")

    def __len__(self) -> int:
        self.refuse("a symbol has no length before the cell runs; sizes follow from the equations")

    def __getitem__(self, key: object) -> Never:
        self.refuse("a vector can't be indexed; gates are taken by name, as in `W.i`")

    def __float__(self) -> float:
        self.refuse(
            "a symbol has no number before the cell runs; import tanh, exp, ... from recurra.cells"
        )

    def __int__(self) -> int:
        return int(float(self))

    def __array_ufunc__(self, function: object, method: str, *args: object, **kw: object) -> Symbol:
        # numpy's numbers (`np.sqrt(2) * h`) call this before `__rmul__`
        op = _ARITHMETIC.get(getattr(function, "__name__", ""))
        values = [a for a in args if isinstance(a, (Symbol, float))]
        if op is None or method != "__call__" or len(values) != len(args):
            self._refuse_function("numpy", function)
        return self.make(op, *values)

    def __array_function__(self, function: object, *args: object) -> Never:
        self._refuse_function("numpy", function)

    def __array__(self, *args: object, **kw: object) -> Never:
        self.refuse("a symbol isn't an array, and numpy can't convert it; equations take no arrays")

    def _refuse_function(self, library: str, function: object) -> Never:
        name = getattr(function, "__name__", "function")
        known = name in FUNCTIONS
        ours = f"import `{name}` from recurra.cells" if known else "use those of recurra.cells"
        self.refuse(f"{library}'s `{name}` isn't allowed in an equation; {ours}")

    @classmethod
    def __torch_function__(
        cls, function: object, types: object, args: tuple[object, ...] = (), kwargs: object = None
    ) -> Never:
        symbol = next(a for a in args if isinstance(a, Symbol))
        symbol._refuse_function("torch", function)


def here() -> Where | None:
    """The position of the user's expression."""
    frame = _outside()
    return None if frame is None else place(frame)
