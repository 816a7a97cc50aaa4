"""Files that are either whole or not there: atomic writes and digests."""

import hashlib
import os
import tempfile
from pathlib import Path

__all__ = ["digest", "sync_folder", "write_atomic", "write_private", "write_synced"]


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
    _write_through(path.with_name(f".{path.name}.tmp"), path, data)
    sync_folder(path.parent)


def write_private(path: Path, data: bytes) -> None:
    """The same for a file that its owner alone may use, and that several processes write at once.

    What a killed process leaves begins with a dot and the file's name.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(descriptor)
    _write_through(Path(temporary), path, data)


def _write_through(temporary: Path, path: Path, data: bytes) -> None:
    try:
        write_synced(temporary, data)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
