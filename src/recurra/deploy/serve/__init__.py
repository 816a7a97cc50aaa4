"""A server of runs over HTTP and WebSocket; `serve_options` is importable without its libraries."""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.deploy.serve.serve_app import ServeApp
    from recurra.deploy.serve.serve_options import ServeOptions

__all__ = ["ServeApp", "ServeOptions"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "ServeApp": "recurra.deploy.serve.serve_app",
        "ServeOptions": "recurra.deploy.serve.serve_options",
    },
)
