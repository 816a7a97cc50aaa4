"""The lock on a run that is written: the kernel releases it when the process that holds it dies."""

import contextlib
import errno
import fcntl
import logging
import os
import socket
from pathlib import Path

from recurra.errors import RunError

__all__ = ["LOCK_FILE", "RunLock", "check_free"]

LOCK_FILE = "training.lock"

_UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)


class RunLock:
    """Entered, it keeps other processes from writing to the run at `run`; it may be entered again.

    Raises `RunError`, naming the process, where another one holds it.
    """

    def __init__(self, run: Path) -> None:
        self._run, self._path = run, run / LOCK_FILE
        self._entered = 0
        self._file: int | None = None

    @property
    def is_held(self) -> bool:
        """True while entered."""
        return self._entered > 0

    def __enter__(self) -> "RunLock":
        if not self._entered:
            try:
                self._file = self._acquire()
            except OSError as error:
                raise RunError(
                    f"{self._run} can't be locked: {error.strerror}; a training writes to its run: "
                    "make it writable, or choose another --out."
                ) from error
        self._entered += 1
        return self

    def __exit__(self, *exception: object) -> None:
        self._entered -= 1
        if not self._entered and self._file is not None:
            # Deleted before it is released: whoever waits for it sees that it is no longer there.
            self._path.unlink(missing_ok=True)
            os.close(self._file)
            self._file = None

    def _acquire(self) -> int | None:
        """Open and lock the file; None, with a warning, on a disk that knows no locks."""
        while True:
            file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o666)
            with contextlib.ExitStack() as closing:
                closing.callback(os.close, file)
                if not self._flock(file):
                    self._path.unlink()
                    return None
                if self._is_there(file):
                    os.truncate(file, 0)
                    os.pwrite(file, f"{os.getpid()} on {socket.gethostname()}\n".encode(), 0)
                    closing.pop_all()
                    return file
            # Its last holder has deleted the file in the meantime: lock the one that is there now.

    def _flock(self, file: int) -> bool:
        """Lock the open `file`; False where the disk can't. Raises `RunError` if it is held."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(file, 400, 0).decode(errors="replace").strip()
            raise RunError(
                f"{self._run} is being trained by process {holder or 'of unknown number'}; wait "
                "until it has ended, or choose another --out."
            ) from error
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
            logging.getLogger("recurra").warning(
                "%s can't be locked on this disk: don't train in it from two processes.", self._run
            )
            return False
        return True

    def _is_there(self, file: int) -> bool:
        """Tell whether the open `file` is still the one that its name leads to."""
        try:
            return os.path.samestat(os.fstat(file), self._path.stat())
        except FileNotFoundError:
            return False


def check_free(run: Path) -> None:
    """Raise `RunError` where a run inside `run`, a member of an ensemble, is being trained."""
    for place, _, files in os.walk(run):  # goes on where a folder vanishes, as while one is saved
        if LOCK_FILE in files and Path(place) != run:
            with RunLock(Path(place)):
                pass
