"""Files of a run that grow by lines of JSON, and are cut back to where a checkpoint was saved."""

import json
import logging
import os
from pathlib import Path
from typing import Any

from recurra.errors import RunError
from recurra.runs.saving import saving

__all__ = ["Lines"]


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

    def read(self) -> list[dict[str, Any]]:
        """The lines so far, in order; one still being written is left out."""
        text = self._path.read_text("utf-8") if self._path.exists() else ""
        try:
            return [json.loads(line) for line in text.split("\n")[:-1]]
        except ValueError as error:
            raise RunError(f"{self._name} of {self._run} is damaged: {error}.") from error

    def sync(self) -> int:
        """Wait until the disk has the file; its size in bytes, 0 where there is none."""
        if not self._path.exists():
            return 0
        with saving(self._name, self._run), self._path.open("ab") as file:
            os.fsync(file.fileno())
            return file.tell()

    def truncate(self, size: int) -> None:
        """Cut the file back to `size` bytes, as it was when a checkpoint was saved."""
        if size == 0 and not self._path.exists():
            return
        with saving(self._name, self._run), self._path.open("ab") as file:
            if file.tell() < size:
                logging.getLogger("recurra").warning(
                    "%s of %s is shorter than at its checkpoint: lines are lost.",
                    self._name,
                    self._run,
                )
            file.truncate(min(size, file.tell()))
