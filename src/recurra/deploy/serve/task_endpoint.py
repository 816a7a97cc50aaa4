"""Whole inputs over HTTP: a request, and all its answers at once or line by line."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from recurra.deploy.serve.libraries import (
    ClientDisconnect,
    JSONResponse,
    Receive,
    Request,
    Response,
    Scope,
    Send,
    StreamingResponse,
)
from recurra.deploy.serve.model_worker import Busy, MessageJob
from recurra.deploy.serve.serve_options import ServeOptions
from recurra.deploy.serve.served_run import Places, ServedRun, parsed, whole_input
from recurra.errors import DataError
from recurra.tasks.client_message import ClientMessage
from recurra.tasks.dialogue import Dialogue

__all__ = ["TaskEndpoint", "failure"]


def failure(status: int, sentence: str, **headers: str) -> Response:
    """An answer that says why there is none."""
    return JSONResponse({"error": sentence}, status, headers=headers or None)


class TaskEndpoint:
    """Answers the requests for the runs of one server."""

    def __init__(
        self, runs: Mapping[str, ServedRun], options: ServeOptions, places: Places
    ) -> None:
        self._runs, self._options, self._places = runs, options, places

    async def answer(self, request: Request) -> Response:
        """The answer to a request, whatever it is."""
        verb, name = request.url.path.strip("/").split("/")[0], request.path_params["run"]
        run = self._runs.get(name)
        if run is None:
            return failure(404, f"There is no run {name[:60]!r} here; GET /runs lists them.")
        if run.dialogues.verb != verb:
            right = f"POST /{run.dialogues.verb}/{name}"
            return failure(404, f"{name} isn't of that task; use {right}.")
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return failure(415, "The body must be JSON; send Content-Type: application/json.")
        body = await self._body(request)
        if isinstance(body, Response):
            return body
        try:
            fields = dict(parsed(body))
        except DataError as error:
            return failure(400, str(error))
        try:
            self._places.take()
            return await self._answered(request, run, fields)
        except Busy as busy:
            return failure(503, str(busy), **{"Retry-After": "1"})

    async def _body(self, request: Request) -> bytes | Response:
        """The body, or the answer to one that is too long or doesn't come."""
        most, parts, size = self._options.max_body, list[bytes](), 0
        declared = request.headers.get("content-length", "0")
        too_long = failure(413, f"The body may have {most:,} bytes; send less, or a stream.")
        if declared.isdigit() and int(declared[:20]) > most:
            return too_long
        try:
            async with asyncio.timeout(self._options.stall_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > most:
                        return too_long
                    parts.append(part)
        except TimeoutError:
            seconds = self._options.stall_seconds
            return failure(408, f"The body didn't come within {seconds:g} seconds.")
        except ClientDisconnect:
            return failure(400, "The client went before the body was whole.")
        return b"".join(parts)

    async def _answered(self, request: Request, run: ServedRun, fields: dict[str, Any]) -> Response:
        """Work on a message that has a place; the place is free again at the end."""
        dialogue: Dialogue | None = None
        is_handed_on = False
        try:
            stream, message = _request_message(run, fields)
            dialogue = own = await run.open()
            ends = run.dialogues.ends
            job = run.ask(lambda: whole_input(own, message, ends=ends))
            if not stream:
                return await _collected(request, job)
            batches = job.__aiter__()
            first: list[str] = await anext(batches, [])
            if job.error is not None and not first:
                return _job_failure(job)
            is_handed_on = True
            return _Lines(job, first, batches, lambda: self._end(run, own))
        except DataError as error:
            return failure(422, str(error))
        finally:
            if not is_handed_on:
                await self._end(run, dialogue)

    async def _end(self, run: ServedRun, dialogue: Dialogue | None) -> None:
        """Free what a request had, though its task may be cancelled meanwhile."""

        async def free() -> None:
            try:
                if dialogue is not None:
                    await run.close(dialogue)
            finally:
                self._places.give_back()

        await asyncio.shield(asyncio.ensure_future(free()))


class _Lines(StreamingResponse):
    """Answers line by line; `end` frees what they needed, whether or not a client took them."""

    def __init__(
        self,
        job: MessageJob,
        first: list[str],
        rest: AsyncIterator[list[str]],
        end: Callable[[], Awaitable[None]],
    ) -> None:
        self._job, self._end = job, end

        async def lines() -> AsyncIterator[bytes]:
            yield _joined(first)
            async for batch in rest:
                yield _joined(batch)
            last = {"type": "done"} if job.error is None else _error(job.error)
            yield _joined([json.dumps(last)])

        super().__init__(lines(), media_type="application/x-ndjson")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, as ASGI has it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._job.stop()
            await self._end()


async def _collected(request: Request, job: MessageJob) -> Response:
    """All answers; the work ends early where the client goes."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        job.stop()

    watching = asyncio.create_task(watch())
    try:
        found = [line async for lines in job for line in lines]
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
    if job.error is not None:
        return _job_failure(job)
    body = '{"answers":[' + ",".join(found) + "]}"
    return Response(body.encode(), media_type="application/json")


def _request_message(run: ServedRun, fields: dict[str, Any]) -> tuple[bool, ClientMessage]:
    """Whether answers are to be streamed, and the message that a body is."""
    stream = fields.pop("stream", False)
    if not isinstance(stream, bool):
        raise DataError("stream is neither true nor false.")
    for name in ("type", "id", "more"):
        if name in fields:
            raise DataError(f"A request is a whole input and has no {name}; leave it out.")
    return stream, ClientMessage({"type": run.dialogues.message, **fields})


def _job_failure(job: MessageJob) -> Response:
    assert job.error is not None
    return failure(500 if job.failed else 422, job.error)


def _error(sentence: str) -> dict[str, str]:
    return {"type": "error", "message": sentence}


def _joined(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
