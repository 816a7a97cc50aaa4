"""Saving that fails says why, what is left, and how to go on."""

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from recurra.errors import TrainingError

__all__ = ["saving"]

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
