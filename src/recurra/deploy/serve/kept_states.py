"""States of streams that have ended or were saved, by random names, for a while."""

from __future__ import annotations

import asyncio
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from recurra.errors import ConfigError, DataError
from recurra.files import digest, write_private

__all__ = ["KeptStates"]

_NAME = re.compile(r"[A-Za-z0-9_-]{22}")
_SUFFIX = ".session"


class KeptStates:
    """At most `most` states, each forgotten `seconds` after it was kept; the oldest goes first.

    folder: where they lie as files, whose names are digests, so that they outlive the process;
    None keeps them in memory. A name is a secret: whoever has it has the state.

    Raises ConfigError for a folder that can't be used.
    """

    def __init__(
        self,
        folder: Path | None,
        seconds: float,
        most: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._seconds, self._most, self._clock = folder, seconds, most, clock
        self._states: OrderedDict[str, tuple[float, bytes]] = OrderedDict()
        self._lock = threading.Lock()
        if folder is not None:
            self._states = self._found(folder)

    def __len__(self) -> int:
        return len(self._states)

    @staticmethod
    def new_name() -> str:
        """A name that nobody guesses."""
        return secrets.token_urlsafe(16)

    async def keep(self, run: str, name: str, data: bytes) -> None:
        """Keep a run's state by a name of `new_name`'s, in place of an earlier one."""
        if self._folder is None:
            self._keep(run, name, data)
        else:  # a disk takes milliseconds
            await asyncio.to_thread(self._keep, run, name, data)

    def _keep(self, run: str, name: str, data: bytes) -> None:
        key = self._key(run, name)
        if self._folder is not None:
            write_private(self._folder / f"{key}{_SUFFIX}", data)
        with self._lock:
            self._states[key] = self._clock(), data if self._folder is None else b""
            self._states.move_to_end(key)
        self.sweep()

    def state(self, run: str, name: str) -> bytes:
        """The state that a name has; DataError where there is none, or none any more."""
        self.sweep()
        key = self._key(run, name) if _NAME.fullmatch(name) else ""
        if kept := self._states.get(key):
            if self._folder is None:
                return kept[1]
            try:
                return (self._folder / f"{key}{_SUFFIX}").read_bytes()
            except OSError:
                with self._lock:
                    self._forget(key)
        raise DataError(
            f"No state of {run} is kept by this name; it was idle too long, or never there. Begin "
            "another stream."
        )

    def sweep(self) -> None:
        """Forget what is too old, or too much."""
        oldest = self._clock() - self._seconds
        with self._lock:
            while self._states:
                key, (kept, _) = next(iter(self._states.items()))
                if kept >= oldest and len(self._states) <= self._most:
                    return
                self._forget(key)

    def _forget(self, key: str) -> None:
        self._states.pop(key, None)
        if self._folder is not None:
            (self._folder / f"{key}{_SUFFIX}").unlink(missing_ok=True)

    @staticmethod
    def _key(run: str, name: str) -> str:
        return digest(f"{run}\n{name}".encode())

    @staticmethod
    def _found(folder: Path) -> OrderedDict[str, tuple[float, bytes]]:
        """The states that lie in a folder, the oldest first."""
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            files = [(path.stat().st_mtime, path) for path in folder.glob(f"*{_SUFFIX}")]
        except OSError as error:
            raise ConfigError(
                f"{folder}: can't keep states ({error.strerror}); name a folder that can be "
                "written as --save-dir."
            ) from error
        return OrderedDict((path.stem, (kept, b"")) for kept, path in sorted(files))
