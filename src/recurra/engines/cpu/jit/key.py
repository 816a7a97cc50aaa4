"""The key of compiled code: all that it is made from, as text that is the same in every process."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from recurra import __version__
from recurra.ir import Node, in_order

__all__ = ["describe", "digest_sources", "make_key", "sources"]

_COMPILER = ("engines/cpu", "passes", "ir")

_PLAIN = (str, int, float, bool, bytes, type(None))


def sources(root: Path) -> list[Path]:
    """The files below `root`, the package's folder, that make code from a graph."""
    return sorted(path for folder in _COMPILER for path in (root / folder).rglob("*.py"))


def digest_sources(root: Path) -> str:
    """A digest of these files with their places: editing or moving one makes all entries old."""
    total = hashlib.sha256()
    for path in sources(root):
        data = path.read_bytes()
        total.update(f"{path.relative_to(root).as_posix()} {len(data)}\n".encode() + data)
    return total.hexdigest()


# Read when they are imported: what is edited later doesn't run in this process.
_SOURCES = digest_sources(Path(__file__).parents[3])


def make_key(*parts: str) -> str:
    """The key of code that these parts, Recurra's version and its sources determine."""
    return hashlib.sha256(repr((__version__, _SOURCES, *parts)).encode()).hexdigest()


def describe(*values: object) -> str:
    """Values of frozen dataclasses, tuples, mappings, numbers and text, each node written once.

    Equal values have equal descriptions, different ones different. A node's place in the user's
    source is left out: the code doesn't depend on it. Raises TypeError for anything else, whose
    `repr` might hold an address.
    """
    description = _Description()
    texts = [description.text(value) for value in values]
    return "\n".join([*description.lines, *texts])


class _Description:
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.numbers: dict[Node, int] = {}

    def text(self, value: object) -> str:
        if isinstance(value, Node):
            return self._node(value)
        if type(value) in _PLAIN:
            return repr(value)
        if isinstance(value, tuple | list):
            return f"({', '.join(map(self.text, value))})"
        if isinstance(value, Mapping):
            pairs = sorted((self.text(k), self.text(v)) for k, v in value.items())
            return f"{{{', '.join(f'{k}: {v}' for k, v in pairs)}}}"
        if is_dataclass(value) and not isinstance(value, type):
            parts = (f"{f.name}={self.text(getattr(value, f.name))}" for f in fields(value))
            return f"{type(value).__name__}({', '.join(parts)})"
        raise TypeError(f"{value!r} has no description; describe() takes plans and what is in them")

    def _node(self, root: Node) -> str:
        if root not in self.numbers:
            for node in in_order((root,)):
                if node not in self.numbers:
                    self.numbers[node] = len(self.numbers)
                    self.lines.append(self._line(node))
        return f"%{self.numbers[root]}"

    def _line(self, node: Node) -> str:
        args = ", ".join(f"%{self.numbers[a]}" for a in node.args)
        rest = (self.text(v) for v in (node.detail, node.shape, node.name))
        return f"{node.op}({args}) {' '.join(rest)}"
