"""A server of the page whose one run tags every word with its place."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

import pytest

from recurra.deploy.page import PAGE_FILES, POLICY

RUN = {"name": "places", "task": "tag", "input": "text", "options": {}}


@contextmanager
def served_page() -> Iterator[str]:
    """The address of the page, on a free port, until the block ends."""
    uvicorn = pytest.importorskip("uvicorn", reason="uvicorn isn't installed")
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(_app(), log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def _app() -> object:
    pytest.importorskip("starlette", reason="starlette isn't installed")
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route, WebSocketRoute
    from starlette.websockets import WebSocket

    async def page(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        assert name in (*PAGE_FILES, "index.html")
        kinds = {"js": "text/javascript", "css": "text/css", "html": "text/html"}
        body = (files("recurra.deploy.page") / name).read_bytes()
        headers = {"Content-Security-Policy": POLICY}
        return Response(body, media_type=kinds[name.rsplit(".")[-1]], headers=headers)

    async def runs(_: Request) -> Response:
        return JSONResponse({"runs": [RUN]})

    async def stream(client: WebSocket) -> None:
        await client.accept()
        async for message in client.iter_json():
            words = message["text"].split()
            tags = [f"TAG{place}" for place in range(len(words))]
            await client.send_json({"type": "tags", "words": words, "tags": tags})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/page/{name}", page),
            Route("/runs", runs),
            WebSocketRoute("/stream/{name}", stream),
        ]
    )
