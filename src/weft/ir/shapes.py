"""Shapes follow from the equations: unification over the nodes of a step.

The input has `input_size` values and a state `hidden_size`, unless the cell's `sizes` says
otherwise; every other size is what makes the equations fit, or else `hidden_size`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from weft.ir.errors import CellError
from weft.ir.graph import Node, Size

__all__ = ["Shapes", "infer"]


@dataclass(eq=False)
class _Dim:
    """A length: known by its name, still free, or `times` gates of an inner length."""

    size: str | None = None
    inner: _Dim | None = None
    times: int = 1
    link: _Dim | None = None

    def root(self) -> _Dim:
        return self.link.root() if self.link else self

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
        return dim.size or "any size"


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
        words = "a vector of " if len(dims) == 1 else "a matrix of "
        return words + " by ".join(d.text() for d in dims)


def _unify_dims(a: _Dim, b: _Dim) -> bool:
    a, b = a.root(), b.root()
    if a is b:
        return True
    for free, other in ((a, b), (b, a)):
        if free.size is None and free.inner is None:
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
    """What inference found: the shape of each node, and of each parameter with the gates it has."""

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
                return args[0]
        return args[0] if len(args) == 1 else self.elementwise(node, *args)

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
        rows, columns = self.expect(node, left, 2, "the left of `@` must be a matrix")
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
                f"{left.text()} meets {right.text()}; element-wise operations need equal sizes "
                "(a product `W @ v` changes a size)",
            )
        return left

    def expect(self, node: Node, value: _Type, rank: int, rule: str) -> tuple[_Dim, ...]:
        dims = value.bind(rank)
        if dims is None:
            raise _error(node, f"{rule}, and this is {value.text()}")
        return dims

    def join_parts(self, nodes: Sequence[Node]) -> None:
        """A parameter used both whole and by gates: the whole is its gates, stacked."""
        for name in self.whole.keys() & self.part.keys():
            node = next(n for n in nodes if n.op == "param" and n.detail == (name, None))
            part = self.part[name].root()
            dims = part.dims or part.bind(1)
            assert dims is not None
            stack = _Dim(inner=dims[0], times=len(self.gates))
            if not _unify(self.whole[name], _Type((stack, *dims[1:]))):
                raise _error(node, f"`{name}` is used whole and by gates, with different sizes")
            self.used[name] = set(self.gates)


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
    for name, node in results.items():
        if not _unify(state.types[node], state.state(name)):
            raise _error(
                node,
                f"the new `{name}` is {state.types[node].text()}, and the state `{name}` is "
                f"{state.state(name).text()}; `sizes` of the cell sets a state's size",
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
