"""A client's stream over a WebSocket: its messages one after another, and their answers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Mapping
from time import perf_counter
from typing import Any

import numpy as np

from recurra.deploy.serve.gatekeeper import Pace
from recurra.deploy.serve.libraries import WebSocket, WebSocketDisconnect, WebSocketState
from recurra.deploy.serve.model_worker import Busy, MessageJob
from recurra.deploy.serve.serve_options import ServeOptions
from recurra.deploy.serve.served_run import Places, ServedRun, parsed
from recurra.errors import DataError, RecurraError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Dialogue

__all__ = ["ClientStream"]

_WAITING = 8
"""Messages of a client that are read ahead; its next ones stay on their way."""

_AT_ONCE = 4
"""Lines that are sent before others have their turn, and before it shows that a client has gone."""

_SAMPLE = 4
"""Bytes of a sample of sound."""


class _Closing(Exception):
    """The stream is to be closed by the server."""

    def __init__(self, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class ClientStream:
    """One connection from its opening to its end, after which its state is kept for a while."""

    def __init__(
        self,
        socket: WebSocket,
        run: ServedRun,
        options: ServeOptions,
        places: Places,
    ) -> None:
        self._socket, self._run, self._options = socket, run, options
        self._places = places
        self._inbox: asyncio.Queue[Mapping[str, Any] | Exception] = asyncio.Queue(_WAITING)
        self._is_draining = False
        self._pace = Pace(options.rate)
        self._job: MessageJob | None = None
        self._is_working = self._is_stopped = False

    async def serve(self) -> None:
        """Accept it, and answer until one of the two sides ends it."""
        await self._socket.accept()
        try:
            self._places.take()
        except Busy as busy:
            await self._close(1013, str(busy))
            return
        self._run.metrics.streams.inc()
        name, dialogue = self._run.kept.new_name(), None
        try:
            dialogue = await self._run.open()
            await self._opened(dialogue, name)
        finally:
            # To its end, though this task may be cancelled: a place that isn't freed is lost.
            await asyncio.shield(asyncio.ensure_future(self._end(dialogue, name)))

    def drain(self) -> None:
        """End once everything is answered that has come."""
        self._is_draining = True
        if self._inbox.empty():
            self._inbox.put_nowait(_draining())

    async def _opened(self, dialogue: Dialogue, name: str) -> None:
        begun = await self._run.worker.call(dialogue.begin)
        try:
            await self._send({"type": "opened", "run": self._run.name, "saved": name}, *begun)
            await self._talk(dialogue)
        except _Closing as closing:
            await self._close(closing.code, str(closing))
        except (WebSocketDisconnect, OSError):
            pass  # the client has gone

    async def _end(self, dialogue: Dialogue | None, name: str) -> None:
        """Keep the state, and free what the stream had."""
        try:
            if self._job is not None:
                self._job.stop()
            if dialogue is not None:
                await self._run.save(dialogue, name)
                await self._run.close(dialogue)
        finally:
            self._run.metrics.streams.dec()
            self._places.give_back()

    async def _talk(self, dialogue: Dialogue) -> None:
        """Read and answer side by side, until one of them ends."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._answer(dialogue))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()

    async def _read(self) -> None:
        while True:
            message = await self._received()
            while seconds := self._pace.wait():
                await asyncio.sleep(seconds)
            try:
                fields = self._fields(message)
            except RecurraError as error:
                await self._inbox.put(error)
                continue
            if fields.get("type") != "stop":
                await self._inbox.put(fields)
            elif self._job is not None:
                self._job.stop()
            else:  # the message that it is meant for waits, or there is none
                self._is_stopped = self._is_working or not self._inbox.empty()

    async def _received(self) -> Mapping[str, Any]:
        """The next message, however long one is worked on; else the client is idle some time."""
        while True:
            try:
                async with asyncio.timeout(self._options.idle_seconds):
                    message = await self._socket.receive()
            except TimeoutError:
                if self._is_working or not self._inbox.empty():
                    continue
                raise _Closing(
                    4408,
                    f"Idle for {self._options.idle_seconds:g} seconds; open another stream and "
                    "restore its state.",
                ) from None
            if message["type"] == "websocket.disconnect":
                raise WebSocketDisconnect(message.get("code", 1005))
            return message

    def _fields(self, message: Mapping[str, Any]) -> Mapping[str, Any]:
        """A frame's object; DataError for one that can't be read."""
        data, text = message.get("bytes"), message.get("text")
        size = len(data) if data is not None else len(text or "")
        if size > self._options.max_body:
            raise _Closing(
                1009, f"A message has {size:,} bytes, and may have {self._options.max_body:,}."
            )
        if data is None:
            return parsed(text or "")
        if len(data) % _SAMPLE:
            raise DataError(
                f"A binary message has {len(data):,} bytes; samples have {_SAMPLE} each."
            )
        return {"type": "sound", "samples": np.frombuffer(data, "<f4").astype(np.float64)}

    async def _answer(self, dialogue: Dialogue) -> None:
        while True:
            fields = await self._next()
            self._is_working, start = True, perf_counter()
            try:
                end = await self._answered(dialogue, fields)
            finally:
                self._is_working = self._is_stopped = False
            metrics = self._run.metrics
            metrics.messages.labels(self._run.name, end).inc()
            metrics.seconds.labels(self._run.name).observe(perf_counter() - start)

    async def _next(self) -> Mapping[str, Any] | Exception:
        """What came next; once the server drains and all was answered, the stream ends."""
        if self._is_draining and self._inbox.empty():
            raise _draining()
        fields = await self._inbox.get()
        if isinstance(fields, _Closing):
            raise fields
        return fields

    async def _answered(self, dialogue: Dialogue, fields: Mapping[str, Any] | Exception) -> str:
        """Answer one message; how it ended."""
        mark: dict[str, Any] = {}
        try:
            if isinstance(fields, Exception):
                raise fields
            mark = _mark(fields)
            message = ClientMessage(fields)
            if message.kind == "save":
                await self._saved(dialogue, message)
            elif message.kind == "restore":
                message.only("saved")
                await self._run.restore(dialogue, message.text("saved"))
            else:
                await self._worked(dialogue, message)
        except (RecurraError, Busy, _Failed) as error:
            await self._send({"type": "error", "message": str(error), **mark})
            return "busy" if isinstance(error, Busy) else "error"
        await self._send({"type": "done", **mark})
        return "done"

    async def _saved(self, dialogue: Dialogue, message: ClientMessage) -> None:
        message.only()
        name = self._run.kept.new_name()
        await self._run.save(dialogue, name)
        await self._send({"type": "saved", "saved": name})

    async def _worked(self, dialogue: Dialogue, message: ClientMessage) -> None:
        self._job = self._run.ask(lambda: dialogue.work(message))
        if self._is_stopped:
            self._job.stop()
        async for lines in self._job:
            for number, line in enumerate(lines, 1):
                await self._send_text(line)
                if number % _AT_ONCE == 0:
                    await asyncio.sleep(0)
        job, self._job = self._job, None
        if job.error is not None:
            raise _Failed(job.error)

    async def _send(self, *answers: Mapping[str, Any]) -> None:
        for answer in answers:
            await self._send_text(json.dumps(answer, allow_nan=False, ensure_ascii=False))

    async def _send_text(self, text: str) -> None:
        try:
            async with asyncio.timeout(self._options.stall_seconds):
                await self._socket.send_text(text)
        except TimeoutError:
            raise _Closing(
                4408, f"Answers weren't read for {self._options.stall_seconds:g} seconds."
            ) from None
        except RuntimeError as error:  # starlette's, of a socket that was closed meanwhile
            raise WebSocketDisconnect(1006) from error

    async def _close(self, code: int, sentence: str) -> None:
        if self._socket.application_state is not WebSocketState.CONNECTED:
            return
        with contextlib.suppress(WebSocketDisconnect, OSError, RuntimeError, TimeoutError):
            async with asyncio.timeout(self._options.stall_seconds):
                await self._socket.close(code, sentence[:120])


def _draining() -> _Closing:
    return _Closing(1012, "The server stops; restore the state of this stream at its next.")


class _Failed(Exception):
    """A message whose work ended with a sentence."""


def _mark(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The client's own name of a message, to be sent back."""
    if "id" not in fields:
        return {}
    mark = fields["id"]
    if isinstance(mark, bool) or not isinstance(mark, (str, int)) or len(str(mark)[:101]) > 100:
        raise DataError("id is neither a text nor a whole number of at most 100 characters.")
    return {"id": mark}
