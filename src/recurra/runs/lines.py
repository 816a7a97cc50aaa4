"""Files of a run that grow by lines, each a JSON object with its `step`."""

import json
import logging
import os
from pathlib import Path
from typing import Any, NamedTuple

from recurra.errors import RunError
from recurra.files import digest
from recurra.runs.saving import saving

__all__ = ["LINES", "Extent", "Lines"]

LINES = ("metrics.jsonl", "gradients.jsonl")
"""The names of all of them."""


class Extent(NamedTuple):
    """The first `size` bytes of a file of lines, and their SHA-256."""

    size: int
    sha256: str

    @classmethod
    def of(cls, data: bytes) -> "Extent":
        """All of `data`."""
        return cls(len(data), digest(data))


class Lines:
    """The file `name` of the run at `run`, a JSON object a line; it need not exist yet."""

    def __init__(self, run: Path, name: str) -> None:
        self._run, self._name = run, name
        self._path = run / name

    def append(self, line: dict[str, Any]) -> None:
        """Add one line, in a single write."""
        data = (json.dumps(line) + "\n").encode()
        with saving(self._name, self._run), self._path.open("ab", buffering=0) as file:
            file.write(data)

    def parsed(self, data: bytes) -> list[dict[str, Any]]:
        """The lines in `data`, in order; one still being written, at its end, is left out."""
        try:
            lines = [json.loads(line) for line in data.decode().split("\n")[:-1]]
        except ValueError as error:
            raise self._damaged(str(error)) from error
        for number, line in enumerate(lines, 1):
            if not isinstance(line, dict) or not isinstance(line.get("step"), int):
                raise self._damaged(f"line {number} has no step")
        return lines

    def _damaged(self, reason: str) -> RunError:
        return RunError(
            f"{self._name} of {self._run} is damaged: {reason}; restore it from a copy, or resume "
            "with --resume (from Python: resume=True), which cuts it back to its checkpoint."
        )

    def synced(self) -> bytes:
        """The bytes of the file, which the disk has then; none where there is no file."""
        if self.is_missing:
            return b""
        with saving(self._name, self._run), self._path.open("rb") as file:
            os.fsync(file.fileno())
            return file.read()

    @property
    def is_missing(self) -> bool:
        """True while there is no such file."""
        return not self._path.exists()

    def warn_of_loss(self) -> None:
        """Warn that the file is not there, though it was."""
        logging.getLogger("recurra").warning(
            "%s of %s is missing: its lines are lost, and a new one is started.",
            self._name,
            self._run,
        )

    def truncate(self, size: int) -> None:
        """Cut the file back to `size` bytes."""
        if not self.is_missing:
            with saving(self._name, self._run):
                os.truncate(self._path, size)
