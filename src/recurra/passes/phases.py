"""phases: what needs all of a value computed in this same step must wait until it is there.

Products do, and means and deviations of a row. A step becomes a list of phases; what a later one
needs of an earlier one goes through a buffer.

In a phase, products that are only ever added to one another share one accumulator (`fuse`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace

from recurra.ir import Loop, Node, Phase, Schedule, Size, Store, in_order, rewrite

__all__ = ["fuse", "phases"]

_LEAVES = ("state", "outer", "const", "adjoint", "seed", "new", "saved", "buffer", "transpose")

_STATISTICS = ("mean", "rstd")
_WHOLE = ("product", *_STATISTICS)  # operations that need all elements of an operand
_CHEAP = ("neg", "add", "sub", "mul")
_LASTING = ("state", "outer", "const", "seed", "new", "saved")
_FEW = 4  # operations that cost less than a value's way through memory

BufferPlace = tuple[str, int]


def phases(loop: Loop) -> Schedule:
    """The phases of a step, in order.

    Buffers written are `next:STATE`, `saved:I`, `grad:I` (a loop input's gradient),
    `matrix:I` (what parts of one matrix are multiplied with the same operand for), and `temp:I`.
    """
    stores = [*_result_stores(loop), *_emission_stores(loop)]
    places = {s.node: (s.buffer, s.part) for s in reversed(stores) if _is_readable(s)}
    for store in _matrix_stores(loop, places):
        places[store.node] = (store.buffer, store.part)
        stores.append(store)
    cutting = _Cutting(stores, places)
    temporaries = list(cutting.temporaries())
    stores += temporaries
    return Schedule(
        tuple(cutting.phases(stores)),
        tuple(places.get(e.node, ("", 0)) for e in loop.emissions),
        tuple(s.node.shape[0] for s in temporaries),
    )


def _is_readable(store: Store) -> bool:
    """True if the store leaves the value of this step and row where a later phase finds it."""
    return not store.add and not store.buffer.startswith("next:")


def _result_stores(loop: Loop) -> Iterator[Store]:
    for state, node, size in zip(loop.states, loop.results, loop.state_sizes, strict=True):
        vector = node if node.shape else replace(node, shape=(size,))
        yield Store(f"next:{state}", 0, vector)
    for index, node in enumerate(loop.saved):
        yield Store(f"saved:{index}", 0, node)


def _emission_stores(loop: Loop) -> Iterator[Store]:
    for emission in loop.emissions:
        if emission.kind != "matrix":
            buffer, part = f"grad:{emission.outer[0]}", emission.outer[1] or 0
            yield Store(buffer, part, emission.node, add=emission.kind != "timed")


def _matrix_stores(loop: Loop, known: dict[Node, BufferPlace]) -> Iterator[Store]:
    """Stores for the gradients of matrices that no other store has, parts in order.

    They lie side by side where they belong to one matrix and one operand.
    """
    groups: dict[object, list[Node]] = {}
    for emission in sorted(loop.emissions, key=lambda e: e.outer[1] or 0):
        if emission.kind == "matrix" and emission.node not in known:
            group = groups.setdefault((emission.outer[0], emission.operand), [])
            if all(emission.node not in nodes for nodes in groups.values()):
                group.append(emission.node)
    for index, nodes in enumerate(groups.values()):
        for part, node in enumerate(nodes):
            yield Store(f"matrix:{index}", part, node)


class _Cutting:
    """Levels of nodes, and the values that cross from one to a later one."""

    def __init__(self, stores: Iterable[Store], places: dict[Node, BufferPlace]) -> None:
        self.roots = tuple(s.node for s in stores)
        self.news = {s.buffer.removeprefix("next:"): s.node for s in stores}
        self.places = places
        self.levels: dict[Node, int] = {}
        self.shared: dict[object, Node] = {}
        self.costs: dict[Node, int] = {}
        self.statistics: dict[object, Node] = {}
        self._gather_products()

    def _gather_products(self) -> None:
        """Products that are only terms of one sum wait for the last of them: they are one then."""
        users: dict[Node, list[Node]] = {}
        for node in in_order(self.roots):
            for arg in node.args:
                users.setdefault(arg, []).append(node)
        for node in in_order(self.roots):
            is_inner = any(user.op == "add" for user in users.get(node, ()))
            if node.op != "add" or is_inner:
                continue
            terms = [t for t in _terms(node) if t.op == "product" and len(users[t]) == 1]
            last = max(map(self.level, terms), default=0)
            self.levels.update(dict.fromkeys(terms, last))

    def level(self, node: Node) -> int:
        """The phase that computes a node."""
        found = self.levels.get(node)
        if found is None:
            if node.op in _LEAVES:
                found = 0
            elif node.op in _WHOLE:
                found = max(self.level(a) + _is_computed(a) for a in _operands(node))
            else:
                found = max((self.level(a) for a in node.args), default=0)
            self.levels[node] = found
        return found

    def temporaries(self) -> Iterator[Store]:
        """The stores of values that cross and have no place yet."""
        for node in in_order(self.roots):
            for arg in _operands(node):
                if arg not in self.places and self.crosses(arg, node):
                    self.places[arg] = (f"temp:{len(self.shared)}", 0)
                    self.shared[arg] = arg
                    yield Store(self.places[arg][0], 0, arg)
        self.shared = {}

    def crosses(self, arg: Node, node: Node) -> bool:
        """True if a value must go through a buffer to where it is used.

        A step back overwrites `adjoint:STATE` in place, so what reads it after that needs a copy.
        A statistic is a number that all later phases find; what few operations give, they repeat.
        """
        if arg.op in _STATISTICS or (node.op not in _WHOLE and self.cost(arg) <= _FEW):
            return False
        if arg.op == "adjoint" and node.op not in _WHOLE:
            return self.level(node) > self.level(self.news[str(arg.detail)])
        later = self.level(node) > self.level(arg) or node.op in _WHOLE
        return later and _is_computed(arg) and bool(arg.shape)

    def cost(self, node: Node) -> int:
        """The operations that a value takes from values that last through the step."""
        found = self.costs.get(node)
        if found is None:
            if node.op in _LASTING or node.op in _STATISTICS:
                found = 0
            elif node.op in _CHEAP:
                found = 1 + sum(map(self.cost, node.args))
            else:
                found = _FEW + 1
            self.costs[node] = found
        return found

    def phases(self, stores: Iterable[Store]) -> Iterator[Phase]:
        """The stores sorted into phases, each with its sums of products."""
        found: dict[tuple[int, Size], list[Store]] = {}
        for store in stores:
            level = self.level(store.node)
            found.setdefault((level, store.node.shape[0]), []).append(store)
        for level, size in sorted(found, key=lambda key: key[0]):
            group = found[level, size]
            nodes = tuple(self.within(s.node, level) for s in group)
            statistics, nodes = self._with_statistics(nodes)
            sums, nodes = fuse(nodes)
            cut = (replace(s, node=n) for s, n in zip(group, nodes, strict=True))
            yield Phase(size, sums, tuple(cut), statistics)

    def _with_statistics(
        self, nodes: tuple[Node, ...]
    ) -> tuple[tuple[tuple[int, Node], ...], tuple[Node, ...]]:
        """The statistics that no earlier phase has found, by number; the nodes with leaves."""
        found: list[tuple[int, Node]] = []

        def rule(node: Node) -> Node:
            if node.op not in _STATISTICS:
                return node
            key, index = (node.op, node.detail, node.args), len(self.statistics)
            if key not in self.statistics:
                found.append((index, node))
                self.statistics[key] = Node("statistic", (), index, node.shape, node.where)
            return self.statistics[key]

        nodes = rewrite(nodes, rule)
        return tuple(found), nodes

    def within(self, node: Node, level: int) -> Node:
        """The node as its own phase sees it: what earlier phases computed is read from buffers."""
        if node.op in _LEAVES:
            return self._once(node)
        if node in self.places and self.level(node) < level:
            return self._buffer(node)
        if node.op in _WHOLE:
            whole = tuple(
                self._buffer(a) if _is_computed(a) else self._once(a) for a in _operands(node)
            )
            return self._once(replace(node, args=(*node.args[: -len(whole)], *whole)))
        return self._once(replace(node, args=tuple(self._read(a, node, level) for a in node.args)))

    def _read(self, arg: Node, node: Node, level: int) -> Node:
        if arg.op == "adjoint" and self.crosses(arg, node):
            return self._buffer(arg)
        return self.within(arg, level)

    def _buffer(self, node: Node) -> Node:
        return self._once(Node("buffer", (), self.places[node], node.shape, node.where))

    def _once(self, node: Node) -> Node:
        return self.shared.setdefault((node.op, node.args, node.detail, node.shape), node)


def _terms(node: Node) -> Iterator[Node]:
    for arg in node.args:
        if arg.op == "add":
            yield from _terms(arg)
        else:
            yield arg


def _operands(node: Node) -> tuple[Node, ...]:
    """The vectors among a node's arguments."""
    return node.args[1:] if node.op == "product" else node.args


def _is_computed(operand: Node) -> bool:
    """True if an operand that is needed whole is written by an earlier phase.

    An adjoint is too: while the product still reads it, the new one is written in its place.
    """
    return operand.op not in _LEAVES or operand.op == "adjoint"


def fuse(
    nodes: tuple[Node, ...],
) -> tuple[tuple[tuple[Node, ...], ...], tuple[Node, ...]]:
    """Sums of products, and the nodes with products given way to the leaves `sum`."""
    uses = Counter(a for n in in_order(nodes) for a in n.args)
    uses.update(nodes)
    sums: list[tuple[Node, ...]] = []
    done: dict[Node, Node] = {}

    def leaf(products: list[Node]) -> Node:
        sums.append(tuple(products))
        return Node("sum", (), len(sums) - 1, products[0].shape, products[0].where)

    def build(node: Node) -> Node:
        if node not in done:
            done[node] = _rebuilt(node)
        return done[node]

    def _rebuilt(node: Node) -> Node:
        if node.op == "product":
            return leaf([node])
        if node.op in ("add", "sub"):
            terms = _signed_terms(node, uses)
            products = [t for sign, t in terms if sign > 0 and t.op == "product" and uses[t] == 1]
            if len(products) > 1:
                total = leaf(products)
                for sign, term in terms:
                    if term not in products:
                        args = (build(term), total) if sign > 0 else (total, build(term))
                        op = "add" if sign > 0 else "sub"
                        total = Node(op, args, None, node.shape, node.where)
                return total
        return replace(node, args=tuple(build(a) for a in node.args))

    rebuilt = tuple(build(n) for n in nodes)
    return tuple(sums), rebuilt


def _signed_terms(
    node: Node, uses: Counter[Node], sign: int = 1, *, inner: bool = False
) -> list[tuple[int, Node]]:
    """The terms of a sum with their signs; a sum that others use too is a term."""
    if node.op not in ("add", "sub") or (inner and uses[node] > 1):
        return [(sign, node)]
    left, right = node.args
    other = sign if node.op == "add" else -sign
    return _signed_terms(left, uses, sign, inner=True) + _signed_terms(
        right, uses, other, inner=True
    )
