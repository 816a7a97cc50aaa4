"""Who may talk to a server: hosts, origins, the token, the rate of each client, draining."""

from __future__ import annotations

import base64
import binascii
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlsplit

from recurra.deploy.serve.libraries import ASGIApp, JSONResponse, Message, Receive, Scope, Send
from recurra.deploy.serve.serve_metrics import ServeMetrics
from recurra.deploy.serve.serve_options import ServeOptions

__all__ = ["Gatekeeper", "Pace", "Refusal", "refuse_stream"]

OPEN_PATHS = ("/health", "/ready")
"""What anybody may ask, at any rate."""

_LOCAL = ("localhost", "127.0.0.1", "::1")
_CLIENTS = 10_000


class Refusal(NamedTuple):
    """Why a request is refused: the status, the code that closes a stream, and a sentence."""

    status: int
    code: int
    sentence: str
    headers: tuple[tuple[str, str], ...] = ()


class Pace:
    """So many events a second, and two seconds' worth at once.

    >>> pace = Pace(10, clock=lambda: 0.0)
    >>> [pace.wait() for _ in range(21)][-2:]
    [0.0, 0.1]
    """

    def __init__(self, rate: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._clock = rate, clock
        self._left, self._at = 2 * rate, clock()

    def wait(self) -> float:
        """Count an event: 0, or the seconds until it is due, and then it isn't counted."""
        if not self._rate:
            return 0.0
        now = self._clock()
        self._left = min(2 * self._rate, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return (1 - self._left) / self._rate
        self._left -= 1
        return 0.0


class Gatekeeper:
    """Lets requests through to `app`, or answers them with the reason why not."""

    def __init__(
        self,
        app: ASGIApp,
        options: ServeOptions,
        metrics: ServeMetrics,
        is_draining: Callable[[], bool],
    ) -> None:
        self._app, self._options, self._metrics = app, options, metrics
        self._is_draining = is_draining
        self._paces: OrderedDict[str, Pace] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if scope["type"] == "websocket":
            if refusal is None:
                await self._app(scope, receive, send)
            else:
                await refuse_stream(refusal, receive, send)
            return
        await self._answer(refusal, scope, receive, send)

    async def _answer(
        self, refusal: Refusal | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                path = getattr(scope.get("route"), "path", "other")
                self._metrics.requests.labels(path, str(message["status"])).inc()
            await send(message)

        if refusal is None:
            await self._app(scope, receive, counted)
            return
        response = JSONResponse(
            {"error": refusal.sentence}, refusal.status, headers=dict(refusal.headers)
        )
        await response(scope, receive, counted)

    def _refusal(self, scope: Scope) -> Refusal | None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "")
        if not self._is_own(host):
            return Refusal(
                421, 1008, f"This server is not {host[:60]!r}; use the address that it printed."
            )
        if scope["type"] == "http" and scope["path"] in OPEN_PATHS:
            return None
        if not self._has_token(headers.get(b"authorization", ""), scope):
            return Refusal(
                401,
                1008,
                "The token is missing or wrong; send it as Authorization: Bearer TOKEN.",
                (("WWW-Authenticate", 'Basic realm="recurra", charset="UTF-8"'),),
            )
        origin = headers.get(b"origin")
        if scope["type"] == "websocket" and origin is not None and not self._knows(origin, host):
            return Refusal(
                403, 1008, f"Pages of {origin[:50]!r} may not use this server (--allow-origin)."
            )
        if self._is_draining():
            return Refusal(503, 1012, "The server stops; try its next.", (("Retry-After", "5"),))
        if seconds := self._pace(scope).wait():
            return Refusal(
                429,
                1013,
                f"More than {self._options.rate:g} requests a second; wait a moment.",
                (("Retry-After", str(int(seconds) + 1)),),
            )
        return None

    def _is_own(self, host: str) -> bool:
        """Whether a request means this server, and no name that was made to lead here."""
        if not self._options.is_local:
            return True
        try:
            name = urlsplit(f"//{host}").hostname
        except ValueError:
            return False
        allowed = {urlsplit(origin).hostname for origin in self._options.allow_origins}
        return name in {*_LOCAL, self._options.host, *allowed}

    def _has_token(self, authorization: str, scope: Scope) -> bool:
        token = self._options.token
        if not token:
            return True
        scheme, _, given = authorization.partition(" ")
        if scheme.lower() == "basic":
            try:
                given = base64.b64decode(given, validate=True).decode().partition(":")[2]
            except (binascii.Error, UnicodeDecodeError):
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(given.strip().encode(), token.encode())

    def _knows(self, origin: str, host: str) -> bool:
        """Whether a page of that origin is this server's own, or one that was allowed."""
        own = {f"http://{host}", f"https://{host}"}
        return origin in own or origin in self._options.allow_origins

    def _pace(self, scope: Scope) -> Pace:
        """That of the client's address; of many, those that came last are remembered."""
        address = (scope.get("client") or ("",))[0]
        pace = self._paces.pop(address, None) or Pace(self._options.rate)
        self._paces[address] = pace
        if len(self._paces) > _CLIENTS:
            self._paces.popitem(last=False)
        return pace


async def refuse_stream(refusal: Refusal, receive: Receive, send: Send) -> None:
    """Close a WebSocket with a code and a sentence, which a page sees once it was accepted."""
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.close", "code": refusal.code, "reason": refusal.sentence[:120]})
