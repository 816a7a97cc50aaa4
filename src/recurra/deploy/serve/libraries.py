"""What a server stands on, imported in this file alone: starlette, uvicorn, prometheus-client.

Raises MissingExtra, with the remedy, where one of them is not installed.
"""

from recurra.errors import MissingExtra

try:
    import prometheus_client as prometheus_client
    import uvicorn as uvicorn
    import websockets as websockets  # by which uvicorn speaks WebSocket
    from starlette.applications import Starlette as Starlette
    from starlette.exceptions import HTTPException as HTTPException
    from starlette.middleware.cors import CORSMiddleware as CORSMiddleware
    from starlette.requests import ClientDisconnect as ClientDisconnect
    from starlette.requests import Request as Request
    from starlette.responses import JSONResponse as JSONResponse
    from starlette.responses import Response as Response
    from starlette.responses import StreamingResponse as StreamingResponse
    from starlette.routing import Route as Route
    from starlette.routing import WebSocketRoute as WebSocketRoute
    from starlette.types import ASGIApp as ASGIApp
    from starlette.types import Message as Message
    from starlette.types import Receive as Receive
    from starlette.types import Scope as Scope
    from starlette.types import Send as Send
    from starlette.websockets import WebSocket as WebSocket
    from starlette.websockets import WebSocketDisconnect as WebSocketDisconnect
    from starlette.websockets import WebSocketState as WebSocketState
except ImportError as _error:
    _package = (_error.name or "starlette").partition(".")[0]
    raise MissingExtra(_package, "serve", "recurra serve") from _error
