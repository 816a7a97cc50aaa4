"""Ctrl-C while training: the first asks for a clean end, the second ends at once."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["Interrupts"]


class Interrupts:
    """While entered, the first SIGINT only sets `asked`; a second raises `KeyboardInterrupt`.

    A step is thus never cut in two. Outside the main thread, where Python delivers no signal, and
    where SIGINT is ignored or not Python's, nothing is changed.
    """

    def __init__(self) -> None:
        self.pressed = 0
        self._at_once = False
        self._before: object = None

    @property
    def asked(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.pressed > 0

    def __enter__(self) -> "Interrupts":
        handler = signal.getsignal(signal.SIGINT)
        main = threading.current_thread() is threading.main_thread()
        if main and handler not in (None, signal.SIG_IGN):
            self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *exception: object) -> None:
        if callable(self._before) or isinstance(self._before, signal.Handlers):
            signal.signal(signal.SIGINT, self._before)

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, the first Ctrl-C raises, too: for what takes long and changes nothing."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.pressed += 1
        if self._at_once or self.pressed > 1:
            raise KeyboardInterrupt
