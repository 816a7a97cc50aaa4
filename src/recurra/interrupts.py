"""Ctrl-C and SIGTERM during long work: the first asks for a clean end, the second ends at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Any

__all__ = ["Interrupted", "Interrupts"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """A signal has ended the running work; `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.signal = number


class Interrupts:
    """While entered, the first SIGINT or SIGTERM only sets `signal`; a second raises `Interrupted`.

    A step is thus never cut in two. Nothing changes outside the main thread, where Python delivers
    no signals, nor for a signal that is ignored (SIGINT in a shell's background job) or handled by
    other than Python.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self.received: int = 0
        self._at_once = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            for number in _SIGNALS:
                if signal.getsignal(number) not in (None, signal.SIG_IGN):
                    self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, the first signal raises, too: for work that takes long and changes nothing."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self.received += 1
        if self._at_once or self.received > 1:
            raise Interrupted(number)
