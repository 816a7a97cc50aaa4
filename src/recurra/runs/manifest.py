"""manifest.json of a run: the digests that tell a whole file from a damaged one.

format   the name and number of the format
files    the SHA-256 of config.json and model.safetensors; two of each between the writes of a save
lines    of each file that grows by lines, the bytes recorded so far and their SHA-256

It is the file that makes a directory a run, in one rename: a new run's is written when everything
else is there. One without files says that a run was being made or replaced here, and is none yet.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recurra.errors import RunError
from recurra.files import digest, write_atomic
from recurra.runs.lines import LINES, Extent
from recurra.runs.saving import retraining

__all__ = ["MANIFEST", "Manifest", "is_run", "is_unmade", "read_verified"]

MANIFEST = "manifest.json"

_FORMAT = "recurra run 1"
_KEYS = {"format", "files", "lines"}


@dataclass(frozen=True)
class Manifest:
    """The digests that each file may have, and the recorded part of each file of lines."""

    files: Mapping[str, list[str]] = field(default_factory=dict)
    lines: Mapping[str, Extent] = field(default_factory=dict)

    @classmethod
    def read(cls, run: Path) -> "Manifest":
        """That of the run at `run`; `RunError` where it is damaged."""
        content = _content(run)
        try:
            files = {name: [*digests] for name, digests in content["files"].items()}
            lines = {name: Extent(*extent) for name, extent in content.get("lines", {}).items()}
        except (AttributeError, KeyError, TypeError) as error:
            raise _damaged(run) from error
        whole = all(isinstance(size, int) for size, _ in lines.values())
        if not whole or not content.keys() <= _KEYS or not lines.keys() <= {*LINES}:
            raise _damaged(run)
        return cls(files, lines)

    def write(self, run: Path) -> None:
        """Replace that of the run at `run`."""
        content: dict[str, Any] = {"format": _FORMAT, "files": self.files}
        if self.lines:
            content["lines"] = self.lines
        write_atomic(run / MANIFEST, (json.dumps(content, indent=2) + "\n").encode())

    def fault(self, name: str, data: bytes | None) -> str | None:
        """A verb's phrase for what is wrong with the file's bytes, None where nothing is."""
        size, known = None, self.files.get(name, [])
        if name in LINES:
            size, sha256 = self.lines.get(name, Extent.of(b""))
            data, known = data if data or size else b"", [sha256]
        if data is None:
            return "is missing"
        if size is not None and len(data) < size:
            return f"is cut short ({len(data):,} of {size:,} bytes)"
        return None if digest(data[:size]) in known else "is damaged (wrong digest)"


def is_run(folder: Path) -> bool:
    """Tell whether a directory is a run, whole or damaged, or was to become one."""
    return _content(folder).get("format") == _FORMAT


def is_unmade(folder: Path) -> bool:
    """Tell whether the making or replacing of a run was cut off before there was one."""
    return is_run(folder) and Manifest.read(folder) == Manifest()


def read_verified(run: Path, name: str) -> bytes:
    """The bytes of the file; `RunError` where they are not those that the manifest admits.

    Of a file of lines the recorded part is verified; one that is not there yet is empty.
    """
    manifest = Manifest.read(run)
    while True:
        data = _bytes(run / name)
        fault = manifest.fault(name, data)
        if fault is None:
            return data or b""
        # It may have been replaced since the manifest was read: then the manifest was, too.
        before, manifest = manifest, Manifest.read(run)
        if manifest == before:
            raise RunError(f"{name} of {run} {fault}; {_remedy(run, name, data is not None)}.")


def _remedy(run: Path, name: str, is_there: bool) -> str:
    if name in LINES:
        delete = "delete it and " if is_there else ""
        again = f"{delete}resume with --resume (from Python: resume=True), which starts a new one"
    elif name == "config.json":
        again = retraining(run)
    else:
        again = "resume with --resume (from Python: resume=True), which writes it again"
    return f"restore it from a copy, or {again}"


def _damaged(run: Path) -> RunError:
    return RunError(
        f"{MANIFEST} of {run} is damaged; restore it from a copy, or {retraining(run)}."
    )


def _content(folder: Path) -> dict[str, Any]:
    """The JSON of manifest.json, empty where it can't be read or is no object."""
    try:
        content = json.loads((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
