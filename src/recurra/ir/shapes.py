"""Shapes follow from the equations: unification over the nodes of a step.

The input has `input_size` values and a state `hidden_size`, unless the cell's `sizes` says
otherwise (as it may of a parameter's rows); every other size is what makes the equations fit, or
else `hidden_size`.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from recurra.ir.check import CellError
from recurra.ir.graph import Node, Size

__all__ = ["Shapes", "infer"]


_ANY = "any size"
_REMEDY = "a product `W @ v` changes a size, and `sizes` of the cell sets that of a state or of x"


@dataclass(eq=False)
class _Dim:
    """A length: known by its name, still free, or `times` gates of an inner length."""

    size: str | None = None
    inner: _Dim | None = None
    times: int = 1
    link: _Dim | None = None

    def root(self) -> _Dim:
        return self.link.root() if self.link else self

    def holds(self, dim: _Dim) -> bool:
        """True if this is gates of that length, which can't be equal to it."""
        inner = self.root().inner
        return inner is not None and (inner.root() is dim or inner.holds(dim))

    def resolve(self) -> Size:
        dim = self.root()
        if dim.inner is not None:
            return Size(dim.inner.resolve().name, dim.times)
        if dim.size is None:
            dim.size = "hidden_size"
        return Size(dim.size)

    def text(self) -> str:
        dim = self.root()
        if dim.inner is not None:
            return f"{dim.times} gates x {dim.inner.text()}"
        return dim.size or _ANY


@dataclass(eq=False)
class _Type:
    """The shape of a value: its dims once the rank is known; () is a scalar."""

    dims: tuple[_Dim, ...] | None = None
    link: _Type | None = None

    def root(self) -> _Type:
        return self.link.root() if self.link else self

    def bind(self, rank: int) -> tuple[_Dim, ...] | None:
        """The dims as a value of that rank, or None where it has another."""
        root = self.root()
        if root.dims is None:
            root.dims = tuple(_Dim() for _ in range(rank))
        return root.dims if len(root.dims) == rank else None

    def text(self) -> str:
        dims = self.root().dims
        if dims is None:
            return "a value of any shape"
        if not dims:
            return "a scalar"
        words = "a vector" if len(dims) == 1 else "a matrix"
        known = any(d.text() != _ANY for d in dims)
        return f"{words} of {' by '.join(d.text() for d in dims)}" if known else words


def _unify_dims(a: _Dim, b: _Dim) -> bool:
    a, b = a.root(), b.root()
    if a is b:
        return True
    for free, other in ((a, b), (b, a)):
        if free.size is None and free.inner is None:
            if other.holds(free):
                return False
            free.link = other
            return True
    if a.inner is not None and b.inner is not None and a.times == b.times:
        return _unify_dims(a.inner, b.inner)
    return a.size is not None and a.size == b.size and a.inner is b.inner


def _unify(a: _Type, b: _Type) -> bool:
    a, b = a.root(), b.root()
    if a is b:
        return True
    for free, other in ((a, b), (b, a)):
        if free.dims is None:
            free.link = other
            return True
    assert a.dims is not None
    assert b.dims is not None
    return len(a.dims) == len(b.dims) and all(map(_unify_dims, a.dims, b.dims))


@dataclass
class Shapes:
    """The shape of each node, and of each parameter with the gates it has, as inferred."""

    nodes: dict[Node, tuple[Size, ...]]
    params: dict[str, tuple[Size, ...]]
    gates: dict[str, tuple[str, ...]]


@dataclass
class _Inference:
    sizes: Mapping[str, str]
    gates: Sequence[str]
    scalars: Iterable[str]
    types: dict[Node, _Type] = field(default_factory=dict)
    whole: dict[str, _Type] = field(default_factory=dict)
    part: dict[str, _Type] = field(default_factory=dict)
    used: dict[str, set[str]] = field(default_factory=dict)

    def visit(self, node: Node) -> _Type:
        args = [self.types[a] for a in node.args]
        match node.op:
            case "input":
                return _Type((_Dim(self.sizes.get("x", "input_size")),))
            case "state":
                return self.state(str(node.detail))
            case "const":
                return _Type(())
            case "param":
                return self.param(node)
            case "product":
                return self.product(node, *args)
            case "transpose":
                rows, columns = self.expect(node, args[0], 2, "`.T` needs a matrix")
                return _Type((columns, rows))
            case "gate":
                (dim,) = self.expect(node, args[0], 1, "a gate is taken of a vector")
                inner = _Dim()
                if not _unify_dims(dim, _Dim(inner=inner, times=len(self.gates))):
                    raise _error(
                        node,
                        f"a gate is taken of {args[0].text()}, which holds no gates; "
                        f"products with a whole parameter do: `(W @ x).{self.gates[0]}`",
                    )
                return _Type((inner,))
            case "normalize":
                self.expect(node, args[0], 1, "`norm` needs a vector")
                return self.elementwise(node, self.elementwise(node, *args[:2]), args[2])
        return functools.reduce(functools.partial(self.elementwise, node), args)

    def state(self, name: str) -> _Type:
        return _Type((_Dim(self.sizes.get(name, "hidden_size")),))

    def param(self, node: Node) -> _Type:
        assert isinstance(node.detail, tuple)
        name, gate = node.detail
        if name in self.scalars:
            if gate is not None:
                raise _error(node, f"`{name}` is a scalar; it has no gate {gate}")
            return _Type(())
        if gate is None:
            return self.whole.setdefault(name, _Type())
        self.used.setdefault(name, set()).add(gate)
        return self.part.setdefault(name, _Type())

    def product(self, node: Node, left: _Type, right: _Type) -> _Type:
        rows, columns = self.expect(
            node, left, 2, "the left of `@` must be a matrix, as in `W @ x`"
        )
        (length,) = self.expect(node, right, 1, "the right of `@` must be a vector")
        if not _unify_dims(columns, length):
            raise _error(
                node,
                f"a matrix of {columns.text()} columns can't multiply a vector of {length.text()}; "
                "use another parameter for it",
            )
        return _Type((rows,))

    def elementwise(self, node: Node, left: _Type, right: _Type) -> _Type:
        if left.root().dims == ():
            return right
        if right.root().dims == ():
            return left
        if not _unify(left, right):
            raise _error(
                node,
                f"{left.text()} meets {right.text()}, and element-wise operations need equal "
                f"sizes; {_REMEDY}",
            )
        return left

    def expect(self, node: Node, value: _Type, rank: int, rule: str) -> tuple[_Dim, ...]:
        dims = value.bind(rank)
        if dims is None:
            raise _error(node, f"{rule}, and this is {value.text()}")
        return dims

    def set_rows(self, nodes: Sequence[Node]) -> None:
        """Give a parameter the number of rows (of each gate) that the cell's `sizes` says."""
        for name in self.sizes.keys() & (self.whole.keys() | self.part.keys()):
            dim = self.rows(self.part.get(name) or self.whole[name])
            if not _unify_dims(dim.inner or dim, _Dim(self.sizes[name])):
                raise _error(
                    _use(nodes, name),
                    f"`sizes` gives `{name}` {self.sizes[name]} rows, and the equations need "
                    f"{dim.text()}",
                )

    def join_parts(self, nodes: Sequence[Node]) -> None:
        """A parameter used both whole and by gates: the whole is its gates, stacked."""
        for name, value in self.part.items():
            rows = self.rows(value)
            if rows.inner is not None:
                raise _error(
                    _use(nodes, name),
                    f"one gate's part of `{name}` has {rows.text()} rows; a gate holds no gates",
                )
            if name not in self.whole:
                continue
            stack = _Dim(inner=rows, times=len(self.gates))
            columns = (value.root().dims or ())[1:]
            if not _unify(self.whole[name], _Type((stack, *columns))):
                raise _error(
                    _use(nodes, name),
                    f"`{name}` is used as {self.whole[name].text()}, and its gates are "
                    f"{value.text()} each; a whole parameter is all its gates, stacked",
                )
            self.used[name] = set(self.gates)

    def rows(self, value: _Type) -> _Dim:
        """The rows of a parameter; one that nothing is known of is a vector."""
        dims = value.root().dims or value.bind(1)
        assert dims
        return dims[0].root()


def _use(nodes: Sequence[Node], name: str) -> Node:
    """The first node that a parameter, or a gate of it, is an argument of."""

    def reads(node: Node) -> bool:
        details = [a.detail for a in node.args if a.op == "param"]
        return any(isinstance(d, tuple) and d[0] == name for d in details)

    return next(n for n in nodes if reads(n))


def _error(node: Node, problem: str) -> CellError:
    return CellError(f"{node.where}: {problem}.")


def infer(
    nodes: Sequence[Node],
    results: Mapping[str, Node],
    *,
    gates: Sequence[str],
    sizes: Mapping[str, str],
    scalars: Iterable[str],
) -> Shapes:
    """The shape of every node (arguments come before users) and parameter of a step.

    `results` maps each state to its new value. Raises CellError, naming the line, where none fits.
    """
    state = _Inference(sizes, gates, frozenset(scalars))
    for node in nodes:
        state.types[node] = state.visit(node)
    state.set_rows(nodes)
    for name, node in results.items():
        if not _unify(state.types[node], state.state(name)):
            raise _error(
                node,
                f"the new `{name}` is {state.types[node].text()}, and the state `{name}` is "
                f"{state.state(name).text()}; {_REMEDY}",
            )
    state.join_parts(nodes)
    return _collect(state)


def _collect(state: _Inference) -> Shapes:
    def shape(value: _Type) -> tuple[Size, ...]:
        dims = value.root().dims
        return tuple(d.resolve() for d in (value.bind(1) or () if dims is None else dims))

    params, gates = {}, {}
    for name, value in state.part.items():
        params[name] = shape(value)
        gates[name] = tuple(g for g in state.gates if g in state.used[name])
    for name, value in state.whole.items():
        rows, *rest = shape(value)
        stacked = rows.times == len(state.gates) > 1 or name in state.part
        params[name] = (Size(rows.name), *rest)
        gates[name] = tuple(state.gates) if stacked else ()
    return Shapes({n: shape(t) for n, t in state.types.items()}, params, gates)
