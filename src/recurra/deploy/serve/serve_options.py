"""The options of a server, checked without torch and without a web framework."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from pathlib import Path

from recurra.errors import ConfigError

__all__ = ["ServeOptions"]

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-\[\]:]+")


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """Where a server listens, who may talk to it, and how much it takes on.

    host, port: where it listens; port 0 takes a free one.
    token: what a client must have, as a bearer token or as a password; "" for none.
    allow_origins: the origins of pages elsewhere that may use it, https://example.org say.
    max_sessions: streams and requests at a time, and states that are kept of ended streams.
    idle_seconds: after which a silent stream is closed, and a kept state forgotten.
    queue: messages at a time that wait for a run or are worked on.
    max_body: bytes of a request or a message.
    rate: requests, or messages of a stream, a second of one client; 0 for any number.
    stall_seconds: that a client may take to read an answer, or to send a request's body.
    drain_seconds: that work under way has once the server is to stop.
    save_dir: the folder of states that outlive the server; None keeps them in memory.
    threads: of the processor, for the products of each run.

    Raises ConfigError for a value that is not allowed.

    >>> ServeOptions(host="localhost").is_local
    True
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str = ""
    allow_origins: tuple[str, ...] = ()
    max_sessions: int = 100
    idle_seconds: float = 300.0
    queue: int = 200
    max_body: int = 4_000_000
    rate: float = 200.0
    stall_seconds: float = 30.0
    drain_seconds: float = 30.0
    save_dir: Path | None = None
    threads: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ConfigError(f"port = {self.port}; give 0, for a free one, to 65535.")
        for name in ("max_sessions", "queue", "max_body", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)}; it must be at least 1.")
        for name in ("idle_seconds", "stall_seconds", "drain_seconds"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(
                    f"{name} = {getattr(self, name)}; give a number of seconds above 0."
                )
        if not 0 <= self.rate < float("inf"):
            raise ConfigError(f"rate = {self.rate}; give messages a second, or 0 for any number.")
        for origin in self.allow_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"allow_origins has {origin!r}; give a scheme and a host, such as "
                    "https://example.org, without a path."
                )
        if any(not 32 < ord(c) < 127 for c in self.token):
            raise ConfigError("token has white space or characters beyond ASCII; give another.")

    @property
    def is_local(self) -> bool:
        """Whether this machine alone reaches it."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False
