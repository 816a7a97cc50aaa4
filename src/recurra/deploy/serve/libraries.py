"""What a server stands on, imported in this file alone: starlette, uvicorn, prometheus-client.

Raises MissingExtra, with the remedy, where one of them is not installed.
"""

from recurra.errors import MissingExtra

try:
    import prometheus_client
    import uvicorn
    import websockets  # noqa: F401  by which uvicorn speaks WebSocket
    from starlette.applications import Starlette
    from starlette.exceptions import HTTPException
    from starlette.middleware import Middleware
    from starlette.middleware.cors import CORSMiddleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, Response, StreamingResponse
    from starlette.routing import Route, WebSocketRoute
    from starlette.types import ASGIApp, Message, Receive, Scope, Send
    from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState
except ImportError as _error:
    _package = (_error.name or "starlette").partition(".")[0]
    raise MissingExtra(_package, "serve", "recurra serve") from _error

__all__ = [
    "ASGIApp",
    "CORSMiddleware",
    "ClientDisconnect",
    "HTTPException",
    "JSONResponse",
    "Message",
    "Middleware",
    "Receive",
    "Request",
    "Response",
    "Route",
    "Scope",
    "Send",
    "Starlette",
    "StreamingResponse",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketRoute",
    "WebSocketState",
    "prometheus_client",
    "uvicorn",
]
