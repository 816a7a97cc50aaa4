"""Saving that fails says why, what is left, and how to go on."""

import contextlib
import errno
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from recurra.errors import RunError, TrainingError

__all__ = ["from_bytes", "metadata_of", "saving", "to_bytes"]


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextlib.contextmanager
def saving(what: str, run: Path) -> Iterator[None]:
    """Turn an `OSError` while saving `what` into a `TrainingError` that says what is left."""
    try:
        yield
    except OSError as error:
        why = "the disk is full" if error.errno in _FULL else error.strerror or str(error)
        raise TrainingError(
            f"{what} of {run} could not be saved: {why}. {_intact(run)}; put that right, "
            "then go on with --resume (from Python: resume=True)."
        ) from error


def _intact(run: Path) -> str:
    saved = sorted((run / "checkpoints").glob("step-*"))
    return f"The checkpoint {saved[-1].name} is intact" if saved else "No checkpoint is there yet"


def to_bytes(tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> bytes:
    """The tensors in the format of safetensors; any device, any strides, shared storage or not."""
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


def from_bytes(data: bytes, where: str) -> dict[str, Tensor]:
    """The tensors, on the CPU; `RunError` where `data` (found at `where`) isn't safetensors."""
    try:
        views = safetensors.torch.load(data)
    except safetensors.SafetensorError as error:
        raise RunError(f"{where} is no safetensors file: {error}.") from error
    # The views lie in `data` wherever the format put them: a copy is aligned, as bit-identical
    # arithmetic wants it, and writable.
    return {name: view.clone() for name, view in views.items()}
