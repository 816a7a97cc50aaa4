"""Positions of a cell's equations: files, lines and syntax trees, for error texts and names."""

from __future__ import annotations

import ast
import functools
import linecache
import sys
from types import CodeType, FrameType, FunctionType

from recurra.ir import Where

__all__ = ["Span", "declaration", "definition", "first_line", "place", "return_line", "span"]

Span = tuple[int, int, int, int]


@functools.lru_cache(maxsize=64)
def _positions(code: CodeType) -> tuple[tuple[int | None, int | None, int | None, int | None], ...]:
    return tuple(code.co_positions())


def span(frame: FrameType) -> Span | None:
    """First line, last line, first column, last column of the expression that a frame runs."""
    positions = _positions(frame.f_code)[frame.f_lasti // 2]
    line, end_line, column, end_column = positions
    if line is None or end_line is None or column is None or end_column is None:
        return None
    return line, end_line, column, end_column


def place(frame: FrameType) -> Where:
    """The position of the expression that a frame runs."""
    file = frame.f_code.co_filename
    line, end_line, column, end_column = span(frame) or (frame.f_lineno, 0, 0, 0)
    return Where(file, line, _text(file, line, end_line), end_line, column, end_column)


def definition(code: CodeType) -> ast.FunctionDef | None:
    """The syntax tree of a function, if its source is available (it isn't in some consoles)."""
    for node in ast.walk(_tree(code.co_filename)):
        if isinstance(node, ast.FunctionDef) and node.name == code.co_name:
            first = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if first == code.co_firstlineno:
                return node
    return None


def first_line(code: CodeType) -> Where:
    """The line of a function's `def`."""
    function = definition(code)
    return _at(code.co_filename, function.lineno if function else code.co_firstlineno)


def return_line(code: CodeType) -> Where:
    """The line of a function's last `return`, or else of its `def`."""
    function = definition(code)
    returns = [n for n in ast.walk(function) if isinstance(n, ast.Return)] if function else []
    last = max(returns, key=lambda n: n.lineno, default=None)
    return _at(code.co_filename, last.lineno, last.end_lineno) if last else first_line(code)


def declaration(kind: type, attribute: str) -> Where | None:
    """The line of a class, or of its base, that sets an attribute."""
    owner = next((k for k in kind.__mro__ if attribute in vars(k)), kind)
    file = getattr(sys.modules.get(owner.__module__), "__file__", None) or ""
    codes = [f.__code__ for f in vars(owner).values() if isinstance(f, FunctionType)]
    inside = [c.co_firstlineno for c in codes if c.co_filename == file]
    for node in ast.walk(_tree(file)):
        if (
            isinstance(node, ast.ClassDef)
            and node.name == owner.__name__
            and all(node.lineno <= n <= (node.end_lineno or 0) for n in inside)
        ):
            lines = [s.lineno for s in node.body if attribute in _assigned(s)]
            return _at(file, lines[-1] if lines else node.lineno)
    return None


def _assigned(statement: ast.stmt) -> list[str]:
    targets: list[ast.expr] = []
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    return [t.id for t in targets if isinstance(t, ast.Name)]


def _tree(file: str) -> ast.Module:
    linecache.checkcache(file)
    try:
        return ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ast.Module([], [])


def _at(file: str, line: int, end_line: int | None = None) -> Where:
    return Where(file, line, _text(file, line, end_line or line), end_line or line)


def _text(file: str, line: int, end_line: int) -> str:
    first = linecache.getline(file, line).strip()
    if first.endswith(":"):
        return first  # of a statement with a body, the body says nothing
    lines = (linecache.getline(file, n).strip() for n in range(line, max(line, end_line) + 1))
    return " ".join(filter(None, lines))
