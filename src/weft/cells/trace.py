"""From a cell's `step` to its graph: run it on symbols, name the values, infer the shapes."""

from __future__ import annotations

import ast
import inspect
import linecache
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import FunctionType

from weft.cells.symbols import Symbol, Tape
from weft.ir import CellError, Graph, Node, Param, Shapes, Size, Where, in_order, infer, rewrite

__all__ = ["Declaration", "trace"]


@dataclass(frozen=True)
class Declaration:
    """What a cell says of itself besides its equations."""

    name: str
    states: Sequence[str]
    gates: Sequence[str]
    sizes: Mapping[str, str] = field(default_factory=dict)
    scalars: Mapping[str, float] = field(default_factory=dict)
    blocks: Mapping[str, int] = field(default_factory=dict)
    init: Mapping[str, str | float] = field(default_factory=dict)
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
    where = _first_line(function)
    arguments = list(inspect.signature(function).parameters)[1:]
    wanted = ["x", *declared.states]
    if arguments[: len(wanted)] != wanted:
        raise CellError(
            f"{where}: step of {declared.name} takes ({', '.join(arguments)}); it must begin with "
            f"({', '.join(wanted)}): the input, then the states, then the parameters."
        )
    return arguments[len(wanted) :]


def _first_line(function: FunctionType) -> Where:
    code = function.__code__
    line = next((n for _, _, n in code.co_lines() if n and n >= code.co_firstlineno), 0)
    text = linecache.getline(code.co_filename, line).strip()
    return Where(code.co_filename, line, text)


def _run(
    declared: Declaration, step: Callable[..., object], tape: Tape, names: Sequence[str]
) -> tuple[Node, ...]:
    leaves = [tape.node("input")]
    leaves += [tape.node("state", (), s) for s in declared.states]
    leaves += [tape.node("param", (), (n, None)) for n in names]
    try:
        returned = step(*(Symbol(tape, leaf) for leaf in leaves))
    except CellError:
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = Where(last.filename, last.lineno or 0, last.line or "")
        raise CellError(f"{where}: {type(error).__name__}: {error}") from error
    values = returned if isinstance(returned, tuple) else (returned,)
    states = ", ".join(declared.states)
    where = _return_line(tape)
    if len(values) != len(declared.states):
        raise CellError(
            f"{where}: step of {declared.name} returns {_count(values)}; its states are "
            f"({states}): return each of them, in this order."
        )
    for state, value in zip(declared.states, values, strict=True):
        if not isinstance(value, Symbol):
            raise CellError(
                f"{where}: step of {declared.name} returns {type(value).__name__} for the state "
                f"`{state}`; return ({states}) as the equations make them."
            )
    return tuple(v.node for v in values if isinstance(v, Symbol))


def _count(values: tuple[object, ...]) -> str:
    if values == (None,):
        return "nothing"
    return "1 value" if len(values) == 1 else f"{len(values)} values"


def _return_line(tape: Tape) -> Where:
    file = tape.code.co_filename
    function = _syntax(tape)
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)] if function else []
    line = returns[-1].lineno if returns else tape.code.co_firstlineno
    return Where(file, line, linecache.getline(file, line).strip())


def _name_values(results: tuple[Node, ...], tape: Tape) -> tuple[Node, ...]:
    """Each value takes the name of the variable it was first assigned to."""
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


def _assignments(tape: Tape) -> Iterator[tuple[str, ast.expr]]:
    function = _syntax(tape)
    for statement in ast.walk(function) if function else ():
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


def _syntax(tape: Tape) -> ast.FunctionDef | None:
    """The syntax tree of `step`, where its source can be had (it can't in some consoles)."""
    lines = linecache.getlines(tape.code.co_filename)
    try:
        tree = ast.parse("".join(lines))
    except SyntaxError:
        return None
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == tape.code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == tape.code.co_firstlineno:
                return node
    return None


def _refuse_unused(
    declared: Declaration, function: FunctionType, results: tuple[Node, ...], names: Sequence[str]
) -> None:
    nodes = in_order(results)
    where = _first_line(function)
    details = [n.detail for n in nodes if n.op == "param"]
    used = {d[0] for d in details if isinstance(d, tuple)}
    for name in names:
        if name not in used:
            raise CellError(f"{where}: the parameter `{name}` of step is never used; leave it out.")
    gates = {d[1] for d in details if isinstance(d, tuple)}
    gates |= {n.detail[1] for n in nodes if n.op == "gate" and isinstance(n.detail, tuple)}
    for gate in declared.gates:
        if gate not in gates:
            raise CellError(
                f"{where}: the gate `{gate}` of {declared.name} is in no equation; "
                f"leave it out of `gates`, or use it."
            )
    for table in ("scalars", "blocks", "init"):
        for name in getattr(declared, table):
            if name not in used:
                raise CellError(
                    f"{where}: `{table}` names `{name}`, which is no parameter of step."
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
    """Whether a parameter of that name is a bias, which `bias=False` leaves out."""
    return name.startswith("b")


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
    return Graph(
        cell=declared.name,
        states=tuple(declared.states),
        gates=tuple(declared.gates),
        state_sizes=tuple(Size(declared.sizes.get(s, "hidden_size")) for s in declared.states),
        params=tuple(_param(declared, name, shapes) for name in order),
        results=tuple(done[r] for r in results),
    )


def _param(declared: Declaration, name: str, shapes: Shapes) -> Param:
    if name in declared.scalars:
        return Param(name, "scalar", init=declared.scalars[name])
    rows, *rest = shapes.params[name]
    default = "ones" if name.endswith("_gain") else "uniform"
    if name.startswith("norm") and name.endswith("_bias"):
        default = "zeros"
    return Param(
        name,
        "matrix" if rest else "vector",
        shapes.gates[name],
        rows,
        rest[0] if rest else None,
        declared.blocks.get(name, 1),
        declared.init.get(name, default),
    )
