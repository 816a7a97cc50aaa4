"""Files of a run: tensors, files that grow by lines, and errors of saving that name the remedy.

torch is loaded where tensors are saved or read, and not before.
"""

import contextlib
import errno
import json
import logging
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recurra.errors import RunError, TrainingError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Lines", "from_bytes", "metadata_of", "saving", "to_bytes"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def saving(what: str, run: Path) -> Iterator[None]:
    """Turn an `OSError` while saving `what` into a `TrainingError` that says what is left."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
        raise TrainingError(
            f"{what} of {run} could not be saved: {why}. {_intact(run)}; fix that, then resume "
            "with --resume (from Python: resume=True)."
        ) from error


def _intact(run: Path) -> str:
    saved = sorted((run / "checkpoints").glob("step-*"))
    return f"The checkpoint {saved[-1].name} is intact" if saved else "No checkpoint is there yet"


def to_bytes(tensors: "Mapping[str, Tensor]", metadata: Mapping[str, str] | None = None) -> bytes:
    """The tensors in the format of safetensors; any device, any strides, shared storage or not."""
    import safetensors.torch

    # Tied weights share storage, which safetensors refuses: each name gets a copy of its own.
    copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    return safetensors.torch.save(copies, None if metadata is None else dict(metadata))


def metadata_of(data: bytes) -> dict[str, str]:
    """The metadata that `to_bytes` was given; empty where `data` is not in its format."""
    try:
        head = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    except ValueError:
        return {}
    found = head.get("__metadata__", {}) if isinstance(head, dict) else {}
    return found if isinstance(found, dict) else {}


def from_bytes(data: bytes, where: str) -> "dict[str, Tensor]":
    """The tensors, on the CPU; `RunError` where `data` (found at `where`) isn't safetensors."""
    import safetensors.torch

    try:
        views = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise RunError(f"{where} is not a safetensors file: {error}.") from error
    # The views lie in `data` wherever the format put them: a copy is aligned, as bit-identical
    # arithmetic wants it, and writable.
    return {name: view.clone() for name, view in views.items()}


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
