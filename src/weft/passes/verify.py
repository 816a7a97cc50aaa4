"""verify: what must hold of a loop and of its schedule, whatever the cell."""

from __future__ import annotations

from collections.abc import Iterator

from weft.ir import OPS, Loop, Node, Phase, Schedule, in_order

__all__ = ["verify", "verify_schedule"]

_FORWARD = frozenset({"state", "outer", "const"})
_BACKWARD = _FORWARD | {"adjoint", "seed", "new", "saved"}


def verify(loop: Loop) -> None:
    """Raise ValueError unless every leaf of a loop is known and its shapes fit."""
    roots = (*loop.results, *loop.saved, *(e.node for e in loop.emissions))
    leaves = _BACKWARD if loop.backward else _FORWARD
    for node in in_order(roots):
        if not node.args:
            _check(node.op in leaves, f"the loop reads `{node.op}`, which it can't", node)
        _verify_shape(node)
        _verify_detail(loop, node)
    for result, size in zip(loop.results, loop.state_sizes, strict=True):
        _check(result.shape in ((), (size,)), f"a state of {size} gets {result.shape}", result)


def _verify_detail(loop: Loop, node: Node) -> None:
    if node.op == "outer":
        assert isinstance(node.detail, tuple)
        index, part = node.detail
        known = 0 <= index < len(loop.outside) and (part or 0) < loop.outside[index].parts
        _check(known, f"there is no outside value {node.detail}", node)
    elif node.op in ("state", "adjoint", "seed", "new"):
        _check(node.detail in loop.states, f"there is no state {node.detail}", node)


def _verify_shape(node: Node) -> None:
    if node.op == "product":
        matrix, vector = (a.shape for a in node.args)
        fits = len(matrix) == 2 and vector == matrix[1:] and node.shape == matrix[:1]
        _check(fits, f"a product of {matrix} and {vector} is {node.shape}", node)
    elif node.op == "transpose":
        _check(node.shape == node.args[0].shape[::-1], "a transpose has its matrix's shape", node)
    elif node.args and (node.op == "if_positive" or OPS[node.op].kind in ("unary", "binary")):
        shapes = {a.shape for a in node.args} - {()}
        _check(shapes <= {node.shape}, f"`{node.op}` of {shapes} is {node.shape}", node)


def verify_schedule(loop: Loop, schedule: Schedule) -> None:
    """Raise ValueError where a phase reads what isn't there yet, or isn't there any more."""
    written: set[str] = set()
    overwritten: set[str] = set()
    for phase in schedule.phases:
        for store in phase.stores:
            _check(
                store.node.shape == (phase.size,), "a store isn't of its phase's size", store.node
            )
        for node in _leaves_of(phase):
            _verify_read(node, written, overwritten)
        news = {s.buffer.partition(":")[2] for s in phase.stores if s.buffer.startswith("next:")}
        for operand in _operands(phase):
            gone = operand.op == "adjoint" and operand.detail in news | overwritten
            _check(not gone, f"a product reads adjoint:{operand.detail} as it is replaced", operand)
        overwritten |= news if loop.backward else set()
        written |= {s.buffer for s in phase.stores if not s.add}
    _check({f"next:{s}" for s in loop.states} <= written, "a state isn't written", loop.results[0])


def _verify_read(node: Node, written: set[str], overwritten: set[str]) -> None:
    if node.op == "buffer":
        assert isinstance(node.detail, tuple)
        _check(node.detail[0] in written, f"{node.detail[0]} is read before it is written", node)
    if node.op == "adjoint":
        _check(node.detail not in overwritten, f"adjoint:{node.detail} is read too late", node)


def _leaves_of(phase: Phase) -> Iterator[Node]:
    roots = tuple(s.node for s in phase.stores) + tuple(_operands(phase))
    return (n for n in in_order(roots) if not n.args)


def _operands(phase: Phase) -> Iterator[Node]:
    return (product.args[1] for products in phase.sums for product in products)


def _check(holds: bool, problem: str, node: Node) -> None:
    if not holds:
        raise ValueError(f"{problem} ({node.where}).")
