"""hoist: what doesn't depend on a state leaves the loop over time, but for statistics of rows.

Sums are ordered so that their terms without a state come first: `W @ x + U @ h + b` becomes
`(W @ x + b) + U @ h`, and the bracket is computed for all steps at once. Where every gate has such
a bracket of the same form, they become one value that holds all gates: one product instead of four.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from recurra.ir import Graph, Loop, LoopInput, Node, Size, in_order

__all__ = ["hoist"]

FIXED, TIMED, STATEFUL = range(3)
InputPlace = tuple[int, int | None]


def hoist(graph: Graph) -> Loop:
    """The loop that is left, with the inputs that it reads."""
    hoisting = _Hoisting(graph)
    results = tuple(hoisting.order_sums(r) for r in graph.results)
    read = [n for n in hoisting.read(results) if n.op != "const"]
    hoisting.place_fixed(n for n in read if hoisting.kind(n) == FIXED)
    hoisting.place_timed([n for n in read if hoisting.kind(n) == TIMED])
    leaves = tuple(hoisting.with_leaves(r) for r in results)
    inputs = tuple(hoisting.inputs)
    return Loop(graph.cell, graph.states, graph.state_sizes, inputs, leaves)


class _Hoisting:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inputs: list[LoopInput] = []
        self.places: dict[Node, InputPlace] = {}
        self.kinds: dict[Node, int] = {}
        self.ordered: dict[Node, Node] = {}
        self.whole = {*graph.results}
        for node in graph.nodes:
            self.whole |= {*node.args} if node.op in ("mean", "rstd") else set()
        self.leaved: dict[Node, Node] = {}
        self.leaves: dict[InputPlace, Node] = {}
        self.scalars: dict[tuple[InputPlace, tuple[Size, ...]], InputPlace] = {}

    def kind(self, node: Node) -> int:
        """The kind of a value: fixed for a sequence, changing with the input, or with the state."""
        found = self.kinds.get(node)
        if found is None:
            timed = node.op in ("input", "given", "probe")
            inside = node.op in ("state", "mean", "rstd") or _is_made_of_given(node)
            own = STATEFUL if inside else TIMED if timed else FIXED
            found = self.kinds[node] = max([own, *map(self.kind, node.args)])
        return found

    def order_sums(self, node: Node) -> Node:
        """The node with every sum below it ordered."""
        found = self.ordered.get(node)
        if found is None:
            found = replace(node, args=tuple(self.order_sums(a) for a in node.args))
            if found.args == node.args:
                found = node
            if found.op in ("add", "sub") and self.kind(found) == STATEFUL:
                found = self._ordered_sum(found)
            self.ordered[node] = found
            self.whole |= {found} if node in self.whole else set()
        return found

    def _ordered_sum(self, node: Node) -> Node:
        terms = sorted(self._terms(node), key=lambda term: self.kind(term[1]) == STATEFUL)
        if terms[0][0] < 0 and any(sign > 0 for sign, _ in terms):
            return node  # it would begin with a minus
        total: Node | None = None
        for sign, term in terms:
            if total is None:
                total = term if sign > 0 else Node("neg", (term,), None, term.shape, node.where)
            else:
                op = "add" if sign > 0 else "sub"
                shape = max(total.shape, term.shape, key=len)
                total = Node(op, (total, term), None, shape, node.where)
        assert total is not None
        return replace(total, name=node.name)

    def _terms(self, node: Node, sign: int = 1, *, inner: bool = False) -> list[tuple[int, Node]]:
        """The terms of a sum with their signs; one that must be there as a whole is a term."""
        if node.op not in ("add", "sub") or (inner and node in self.whole):
            return [(sign, node)]
        left, right = node.args
        other = sign if node.op == "add" else -sign
        return self._terms(left, sign, inner=True) + self._terms(right, other, inner=True)

    def read(self, results: tuple[Node, ...]) -> Iterable[Node]:
        """Values that leave the loop and are read by those that stay."""
        seen: dict[Node, None] = {}
        for node in in_order(results):
            inside = self.kind(node) == STATEFUL
            seen.update(dict.fromkeys(a for a in node.args if inside and self.kind(a) < STATEFUL))
        seen.update(dict.fromkeys(r for r in results if self.kind(r) < STATEFUL))
        return seen

    def place_fixed(self, nodes: Iterable[Node]) -> None:
        """Parameters are read where they are stored; what is made of them is a value of its own."""
        whole: dict[str, int] = {}
        for node in nodes:
            if node.op != "param":
                self._place(node, LoopInput(node, timed=False))
                continue
            assert isinstance(node.detail, tuple)
            name, gate = node.detail
            param = self.graph.param(name)
            if name not in whole:
                whole[name] = len(self.inputs)
                stacked, parts = _whole(self.graph, node), max(1, len(param.gates))
                self.inputs.append(LoopInput(stacked, False, parts, param.blocks))
            self.places[node] = (whole[name], param.gates.index(gate) if gate else None)

    def place_timed(self, nodes: list[Node]) -> None:
        """Values of the same form for every gate become one."""
        groups: dict[object, list[Node]] = {}
        for node in nodes:
            groups.setdefault(_form(node), []).append(node)
        for group in groups.values():
            gates = _gates_of(self.graph, group)
            if gates is None:
                for node in group:
                    self._place(node, LoopInput(node, timed=True))
                continue
            first = len(self.inputs)
            stacked = _whole(self.graph, group[0])
            self.inputs.append(LoopInput(stacked, timed=True, parts=len(gates)))
            for node in group:
                self.places[node] = (first, gates.index(_gate(node)))

    def _place(self, node: Node, value: LoopInput) -> None:
        self.places[node] = (len(self.inputs), None)
        self.inputs.append(value)

    def with_leaves(self, node: Node) -> Node:
        """The node with everything from outside as leaves."""
        found = self.leaved.get(node)
        if found is None:
            if node in self.places:
                found = self._leaf(node, self.places[node])
            else:
                found = replace(node, args=tuple(self._argument(node, a) for a in node.args))
            self.leaved[node] = found
        return found

    def _leaf(self, node: Node, place: InputPlace) -> Node:
        """One leaf for each place, so that its gradient is one."""
        leaf = Node("outer", (), place, node.shape, node.where, node.name)
        return self.leaves.setdefault(place, leaf)

    def _argument(self, node: Node, arg: Node) -> Node:
        """A scalar that meets vectors of two sizes is read once for each: its gradients differ."""
        first = self.places.get(arg)
        if first is None or arg.shape:
            return self.with_leaves(arg)
        place = self.scalars.get((first, node.shape))
        if place is None:
            known = any(other == first for other, _ in self.scalars)
            place = (len(self.inputs), None) if known else first
            if known:
                self.inputs.append(self.inputs[first[0]])
            self.scalars[first, node.shape] = place
        return self._leaf(arg, place)


def _is_made_of_given(node: Node) -> bool:
    """True if a value is cheaper to make of a given vector at every step than to read."""
    leaves = {a.op for a in node.args}
    cheap = node.op in ("add", "sub", "mul", "neg")
    return cheap and "given" in leaves and leaves <= {"given", "const", "param"}


def _form(node: Node) -> object:
    """The form of a value, whichever gate it belongs to."""
    if node.op == "param":
        assert isinstance(node.detail, tuple)
        return node.detail[0], node.detail[1] is not None
    if node.op == "gate":
        return node.op, node.args
    return node.op, node.detail, tuple(_form(a) for a in node.args)


def _gate(node: Node) -> str:
    return next(str(gate) for gate in _gates_in(node) if gate)


def _gates_of(graph: Graph, group: list[Node]) -> tuple[str, ...] | None:
    """The gates that a group can be stacked over: all those of each of its parameters."""
    params = [n for n in in_order((group[0],)) if n.op == "param"]
    names = [n.detail[0] for n in params if isinstance(n.detail, tuple)]
    stacks = {graph.param(name).gates for name in names}
    operands = {tuple(_operands(n)) for n in group}
    if len(stacks) != 1 or len(operands) != 1 or _reads_input_alone(group[0]):
        return None
    (gates,) = stacks
    by_gate = {_gates_in(n) for n in group}
    return gates if gates and by_gate == {frozenset({g}) for g in gates} else None


def _gates_in(node: Node) -> frozenset[object]:
    """The gates that a value takes of parameters, or of vectors that hold all."""
    if node.op in ("param", "gate"):
        assert isinstance(node.detail, tuple)
        return frozenset({node.detail[1]})
    return frozenset().union(*map(_gates_in, node.args))


def _operands(node: Node) -> Iterable[Node]:
    """The vectors that the outermost products are of: they must be the same for all gates."""
    if node.op == "product":
        yield node.args[1]
    else:
        for arg in node.args:
            yield from _operands(arg)


def _reads_input_alone(node: Node) -> bool:
    """True if the input, or a given, stands anywhere but on the right of a product."""
    if node.op in ("input", "given", "probe"):
        return True
    args = node.args[:1] if node.op == "product" else node.args
    return any(_reads_input_alone(a) for a in args)


def _whole(graph: Graph, node: Node) -> Node:
    """The same value for all gates at once."""
    if node.op == "param":
        assert isinstance(node.detail, tuple)
        param = graph.param(node.detail[0])
        if not param.gates:
            return node
        rows = Size(param.rows.name, len(param.gates))
        return replace(node, detail=(param.name, None), shape=(rows, *node.shape[1:]), name=None)
    if node.op == "gate":
        return node.args[0]
    if node.op == "product":
        matrix = _whole(graph, node.args[0])
        return replace(node, args=(matrix, node.args[1]), shape=matrix.shape[:1], name=None)
    args = tuple(_whole(graph, a) for a in node.args)
    shape = max((a.shape for a in args), key=len, default=node.shape)
    return replace(node, args=args, shape=shape, name=None)
