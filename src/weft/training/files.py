"""Files that are either whole or not there: atomic writes, digests, and errors that say so."""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from weft.errors import TrainingError

__all__ = ["digest", "saving", "sync_folder", "write_atomic", "write_synced"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def digest(data: bytes) -> str:
    """The SHA-256 of `data`, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def write_synced(path: Path, data: bytes) -> None:
    """Write `data` to `path` and wait until the disk has it."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in `folder`, so that a rename survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomic(path: Path, data: bytes) -> None:
    """Replace `path` by `data`; a crash at any instant leaves the old file or the new one."""
    # One fixed name: what a killed process left is overwritten by the next save.
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        write_synced(temporary, data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


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
