"""Checks the attributes of a cell that give parts of its equations a role."""

from __future__ import annotations

from collections.abc import Mapping

from recurra.cells.source import declaration
from recurra.ir import CellError, Graph, Init, Param

__all__ = ["WORDS", "check_roles", "forget_gate"]

WORDS = ("uniform", "normal", "zeros", "ones", "identity", "orthogonal")
"""The words for initial values of a parameter."""


def forget_gate(forget: str) -> tuple[str, int]:
    """The gate that a cell's `forget` names, and 1 if an open gate keeps the state, else -1.

    Example:
        >>> forget_gate("1 - z")
        ('z', -1)
    """
    gate = forget.removeprefix("1 - ")
    return gate, 1 if gate == forget else -1


def check_roles(
    kind: type, graph: Graph, *, init: Mapping[str, Init], candidate: str, forget: str
) -> None:
    """Raise CellError, naming the line, for a role of a missing or unsuitable value."""
    _check_candidate(kind, graph, candidate)
    gate, _ = forget_gate(forget)
    if forget and gate not in graph.gates:
        gates = f"{', '.join(graph.gates)}; 'f' or '1 - f'" if graph.gates else "none"
        raise _error(kind, "forget", f"`forget` is {forget!r}, and the gates are {gates}")
    params = {p.name: p for p in graph.params}
    for key, start in init.items():
        name, _, part = key.partition(".")
        if name in params:
            _check_start(kind, params[name], key, part, start)


def _check_candidate(kind: type, graph: Graph, candidate: str) -> None:
    named = [n.name for n in graph.nodes if n.name and n in graph.timed]
    if candidate and named.count(candidate) != 1:
        found = "no value" if candidate not in named else "more than one value"
        raise _error(
            kind,
            "candidate",
            f"`candidate` is {candidate!r}, and step gives that name to {found}; the names it "
            f"gives are {', '.join(dict.fromkeys(named)) or 'none'}",
        )


def _check_start(kind: type, param: Param, key: str, part: str, start: object) -> None:
    if part and part not in param.gates:
        gates = f"has the gates {', '.join(param.gates)}" if param.gates else "has no gates"
        raise _error(kind, "init", f"`init` names `{key}`, and `{param.name}` {gates}")
    if param.kind == "scalar":
        raise _error(kind, "init", f"`{key}` is a scalar; `scalars` has its initial value")
    if not _is_start(start):
        raise _error(
            kind,
            "init",
            f"`init` gives `{key}` {start!r}; allowed are {', '.join(map(repr, WORDS))}, a number, "
            "a pair (low, high) with low < high, ('uniform', gain) with gain > 0, and a function "
            "of a number between 0 and 1",
        )
    if start in ("normal", "identity", "orthogonal") and param.kind != "matrix":
        raise _error(kind, "init", f"`{key}` can't start {start}: it is a {param.kind}")
    if start == "identity" and param.rows != param.columns:
        raise _error(
            kind,
            "init",
            f"`{key}` can't start as the identity: it is {param.rows} x {param.columns}",
        )


def _is_start(start: object) -> bool:
    if isinstance(start, str):
        return start in WORDS
    if isinstance(start, tuple):
        if len(start) != 2 or not _is_number(start[1]):
            return False
        low, high = start
        return high > 0 if low == "uniform" else _is_number(low) and bool(low < high)
    return callable(start) or _is_number(start)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _error(kind: type, attribute: str, problem: str) -> CellError:
    where = declaration(kind, attribute)
    return CellError(f"{f'{where}: ' if where else ''}{kind.__name__}: {problem}.")
