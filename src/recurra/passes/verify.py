"""Verifiers of the passes: each states a pass's promise again, and raises where it is broken.

A verifier takes what went into a pass and then what came out; `VERIFIERS` finds it by the pass's
name. `lower` runs them where RECURRA_DEBUG is 3 or more, tests always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from recurra import ir
from recurra.ir import OPS, Emission, Graph, Loop, LoopInput, Node, Phase, Schedule, in_order
from recurra.passes.projections import Affine

__all__ = ["VERIFIERS", "verify", "verify_single_phase"]

_FORWARD = frozenset({"state", "outer", "const"})
_BACKWARD = _FORWARD | {"adjoint", "seed", "new", "saved"}
_MASKS = ("zero_up_to", "zero_below")  # operations of backward loops alone


def verify(loop: Loop) -> None:
    """Every leaf of a loop is known, every shape fits, and each state gets a value of its size."""
    leaves = _BACKWARD if loop.backward else _FORWARD
    for node in in_order(_roots(loop)):
        if not node.args:
            _check(node.op in leaves, f"the loop reads `{node.op}`, which it can't", node)
        _verify_shape(node)
        _verify_detail(loop, node)
    for result, size in zip(loop.results, loop.state_sizes, strict=True):
        _check(result.shape in ((), (size,)), f"a state of {size} gets {result.shape}", result)


def _verify_detail(loop: Loop, node: Node) -> None:
    if node.op == "outer":
        index, part = _place(node)
        known = 0 <= index < len(loop.inputs) and (part or 0) < loop.inputs[index].parts
        _check(known, f"there is no loop input {node.detail}", node)
    elif node.op in ("state", "adjoint", "seed", "new"):
        _check(node.detail in loop.states, f"there is no state {node.detail}", node)


def _verify_shape(node: Node) -> None:
    if node.op == "product":
        matrix, vector = (a.shape for a in node.args)
        fits = len(matrix) == 2 and vector == matrix[1:] and node.shape == matrix[:1]
        _check(fits, f"a product of {matrix} and {vector} is {node.shape}", node)
    elif node.op == "transpose":
        _check(node.shape == node.args[0].shape[::-1], "a transpose has its matrix's shape", node)
    elif node.op in ("mean", "rstd"):
        shapes = {a.shape for a in node.args}
        _check(shapes == {node.shape}, f"`{node.op}` of {shapes} is {node.shape}", node)
    elif node.args and (node.op in _MASKS or OPS[node.op].is_elementwise):
        shapes = {a.shape for a in node.args} - {()}
        _check(shapes <= {node.shape}, f"`{node.op}` of {shapes} is {node.shape}", node)


def _verify_norms(graph: Graph, found: Graph) -> None:
    """No normalisation is left."""
    _verify_graph(graph, found)
    for node in found.nodes:
        _check(node.op != "normalize", "a normalisation is left", node)


def _verify_gates(graph: Graph, found: Graph) -> None:
    """Gates are taken of what can't give them earlier: of a norm, or of what holds no gates."""
    _verify_graph(graph, found)
    for node in found.nodes:
        early = node.op == "gate" and OPS[node.args[0].op].kind != "structure"
        _check(not early, f"a gate is taken of `{node.args and node.args[0].op}`", node)


def _verify_simplify(graph: Graph, found: Graph) -> None:
    """A legal graph of the same states, which is no larger and reads nothing new."""
    _verify_graph(graph, found)
    _verify_smaller(graph.results, found.results)


def _verify_graph(graph: Graph, found: Graph) -> None:
    ir.verify(found)
    same = (graph.states, graph.params) == (found.states, found.params)
    _check(same, "the states or parameters aren't what they were", found.results[0])


def _verify_smaller(before: tuple[Node, ...], after: tuple[Node, ...]) -> None:
    _check(len(in_order(after)) <= len(in_order(before)), "there is more than before", after[0])
    _verify_sizes(before, after)
    known = {(n.op, n.detail) for n in in_order(before) if not n.args}
    for node in in_order(after):
        old_one = bool(node.args) or node.op == "const" or (node.op, node.detail) in known
        _check(old_one, f"`{node.op}` {node.detail} wasn't read before", node)


def _verify_hoist(graph: Graph, loop: Loop) -> None:
    """Loop inputs need no state, the rest of the loop does; each loop input is read."""
    verify(loop)
    _check(loop.states == graph.states, "the states aren't what they were", loop.results[0])
    for value in loop.inputs:
        inner = in_order((value.node,))
        _check(all(n.op != "state" for n in inner), "what is outside needs a state", value.node)
        is_timed = any(n.op in ("input", "given", "probe") for n in inner)
        _check(value.timed == is_timed, "what is timed needs the input, and only that", value.node)
        _verify_blocks(graph, value)
    nodes = in_order(loop.results)
    stateful: set[Node] = set()
    for node in nodes:
        inside = node.op in ("state", "mean", "rstd")
        if inside or any(a in stateful for a in node.args):
            stateful.add(node)
        _check(not node.args or node in stateful, f"`{node.op}` needs no state", node)
    _verify_read(loop, nodes)


def _verify_blocks(graph: Graph, value: LoopInput) -> None:
    """A parameter is of as many blocks as the cell says."""
    blocks = 1
    if value.node.op == "param":
        blocks = graph.param(str(_place(value.node)[0])).blocks
    _check(value.blocks == blocks, f"a value of {blocks} blocks has {value.blocks}", value.node)


def _verify_read(loop: Loop, nodes: Iterable[Node]) -> None:
    read = {_place(n)[0] for n in nodes if n.op == "outer"}
    for index, value in enumerate(loop.inputs):
        _check(index in read, f"loop input {index} isn't read", value.node)


def _verify_derive(forward: Loop, backward: Loop) -> None:
    """A gradient for each state; an emission for each product and each loop input read."""
    verify(backward)
    _check(backward.backward, "the loop doesn't go back in time", backward.results[0])
    nodes = in_order(forward.results)
    products = [n for n in nodes if n.op == "product"]
    read = {a for n in nodes for a in (n.args[1:] if n.op == "product" else n.args)}
    wanted = Counter(("matrix", _place(p.args[0])) for p in products)
    for leaf in nodes:
        is_given = leaf.op == "outer" and forward.inputs[_place(leaf)[0]].node.op == "given"
        if leaf.op == "outer" and not is_given and leaf in read | set(forward.results):
            wanted[_kind_of(forward, leaf), _place(leaf)] += 1
    found = Counter((e.kind, e.outer) for e in backward.emissions)
    for kind, outer in (wanted - found) + (found - wanted):
        many = f"{found[kind, outer]} emissions ({kind}) for loop input {outer}"
        _check(False, f"{many}, {wanted[kind, outer]} wanted", forward.inputs[outer[0]].node)
    _verify_operands(backward.emissions, {p.args[1] for p in products})


def _kind_of(loop: Loop, leaf: Node) -> str:
    if loop.inputs[_place(leaf)[0]].timed:
        return "timed"
    return "vector" if leaf.shape else "scalar"


def _verify_operands(emissions: Iterable[Emission], known: set[Node]) -> None:
    for emission in emissions:
        operand = emission.operand
        right = (operand in known) if emission.kind == "matrix" else operand is None
        _check(
            right, f"an emission ({emission.kind}) has a wrong operand", operand or emission.node
        )


def _verify_simplify_loop(loop: Loop, found: Loop) -> None:
    """The same emissions of the same things, no more values, and nothing new is read."""
    verify(found)
    before, after = ((*each.results, *(e.node for e in each.emissions)) for each in (loop, found))
    _verify_smaller(before, after)
    wanted, kept = ([(e.kind, e.outer, e.operand) for e in x.emissions] for x in (loop, found))
    _check(wanted == kept, "the emissions aren't what they were", found.results[0])


def _verify_stash(forward: Loop, backward: Loop, found: tuple[Loop, Loop]) -> None:
    """Kept values are of the forward loop and read; the backward loop reads no others of it."""
    kept, reading = found
    verify(kept)
    verify(reading)
    inner = set(in_order(forward.results))
    for node in kept.saved:
        _check(node in inner, "a value is kept that isn't of the forward loop", node)
    operands = tuple(e.operand for e in reading.emissions if e.operand is not None)
    for operand in operands:
        _check(not operand.args, "an operand isn't kept as a whole", operand)
    nodes = in_order((*_roots(reading), *operands))
    read = {n.detail for n in nodes if n.op == "saved"}
    for index, node in enumerate(kept.saved):
        _check(index in read, f"kept value {index} isn't read", node)
    for node in nodes:
        known = node.op != "saved" or _is_saved(node, kept)
        _check(known, f"there is no kept value {node.detail} of {node.shape}", node)


def _is_saved(leaf: Node, forward: Loop) -> bool:
    index = leaf.detail
    if not isinstance(index, int) or not 0 <= index < len(forward.saved):
        return False
    return forward.saved[index].shape == leaf.shape


def _verify_clip(loop: Loop, found: Loop) -> None:
    """All of dL/dh_t is limited before anything reads it, by one loop input more."""
    verify(found)
    _check(len(found.inputs) == len(loop.inputs) + 1, "no limit is there", found.results[0])
    index = len(loop.inputs)
    nodes = in_order(_roots(found))
    limits = any(n.op == "outer" and _place(n)[0] == index for n in nodes)
    _check(limits, "the limit isn't read", found.results[0])
    for node in nodes:
        parts = {("adjoint", loop.states[0]), ("seed", loop.states[0])}
        incoming = [a for a in node.args if {(b.op, b.detail) for b in a.args} == parts]
        _check(not incoming or node.op == "minimum", "a gradient isn't limited", node)
    _verify_sizes(_roots(loop), _roots(found))


def _verify_sizes(before: tuple[Node, ...], after: tuple[Node, ...]) -> None:
    for was, node in zip(before, after, strict=True):
        _check(was.shape == node.shape, f"a value of {was.shape} became {node.shape}", node)


def _verify_merge(loop: Loop, affine: tuple[Affine, ...], found: Loop) -> None:
    """No affine value is read any more; results and kept values are as many and of those sizes."""
    verify(found)
    values = {a.value for a in affine}
    for node in in_order(_roots(found)):
        merged = node.op != "outer" or _place(node)[0] not in values
        _check(merged, f"affine value {node.detail} is still read", node)
    _verify_sizes(_roots(loop), _roots(found))


def _verify_fuse(
    nodes: tuple[Node, ...], found: tuple[tuple[tuple[Node, ...], ...], tuple[Node, ...]]
) -> None:
    """Every product stands in one sum, and every sum is read; the rest has no products."""
    sums, rest = found
    wanted = sum(n.op == "product" for n in in_order(nodes))
    _check(sum(map(len, sums)) == wanted, "a product isn't in one sum", nodes[0])
    _verify_sums(sums, rest)
    leaves = Counter(n.detail for n in in_order(rest) if n.op == "sum")
    _check(set(leaves) == set(range(len(sums))), "a sum isn't read", nodes[0])


def _verify_sums(sums: tuple[tuple[Node, ...], ...], rest: Iterable[Node]) -> None:
    for product in chain(*sums):
        _check(product.op == "product", f"`{product.op}` is not a product", product)
        whole = not product.args[1:] or not product.args[1].args
        _check(whole, "the operand of a product isn't there as a whole", product)
    for node in in_order(tuple(rest)):
        _check(node.op != "product", "a product is in no sum", node)
        known = node.op != "sum" or node.detail in range(len(sums))
        _check(known, f"there is no sum {node.detail}", node)


def _verify_phases(loop: Loop, schedule: Schedule) -> None:
    """A phase reads what is there already and still; products are in sums; nothing is left out."""
    written: set[str] = set()
    replaced: set[str] = set()
    for phase in schedule.phases:
        written |= {f"statistic:{i}" for i, _ in phase.statistics}
        _verify_phase(phase, written, replaced)
        news = {s.buffer.partition(":")[2] for s in phase.stores if s.buffer.startswith("next:")}
        replaced |= news if loop.backward else set()
        written |= {s.buffer for s in phase.stores if not s.add}
    wanted = {f"next:{s}" for s in loop.states} | {f"saved:{i}" for i in range(len(loop.saved))}
    if wanted - written:
        _check(False, f"{min(wanted - written)} isn't written", loop.results[0])
    _verify_places(loop, schedule, written)


def _verify_places(loop: Loop, schedule: Schedule, written: set[str]) -> None:
    """Every emission is stored, or added to what its kind sums."""
    added = {s.buffer for p in schedule.phases for s in p.stores if s.add}
    for emission, (buffer, _) in zip(loop.emissions, schedule.places, strict=True):
        there = buffer in written or (emission.kind in ("vector", "scalar") and not buffer)
        own = f"grad:{emission.outer[0]}"
        there = there and (emission.kind == "matrix" or own in written | added)
        _check(there, f"an emission ({emission.kind}) is written nowhere", emission.node)


def _verify_phase(phase: Phase, written: set[str], replaced: set[str]) -> None:
    _verify_sums(phase.sums, (s.node for s in phase.stores))
    for product in chain(*phase.sums):
        _check(product.shape == (phase.size,), "a sum isn't of its phase's size", product)
    for store in phase.stores:
        _check(store.node.shape == (phase.size,), "a store isn't of its phase's size", store.node)
    operands = tuple(p.args[1] for p in chain(*phase.sums))
    for index, node in phase.statistics:
        whole = all(not a.args for a in node.args)
        _check(whole, f"statistic {index} is of what isn't there as a whole", node)
        operands += node.args
    for node in in_order((*(s.node for s in phase.stores), *operands)):
        statistic = node.op != "statistic" or f"statistic:{node.detail}" in written
        _check(statistic, f"there is no statistic {node.detail}", node)
        name = str(_place(node)[0]) if node.op == "buffer" else ""
        _check(node.op != "buffer" or name in written, f"{name} is read before it is written", node)
        late = node.op == "adjoint" and node.detail in replaced
        _check(not late, f"adjoint:{node.detail} is read too late", node)
    news = {s.buffer.partition(":")[2] for s in phase.stores if s.buffer.startswith("next:")}
    for operand in operands:
        gone = operand.op == "adjoint" and operand.detail in news
        _check(not gone, f"a product reads adjoint:{operand.detail} as it is replaced", operand)


def verify_single_phase(schedule: Schedule) -> None:
    """Products over all steps are one phase with one store, and read nothing of a loop's own."""
    (phase,) = schedule.phases
    (store,) = phase.stores
    given = {f"{_place(p.args[1])[0]}" for p in chain(*phase.sums) if p.args[1].op == "buffer"}
    _verify_phase(phase, given, set())
    for node in in_order((store.node, *(p.args[1] for p in chain(*phase.sums)))):
        leaf = node.args or node.op in ("outer", "const", "sum", "buffer")
        _check(bool(leaf), f"`{node.op}` is read where there is no step", node)


def _roots(loop: Loop) -> tuple[Node, ...]:
    return (*loop.results, *loop.saved, *(e.node for e in loop.emissions))


def _place(leaf: Node) -> tuple[int, int | None]:
    assert isinstance(leaf.detail, tuple)
    return leaf.detail


def _check(holds: bool, problem: str, node: Node) -> None:
    if not holds:
        raise ValueError(f"{problem} ({node.where}).")


VERIFIERS: Mapping[str, Callable[..., None]] = {
    "norms": _verify_norms,
    "gates": _verify_gates,
    "simplify": _verify_simplify,
    "hoist": _verify_hoist,
    "derive": _verify_derive,
    "simplify_loop": _verify_simplify_loop,
    "stash": _verify_stash,
    "clip": _verify_clip,
    "merge": _verify_merge,
    "fuse": _verify_fuse,
    "phases": _verify_phases,
}
