"""One step of a cell as a graph: nodes are frozen, shared where equal, and know their line.

`OPS` are the words of the language: every operation that may stand in a cell's equations. A value
is a vector (one for each row of the batch), a matrix (a parameter, or made of parameters) or a
scalar. Element-wise operations take values of one shape; scalars go with anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

__all__ = [
    "OPS",
    "ROOT_BOUND",
    "Graph",
    "Init",
    "Node",
    "Op",
    "OpKind",
    "Param",
    "Size",
    "Where",
    "in_order",
    "rewrite",
]


Init = str | float | tuple[float, float] | tuple[str, float] | Callable[[float], float]
"""The start of a parameter: a word, a number, a uniform range, a function of a draw from (0, 1)."""


@dataclass(frozen=True)
class Where:
    """A place in the source of a cell: file, lines, columns, and the text that stands there."""

    file: str
    line: int
    text: str = ""
    end_line: int = 0
    column: int = 0
    end_column: int = 0

    def __str__(self) -> str:
        name = self.file.replace("\\", "/").rsplit("/", 1)[-1]
        return f"{name}:{self.line}" + (f", `{self.text}`" if self.text else "")


@dataclass(frozen=True)
class Size:
    """A length that has a name, such as `hidden_size`, taken `times` times (a stack of gates)."""

    name: str
    times: int = 1

    def value(self, sizes: Mapping[str, int]) -> int:
        """The number, given what the names stand for."""
        return self.times * sizes[self.name]

    def __str__(self) -> str:
        return self.name if self.times == 1 else f"{self.times} x {self.name}"


@dataclass(frozen=True, eq=False)
class Node:
    """One value of the step. `detail` is what a leaf or a structure needs besides its arguments:

    | op        | detail                                       |
    |-----------|----------------------------------------------|
    | state     | its name                                     |
    | given     | (its name, None)                             |
    | probe     | (its name, None)                             |
    | param     | (its name, the gate or None for all of it)   |
    | const     | its number                                   |
    | gate      | (its index, its name)                        |
    | normalize | the eps under the root                       |
    | rstd      | the eps under the root                       |
    """

    op: str
    args: tuple[Node, ...]
    detail: object
    shape: tuple[Size, ...]
    where: Where | None = None
    name: str | None = None


@dataclass(frozen=True)
class Param:
    """A learnt parameter of a cell.

    A matrix is stored as (gates x rows, columns), a vector as (gates x rows,), a scalar as ().
    With `blocks` above 1 the matrix is block-diagonal, and a stored row holds only the columns of
    its own block. `gate_init` holds the gates that start otherwise than the rest.
    """

    name: str
    kind: Literal["matrix", "vector", "scalar"]
    gates: tuple[str, ...] = ()
    rows: Size = Size("hidden_size")
    columns: Size | None = None
    blocks: int = 1
    init: Init = "uniform"
    gate_init: tuple[tuple[str, Init], ...] = ()

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """The stored shape, given what the size names stand for."""
        if self.kind == "scalar":
            return ()
        rows = max(1, len(self.gates)) * self.rows.value(sizes)
        if self.columns is None:
            return (rows,)
        return (rows, self.columns.value(sizes) // self.blocks)


@dataclass(frozen=True)
class Graph:
    """The values of a `step`: the new states, the parameters it needs, and every value in order.

    `givens` are the vectors that come with each step beside its input, by name: those of the leaves
    `given` and `probe`.
    """

    cell: str
    states: tuple[str, ...]
    gates: tuple[str, ...]
    state_sizes: tuple[Size, ...]
    params: tuple[Param, ...]
    results: tuple[Node, ...]
    givens: tuple[tuple[str, Size], ...] = ()

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node once, arguments before their users."""
        return in_order(self.results)

    @cached_property
    def stateful(self) -> frozenset[Node]:
        """The nodes that depend on a state, and so can't leave the loop over time."""
        found: set[Node] = set()
        for node in self.nodes:
            if node.op == "state" or any(a in found for a in node.args):
                found.add(node)
        return frozenset(found)

    @cached_property
    def timed(self) -> frozenset[Node]:
        """The nodes that depend on the input or a state; the rest is fixed for a whole sequence."""
        found: set[Node] = set()
        for node in self.nodes:
            comes = node.op in ("state", "input", "given", "probe")
            if comes or any(a in found for a in node.args):
                found.add(node)
        return frozenset(found)

    def param(self, name: str) -> Param:
        """The parameter of that name."""
        return next(p for p in self.params if p.name == name)

    def digest(self) -> str:
        """A hash of the equations: equal for equal graphs, whatever their variables are called."""
        numbers = {node: i for i, node in enumerate(self.nodes)}
        lines = [
            f"{i}={n.op}{[numbers[a] for a in n.args]}{n.detail!r}{[str(s) for s in n.shape]}"
            for n, i in numbers.items()
        ]
        lines += [
            f"{p.name} {p.kind} {p.gates} {p.rows} {p.columns} {p.blocks}" for p in self.params
        ]
        lines += [f"{s}={numbers[n]}" for s, n in zip(self.states, self.results, strict=True)]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def in_order(results: tuple[Node, ...]) -> tuple[Node, ...]:
    """Every node that the results need, once each, arguments before their users."""
    return tuple(_walk(results))


def rewrite(results: tuple[Node, ...], rule: Callable[[Node], Node]) -> tuple[Node, ...]:
    """The same values with `rule` applied to every node, bottom up; equal nodes become one."""
    done: dict[Node, Node] = {}
    shared: dict[tuple[object, ...], Node] = {}
    for node in in_order(results):
        args = tuple(done[a] for a in node.args)
        new = rule(node if args == node.args else replace(node, args=args))
        done[node] = shared.setdefault((new.op, new.args, new.detail, new.shape, new.name), new)
    return tuple(done[r] for r in results)


def _walk(results: tuple[Node, ...]) -> Iterator[Node]:
    seen: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(node, False) for node in reversed(results)]
    while stack:
        node, ready = stack.pop()
        if node in seen:
            continue
        if ready:
            seen.add(node)
            yield node
        else:
            stack.append((node, True))
            stack.extend((a, False) for a in reversed(node.args))


OpKind = Literal["leaf", "unary", "binary", "ternary", "product", "structure"]


@dataclass(frozen=True)
class Op:
    """One operation: its arity (None for any), its sort, how it is written, and what it does."""

    name: str
    arity: int | None
    kind: OpKind
    text: str
    meaning: str

    @property
    def is_elementwise(self) -> bool:
        """True if each element of the value follows from the same elements of the arguments."""
        return self.kind in ("unary", "binary", "ternary")


_TABLE = (
    Op("input", 0, "leaf", "x", "the step's input vector"),
    Op("state", 0, "leaf", "h", "a state as the previous step left it"),
    Op("given", 0, "leaf", "m", "a vector of each step and row that is not learnt, such as a mask"),
    Op("probe", 0, "leaf", "e", "zeros of each step and row, whose gradient is wanted"),
    Op("param", 0, "leaf", "W", "a learnt matrix, vector or scalar, or one gate's part of it"),
    Op("const", 0, "leaf", "1", "a number"),
    Op("neg", 1, "unary", "-{}", "minus"),
    Op("sigmoid", 1, "unary", "σ({})", "1 / (1 + exp(-a))"),
    Op("tanh", 1, "unary", "tanh({})", "hyperbolic tangent"),
    Op("relu", 1, "unary", "relu({})", "max(a, 0)"),
    Op("exp", 1, "unary", "exp({})", "exponential"),
    Op("expm1", 1, "unary", "expm1({})", "exp(a) - 1"),
    Op("log", 1, "unary", "log({})", "natural logarithm"),
    Op("log1p", 1, "unary", "log1p({})", "log(1 + a)"),
    Op("sqrt", 1, "unary", "√({})", "square root"),
    Op("bounded_sqrt", 1, "unary", "√({})", "square root, whose derivative is 0 up to 1e-24"),
    Op("softplus", 1, "unary", "softplus({})", "log(1 + exp(a))"),
    Op("log_sigmoid", 1, "unary", "log σ({})", "log(sigmoid(a))"),
    Op("abs", 1, "unary", "|{}|", "magnitude"),
    Op("add", 2, "binary", "{} + {}", "sum"),
    Op("sub", 2, "binary", "{} - {}", "difference"),
    Op("mul", 2, "binary", "{} ⊙ {}", "element-wise product"),
    Op("div", 2, "binary", "{} / {}", "element-wise quotient"),
    Op("maximum", 2, "binary", "max({}, {})", "element-wise maximum"),
    Op("minimum", 2, "binary", "min({}, {})", "element-wise minimum"),
    Op("where_positive", 3, "ternary", "({1} if {0} > 0 else {2})", "b where a > 0, else c"),
    Op("product", 2, "product", "{} {}", "matrix times vector"),
    Op("transpose", 1, "structure", "{}ᵀ", "transpose of a square matrix"),
    Op("gate", 1, "structure", "{}", "one gate's part of a vector that holds all gates"),
    Op("mean", None, "structure", "mean({})", "the mean over all elements, in each of them"),
    Op("rstd", None, "structure", "rstd({})", "1 / sqrt(variance + eps) over all, in each of them"),
    Op(
        "normalize",
        3,
        "structure",
        "norm({})",
        "(a - mean) / sqrt(variance + eps) over the vector, times a gain, plus a bias",
    ),
)

ROOT_BOUND = 1e-24
"""Up to here the derivative of `bounded_sqrt` is 0. Beyond, its first two are float32 numbers."""

OPS: dict[str, Op] = {op.name: op for op in _TABLE}
