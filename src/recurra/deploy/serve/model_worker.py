"""The thread that does a run's model work: units of many clients' messages, pooled into steps."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Callable
from time import perf_counter
from typing import Any, Protocol, TypeVar

from recurra.errors import RecurraError
from recurra.tasks.dialogue import Answer, Dialogues, Pool, PoolStep, Work

__all__ = ["Busy", "MessageJob", "ModelWorker", "WorkObserver"]

_UNREAD = 64
"""Lines that a client has not read, above which its work waits."""

_FAILED = "The server failed at this message; its log says why. Reset, or open another stream."
_INFINITE = "The model's answer is not finite any more; reset the stream."

Result = TypeVar("Result")
_log = logging.getLogger("recurra.serve")


class Busy(Exception):
    """As many messages are under way as there may be."""


class WorkObserver(Protocol):
    """Is told of every step of a pool."""

    def pooled(self, items: int, seconds: float) -> None: ...


class MessageJob:
    """A message that is worked on; `lines` are its answers, as JSON texts, for one reader."""

    def __init__(self, worker: ModelWorker, begin: Callable[[], Work]) -> None:
        self._worker, self._begin = worker, begin
        self._ready = asyncio.Event()
        self.unread: deque[str] = deque()
        self.is_over: bool = False
        self.error: str | None = None
        self.failed: bool = False
        self.is_stopped: bool = False
        self._work: Work | None = None
        self._value: Any = None

    def __aiter__(self) -> AsyncIterator[list[str]]:
        return self._batches()

    async def _batches(self) -> AsyncIterator[list[str]]:
        """Lines as they come, all that are there at a time."""
        while True:
            await self._ready.wait()
            self._ready.clear()
            is_over, count = self.is_over, len(self.unread)
            if count:
                yield [self.unread.popleft() for _ in range(count)]
                if count >= _UNREAD:
                    self._worker.wake()
            if is_over:
                return

    def stop(self) -> None:
        """End between two units of work; what was answered until then stays."""
        self.is_stopped = True
        self._worker.wake()

    def notify(self) -> None:
        """Tell the reader that there is something."""
        self._ready.set()

    @property
    def can_go_on(self) -> bool:
        """Whether the next unit may be done: its reader has kept pace, or it only has to end."""
        return self.is_stopped or len(self.unread) < _UNREAD

    def advance(self) -> PoolStep | None:
        """Do the next unit of work; a pool's step is what it waits for."""
        try:
            if self._work is None:
                self._work = self._begin()
            if self.is_stopped:
                self._work.close()
                self.is_over = True
                return None
            value, self._value = self._value, None
            part = self._work.send(value)
            if isinstance(part, PoolStep):
                return part
            self.unread.extend(map(_line, part))
        except StopIteration:
            self.is_over = True
        except Exception as error:
            self.fail(error)
        return None

    def take(self, value: Any) -> None:
        """The result of the pool's step that the next unit gets."""
        self._value = value

    def fail(self, error: Exception) -> None:
        """End with a sentence."""
        self.is_over = True
        if isinstance(error, (RecurraError, _NotFinite)):
            self.error = str(error)
            return
        _log.error("A message failed.", exc_info=error)
        self.error, self.failed = _FAILED, True


class _NotFinite(Exception):
    pass


def _line(answer: Answer) -> str:
    try:
        return json.dumps(answer, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    except ValueError as error:
        raise _NotFinite(_INFINITE) from error


class ModelWorker:
    """One thread that works on the messages of all clients of a run, a unit of each in turn.

    most: messages at a time.
    """

    def __init__(self, name: str, dialogues: Dialogues, most: int, observer: WorkObserver) -> None:
        self.name: str = name
        self.dialogues: Dialogues = dialogues
        self._most = most
        self._observer = observer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = threading.Condition()
        self._calls: deque[tuple[Callable[[], Any], asyncio.Future[Any]]] = deque()
        self._new: deque[MessageJob] = deque()
        self._active: list[MessageJob] = []
        self._is_awake = self._is_closed = False
        self._thread = threading.Thread(target=self._run, name=f"model {name}", daemon=True)

    def start(self) -> None:
        """Begin to work, for the event loop that runs now."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End after the units under way."""
        self._is_closed = True
        self.wake()
        self._thread.join()

    @property
    def under_way(self) -> int:
        """Messages that wait or are worked on."""
        return len(self._new) + len(self._active)

    def submit(self, begin: Callable[[], Work]) -> MessageJob:
        """Work on what `begin` starts; Busy where too much is under way."""
        if self.under_way >= self._most:
            raise Busy(
                f"{self._most:,} messages for {self.name} are under way, and more can't wait; try "
                "again in a second."
            )
        job = MessageJob(self, begin)
        self._new.append(job)
        self.wake()
        return job

    async def call(self, function: Callable[[], Result]) -> Result:
        """The result of a function that the thread calls between two units."""
        assert self._loop is not None
        future: asyncio.Future[Result] = self._loop.create_future()
        self._calls.append((function, future))
        self.wake()
        return await future

    def wake(self) -> None:
        """Let the thread look again for something to do."""
        with self._changed:
            self._is_awake = True
            self._changed.notify()

    def _run(self) -> None:
        while not self._is_closed:
            with self._changed:
                while not self._is_awake and not self._has_work():
                    self._changed.wait()
                self._is_awake = False
            while self._calls:
                self._call(*self._calls.popleft())
            while self._new:
                self._active.append(self._new.popleft())
            self._round()
        for _, future in self._calls:
            self._tell(_cancel, future)

    def _has_work(self) -> bool:
        return any(job.can_go_on for job in self._active)

    def _call(self, function: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        try:
            result = function()
        except Exception as error:
            self._tell(_settle, future, None, error)
        else:
            self._tell(_settle, future, result, None)

    def _round(self) -> None:
        """One unit of every message's work, and one step of each pool that some wait for."""
        waiting: dict[Pool, list[tuple[MessageJob, Any]]] = defaultdict(list)
        advanced = [job for job in self._active if job.can_go_on]
        for job in advanced:
            if step := job.advance():
                waiting[step.pool].append((job, step.item))
        for pool, pairs in waiting.items():
            self._step(pool, pairs)
        self._active = [job for job in self._active if not job.is_over]
        if told := [job for job in advanced if job.is_over or job.unread]:
            self._tell(_notify, told)

    def _step(self, pool: Pool, pairs: list[tuple[MessageJob, Any]]) -> None:
        start = perf_counter()
        try:
            results = pool.step([item for _, item in pairs])
        except Exception as error:
            if len(pairs) == 1:
                pairs[0][0].fail(error)
                return
            for pair in pairs:  # so that whose item it was fails alone
                self._step(pool, [pair])
            return
        self._observer.pooled(len(pairs), perf_counter() - start)
        for (job, _), result in zip(pairs, results, strict=True):
            job.take(result)

    def _tell(self, function: Callable[..., None], *given: Any) -> None:
        assert self._loop is not None
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *given)


def _settle(future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if future.cancelled():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


def _cancel(future: asyncio.Future[Any]) -> None:
    future.cancel()


def _notify(jobs: list[MessageJob]) -> None:
    for job in jobs:
        job.notify()
