"""The application: what is answered under which path."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from importlib.resources import files

from recurra.deploy.page import PAGE_FILES, POLICY
from recurra.deploy.serve.gatekeeper import Gatekeeper, Refusal, refuse_stream
from recurra.deploy.serve.kept_states import KeptStates
from recurra.deploy.serve.libraries import (
    ASGIApp,
    CORSMiddleware,
    HTTPException,
    JSONResponse,
    Request,
    Response,
    Route,
    Starlette,
    WebSocket,
    WebSocketRoute,
)
from recurra.deploy.serve.openapi import openapi
from recurra.deploy.serve.serve_metrics import ServeMetrics
from recurra.deploy.serve.serve_options import ServeOptions
from recurra.deploy.serve.served_run import Places, ServedRun
from recurra.deploy.serve.stream_endpoint import ClientStream
from recurra.deploy.serve.task_endpoint import TaskEndpoint, failure
from recurra.tasks.dialogue import Dialogues

__all__ = ["ServeApp"]

_KEPT = 10
"""States that are kept for each stream that may be open."""

_SWEEP = 10.0
_TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript"}


class ServeApp:
    """Runs behind an ASGI interface: `asgi` is the application.

    runs: by name what `Estimator.dialogues` gives. It drains before its lifespan ends.

    Raises ConfigError for a folder of states that can't be used.
    """

    def __init__(self, runs: Mapping[str, Dialogues], options: ServeOptions) -> None:
        self._options = options
        self._kept = KeptStates(
            options.save_dir, options.idle_seconds, _KEPT * options.max_sessions
        )
        self.metrics: ServeMetrics = ServeMetrics(lambda: self.under_way, lambda: len(self._kept))
        self.runs: dict[str, ServedRun] = {
            name: ServedRun(name, dialogues, options, self.metrics, self._kept)
            for name, dialogues in runs.items()
        }
        self.places: Places = Places(options.max_sessions)
        self._streams: set[ClientStream] = set()
        self._is_draining = False
        self.asgi: ASGIApp = self._application()

    @property
    def under_way(self) -> int:
        """Messages that wait or are worked on."""
        return sum(run.worker.under_way for run in self.runs.values())

    async def drain(self) -> None:
        """Take nothing on any more, and wait until everything is answered that was."""
        self._is_draining = True
        for stream in self._streams:
            stream.drain()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._options.drain_seconds):
                while self.places.taken:
                    await asyncio.sleep(0.02)

    def _application(self) -> ASGIApp:
        endpoint = TaskEndpoint(self.runs, self._options, self.places)
        verbs = sorted({run.dialogues.verb for run in self.runs.values()})
        routes = [
            Route("/", self._page),
            Route("/page/{name}", self._page_file),
            Route("/runs", self._runs),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._openapi),
            *(Route(f"/{verb}/{{run}}", endpoint.answer, methods=["POST"]) for verb in verbs),
            WebSocketRoute("/stream/{run}", self._stream),
        ]
        starlette = Starlette(
            routes=routes,
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _refused, Exception: _failed},
        )
        app: ASGIApp = starlette
        if origins := self._options.allow_origins:
            app = CORSMiddleware(
                app,
                allow_origins=origins,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type"],
            )
        return Gatekeeper(app, self._options, self.metrics, lambda: self._is_draining)

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        for run in self.runs.values():
            run.worker.start()
        sweeping = asyncio.create_task(self._sweep())
        try:
            yield
        finally:
            await self.drain()
            sweeping.cancel()
            for run in self.runs.values():
                run.worker.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP)
            self._kept.sweep()

    async def _stream(self, socket: WebSocket) -> None:
        name = socket.path_params["run"]
        if name not in self.runs:
            refusal = Refusal(404, 4404, f"There is no run {name[:60]!r}; GET /runs lists them.")
            await refuse_stream(refusal, socket.receive, socket.send)
            return
        stream = ClientStream(socket, self.runs[name], self._options, self.places)
        self._streams.add(stream)
        try:
            await stream.serve()
        finally:
            self._streams.discard(stream)

    async def _page(self, request: Request) -> Response:
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
        return _file("index.html", headers)

    async def _page_file(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in PAGE_FILES:
            return failure(404, "The page has no such file.")
        return _file(name, {})

    async def _runs(self, request: Request) -> Response:
        return JSONResponse({"runs": [run.describe() for run in self.runs.values()]})

    async def _health(self, request: Request) -> Response:
        return JSONResponse({"status": "alive"})

    async def _ready(self, request: Request) -> Response:
        if self._is_draining:
            return JSONResponse({"status": "stopping"}, 503, headers={"Retry-After": "5"})
        return JSONResponse({"status": "ready"})

    async def _metrics(self, request: Request) -> Response:
        content, kind = self.metrics.text()
        return Response(content, headers={"Content-Type": kind})

    async def _openapi(self, request: Request) -> Response:
        return JSONResponse(openapi(self.runs.values(), self._options))


def _file(name: str, headers: Mapping[str, str]) -> Response:
    kind = _TYPES[name.rpartition(".")[2]]
    return Response(
        (files("recurra.deploy.page") / name).read_bytes(),
        media_type=kind,
        headers={"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache", **headers},
    )


async def _refused(request: Request, error: Exception) -> Response:
    """Paths and methods that there are not."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return failure(404, "There is nothing at this path; GET /openapi.json lists what is.")
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        return failure(405, f"This path takes {allowed or 'another method'}.", Allow=allowed)
    return failure(error.status_code, str(error.detail))


async def _failed(request: Request, error: Exception) -> Response:
    """A fault of ours."""
    return failure(500, "The server failed at this request; its log says why.")
