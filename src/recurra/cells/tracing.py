"""From a cell's `step` to its graph: run it on symbols, name the values, infer the shapes."""

from __future__ import annotations

import ast
import inspect
import re
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FunctionType

from recurra.cells.source import definition, first_line, return_line
from recurra.cells.symbols import Symbol, Tape
from recurra.ir import (
    CellError,
    Graph,
    Init,
    Node,
    Param,
    Shapes,
    Size,
    Where,
    in_order,
    infer,
    rewrite,
)

__all__ = ["Declaration", "is_bias", "trace"]


@dataclass(frozen=True)
class Declaration:
    """The attributes of a cell, without its equations."""

    name: str
    states: Sequence[str]
    gates: Sequence[str]
    sizes: Mapping[str, str] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)
    blocks: Mapping[str, int] = field(default_factory=dict)
    init: Mapping[str, Init] = field(default_factory=dict)
    bias: bool = True


def trace(declared: Declaration, step: Callable[..., object]) -> Graph:
    """The graph of a cell's bound `step`. Raises CellError at the line of the first fault."""
    function = inspect.unwrap(getattr(step, "__func__", step))
    assert isinstance(function, FunctionType)
    names = _parameter_names(declared, function)
    tape = Tape(declared.name, declared.gates, function.__code__)
    results = _name_values(_run(declared, step, tape, names), tape)
    _refuse_unused(declared, function, results, names)
    _refuse_block_algebra(declared, results)
    if not declared.bias:
        results = rewrite(results, _without_bias)
    return _with_shapes(declared, results, names)


def _parameter_names(declared: Declaration, function: FunctionType) -> list[str]:
    arguments = inspect.signature(function).parameters.values()
    names = [a.name for a in arguments]
    wanted = ["x", *declared.states]
    plain = all(
        a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD) and a.default is a.empty
        for a in arguments
    )
    if names[1 : len(wanted) + 1] != wanted or not plain:
        raise CellError(
            f"{first_line(function.__code__)}: step of {declared.name} takes "
            f"({', '.join(map(str, arguments))}); it must take (self, {', '.join(wanted)}, ...): "
            "the input, the states, and then the parameters by their names, without defaults."
        )
    return names[len(wanted) + 1 :]


def _run(
    declared: Declaration, step: Callable[..., object], tape: Tape, names: Sequence[str]
) -> tuple[Node, ...]:
    top = first_line(tape.code)
    leaves = [tape.node("input", where=top)]
    leaves += [tape.node("state", (), s, where=top) for s in declared.states]
    leaves += [tape.node("param", (), (n, None), where=top) for n in names]
    try:
        returned = step(*(Symbol(tape, leaf) for leaf in leaves))
    except CellError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {str(error).rstrip('.')}"
        raise CellError(f"{_failed_at(error, tape)}: {problem}.") from error
    values = returned if isinstance(returned, tuple) else (returned,)
    states = ", ".join(declared.states)
    where = return_line(tape.code)
    if len(values) != len(declared.states) or returned is None:
        raise CellError(
            f"{where}: step of {declared.name} returns {_count(values)}, and its states are "
            f"({states}); return the new value of each, in this order."
        )
    for state, value in zip(declared.states, values, strict=True):
        if not isinstance(value, Symbol):
            raise CellError(
                f"{where}: step of {declared.name} returns {_kind(value)} as the new "
                f"`{state}`; return what the equations make of ({states})."
            )
    return tuple(v.node for v in values if isinstance(v, Symbol))


def _failed_at(error: Exception, tape: Tape) -> Where:
    """The line of the cell's own file that an error came through last."""
    frames = traceback.extract_tb(error.__traceback__)
    last = ([f for f in frames if f.filename == tape.code.co_filename] or frames)[-1]
    return Where(last.filename, last.lineno or 0, last.line or "")


def _count(values: tuple[object, ...]) -> str:
    if len(values) == 1 and values[0] is None:
        return "nothing"
    return "1 value" if len(values) == 1 else f"{len(values)} values"


def _kind(value: object) -> str:
    return "None" if value is None else f"a value of type {type(value).__name__}"


def _name_values(results: tuple[Node, ...], tape: Tape) -> tuple[Node, ...]:
    """Name each value after the variable it was first assigned to."""
    names: dict[Node, str] = {}
    for name, expression in _assignments(tape):
        end_line, end_column = expression.end_lineno or 0, expression.end_col_offset or 0
        span = (expression.lineno, end_line, expression.col_offset, end_column)
        node = tape.spans.get(span)
        if node is not None:
            names.setdefault(node, name)
    done: dict[Node, Node] = {}
    for node in in_order(results):
        args = tuple(done[a] for a in node.args)
        done[node] = replace(node, args=args, name=names.get(node))
    return tuple(done[r] for r in results)


def _assignments(tape: Tape) -> Iterator[tuple[str, ast.expr | ast.stmt]]:
    function = definition(tape.code)
    for statement in ast.walk(function) if function else ():
        if isinstance(statement, ast.AugAssign) and isinstance(statement.target, ast.Name):
            yield statement.target.id, statement
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            continue
        value = statement.value
        for target in _targets(statement):
            if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                pairs = list(zip(target.elts, value.elts, strict=False))
            else:
                pairs = [(target, value)]
            yield from ((t.id, v) for t, v in pairs if isinstance(t, ast.Name))


def _targets(statement: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return statement.targets if isinstance(statement, ast.Assign) else [statement.target]


def _refuse_unused(
    declared: Declaration, function: FunctionType, results: tuple[Node, ...], names: Sequence[str]
) -> None:
    nodes = in_order(results)
    where = first_line(function.__code__)
    details = [n.detail for n in nodes if n.op == "param"]
    used = {d[0] for d in details if isinstance(d, tuple)}
    for name in names:
        if name not in used:
            raise CellError(
                f"{where}: the new states don't depend on the parameter `{name}` of step; use it, "
                f"or leave it out."
            )
    gates = {d[1] for d in details if isinstance(d, tuple)}
    gates |= {n.detail[1] for n in nodes if n.op == "gate" and isinstance(n.detail, tuple)}
    for gate in declared.gates:
        if gate not in gates:
            raise CellError(
                f"{where}: the gate `{gate}` of {declared.name} is in no equation; "
                f"leave it out of `gates`, or use it."
            )
    for table in ("sizes", "scalars", "blocks", "init"):
        known = used | {"x", *declared.states} if table == "sizes" else used
        for name in {key.partition(".")[0] for key in getattr(declared, table)} - known:
            raise CellError(
                f"{where}: `{table}` of {declared.name} names `{name}`, which isn't a parameter "
                f"of step{' or a state' if table == 'sizes' else ''}."
            )


def _refuse_block_algebra(declared: Declaration, results: tuple[Node, ...]) -> None:
    """A block-diagonal matrix is stored without its zeros, so it can only multiply a vector."""
    for node in in_order(results):
        for arg in node.args if node.op != "product" else node.args[1:]:
            if (
                isinstance(arg.detail, tuple)
                and arg.op == "param"
                and arg.detail[0] in declared.blocks
            ):
                raise CellError(
                    f"{node.where}: `{arg.detail[0]}` is block-diagonal (`blocks`); "
                    f"it may stand only on the left of `@`."
                )


def is_bias(name: str) -> bool:
    """True for the name of a bias, which `bias=False` leaves out: `b`, `b2`, `b_h`, ..."""
    return re.fullmatch(r"b\d*(_\w+)?", name) is not None


def _without_bias(node: Node) -> Node:
    if node.op == "param" and isinstance(node.detail, tuple) and is_bias(node.detail[0]):
        return replace(node, op="const", detail=0.0)
    if node.op in ("add", "sub") and _is_zero(node.args[1]):
        return replace(node.args[0], name=node.name or node.args[0].name)
    if node.op == "add" and _is_zero(node.args[0]):
        return replace(node.args[1], name=node.name or node.args[1].name)
    return node


def _is_zero(node: Node) -> bool:
    return node.op == "const" and node.detail == 0.0


def _with_shapes(declared: Declaration, results: tuple[Node, ...], names: Sequence[str]) -> Graph:
    nodes = in_order(results)
    shapes = infer(
        nodes,
        dict(zip(declared.states, results, strict=True)),
        gates=declared.gates,
        sizes=declared.sizes,
        scalars=declared.scalars,
    )
    done: dict[Node, Node] = {}
    for node in nodes:
        done[node] = replace(node, args=tuple(done[a] for a in node.args), shape=shapes.nodes[node])
    used = [n.detail[0] for n in nodes if n.op == "param" and isinstance(n.detail, tuple)]
    order = [n for n in dict.fromkeys([*names, *used]) if n in used]
    graph = Graph(
        cell=declared.name,
        states=tuple(declared.states),
        gates=tuple(declared.gates),
        state_sizes=tuple(Size(declared.sizes.get(s, "hidden_size")) for s in declared.states),
        params=tuple(_param(declared, name, shapes) for name in order),
        results=tuple(done[r] for r in results),
    )
    _refuse_constant(graph)
    return graph


def _refuse_constant(graph: Graph) -> None:
    for state, node in zip(graph.states, graph.results, strict=True):
        if node not in graph.timed:
            raise CellError(
                f"{node.where}: the new `{state}` of {graph.cell} depends neither on x nor on a "
                f"state; let its equation use one."
            )


def _param(declared: Declaration, name: str, shapes: Shapes) -> Param:
    if name in declared.scalars:
        return Param(name, "scalar", init=declared.scalars[name])
    rows, *rest = shapes.params[name]
    gates = shapes.gates[name]
    default: Init = "ones" if name.endswith("_gain") else "uniform"
    if name.startswith("norm") and name.endswith("_bias"):
        default = "zeros"
    return Param(
        name,
        "matrix" if rest else "vector",
        gates,
        rows,
        rest[0] if rest else None,
        declared.blocks.get(name, 1),
        declared.init.get(name, default),
        tuple((g, declared.init[f"{name}.{g}"]) for g in gates if f"{name}.{g}" in declared.init),
    )
