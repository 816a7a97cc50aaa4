"""Compiled code kept on disk: one file an entry, found by its key.

An entry is a magic word and the format's number, its key and the SHA-256 of the code, 32 bytes
each, then the code. Anything else is compiled again, and so is an entry that somebody else could
have written, since entries are run. For the same reason a folder that others may write to is not
used at all.

A key is all that code is made from, as text that is the same in every process.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import logging
import os
import stat
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

from recurra import __version__
from recurra.files import write_private
from recurra.ir import Node, in_order

__all__ = [
    "describe",
    "digest_sources",
    "load",
    "make_key",
    "sources",
    "store",
]


LIMIT = 256 * 2**20
"""Bytes that a folder may hold; entries that were unused for longest go first."""

_MAGIC = b"recurra code 1\n"
_SUFFIX = ".recurra-code"

_REMEDY = "Set RECURRA_CACHE to a folder that you alone may write to, or to off."

_log = logging.getLogger("recurra")


def load(folder: Path, key: str) -> bytes | None:
    """The code kept under `key`, or None if it isn't there, is damaged or isn't the user's own."""
    path = _path(folder, key)
    if not _is_own(folder):
        return None
    try:
        with path.open("rb") as file:
            reason = _distrust(os.fstat(file.fileno()))
            data = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        _warn_once(f"Compiled code can't be read from {folder}: {error.strerror}. {_REMEDY}")
        return None
    code = data[_HEAD:]
    if data[:_HEAD] != _head(key, code):
        reason = reason or "it is damaged"
    if reason is not None:
        _warn_once(f"The compiled code in {path} is not used, but compiled again: {reason}.")
        return None
    with contextlib.suppress(OSError):  # the time tells what was unused for longest
        os.utime(path)
    return code


def store(folder: Path, key: str, code: bytes) -> None:
    """Keep code; where that fails, warn once and continue."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_own(folder):
            return
        write_private(_path(folder, key), _head(key, code) + code)
        _remove_oldest(folder)
    except OSError as error:
        _warn_once(f"Compiled code can't be kept in {folder}: {error.strerror}. {_REMEDY}")


def _path(folder: Path, key: str) -> Path:
    return folder / f"{key}{_SUFFIX}"


def _head(key: str, code: bytes) -> bytes:
    return _MAGIC + bytes.fromhex(key) + hashlib.sha256(code).digest()


_HEAD = len(_MAGIC) + 64


def _is_own(folder: Path) -> bool:
    """Tell, with a warning, whether nobody but the user may write to the folder, if it is there."""
    try:
        reason = _distrust(folder.stat())
    except OSError:
        return True  # reading or writing tells of it
    if reason is not None:
        _warn_once(f"Compiled code is not kept in {folder}: {reason}. {_REMEDY}")
    return reason is None


def _distrust(status: os.stat_result) -> str | None:
    """Why what is in this file must not be run."""
    if os.name != "posix":
        return None
    if status.st_uid != os.geteuid():
        return "it belongs to another user"
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        return "others than its owner may write to it"
    return None


def _remove_oldest(folder: Path) -> None:
    """Bring the folder below its limit. Another process may do so too, or use what is removed."""
    found = []
    with os.scandir(folder) as listing:
        for entry in listing:
            if _SUFFIX in entry.name:  # and so what a killed process left
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    found.append((status.st_mtime_ns, status.st_size, entry.path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= LIMIT:
            return
        # Where a file in use can't be removed (Windows), it stays until the next time.
        with contextlib.suppress(OSError):
            os.unlink(path)
        total -= size


@functools.cache
def _warn_once(text: str) -> None:
    _log.warning(text)


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
