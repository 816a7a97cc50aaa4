"""The process that serves: threads pinned, a socket, and an end that loses nothing."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from recurra.deploy.serve.libraries import uvicorn
from recurra.deploy.serve.serve_app import ServeApp
from recurra.deploy.serve.serve_options import ServeOptions
from recurra.errors import ConfigError
from recurra.tasks.dialogue import Dialogues
from recurra.tasks.registry import load

__all__ = ["listening", "load_runs", "serve"]

_BACKLOG = 512
_log = logging.getLogger("recurra.serve")


def load_runs(paths: Sequence[str | os.PathLike[str]], most: int) -> dict[str, Dialogues]:
    """The runs at these paths as they are served, by the names of their folders.

    Raises RunError for one that can't be read, ConfigError for one that can't be served, or two of
    the same name.
    """
    runs: dict[str, Dialogues] = {}
    for path in paths:
        name = Path(path).resolve().name
        if name in runs:
            raise ConfigError(
                f"Two runs are called {name}, by which clients know them; rename one's folder."
            )
        try:
            runs[name] = load(path).dialogues(most)
        except ConfigError as error:
            raise ConfigError(f"{path} can't be served. {error}") from error
    return runs


def listening(host: str, port: int) -> socket.socket:
    """A socket that listens there; ConfigError where that can't be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise ConfigError(f"host = {host!r}: there is no such host ({error.strerror}).") from error
    # With its protocol, by which asyncio knows that it may send small answers at once.
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
    except OSError as error:
        found.close()
        if error.errno == errno.EADDRINUSE:
            raise ConfigError(
                f"Port {port} of {host} is in use, perhaps by another server; stop that one, or "
                f"give another: --port {port + 1}."
            ) from error
        raise ConfigError(
            f"Port {port} of {host} can't be used ({error.strerror}); give another --port or "
            "--host."
        ) from error
    return found


def serve(runs: dict[str, Dialogues], options: ServeOptions, listener: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, and then until all that was accepted is answered.

    Sets torch's threads, as a process that does nothing else may.
    """
    torch.set_num_threads(options.threads)
    app = ServeApp(runs, options)
    config = uvicorn.Config(
        app.asgi,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        ws="websockets-sansio",
        ws_max_size=options.max_body,
        ws_per_message_deflate=False,
        ws_ping_interval=20.0,
        ws_ping_timeout=max(20.0, options.stall_seconds),
        timeout_graceful_shutdown=int(options.drain_seconds) + 1,
    )
    _DrainingServer(config, app).run([listener])


class _DrainingServer(uvicorn.Server):
    """uvicorn's server, which answers what was accepted before it closes connections."""

    def __init__(self, config: uvicorn.Config, app: ServeApp) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, drain, and close."""
        for server in self.servers:
            server.close()
        await self._app.drain()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at SIGINT and SIGTERM; the process then ends as one that has done its work."""
        before: dict[int, Any] = {
            number: signal.signal(number, self.handle_exit)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
