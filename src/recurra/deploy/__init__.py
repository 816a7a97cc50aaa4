"""Trained models where they are needed: sessions on streams that never end."""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.deploy.module_session import ModuleSession, stream
    from recurra.deploy.session_pool import SessionPool

__all__ = ["ModuleSession", "SessionPool", "stream"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "ModuleSession": "recurra.deploy.module_session",
        "SessionPool": "recurra.deploy.session_pool",
        "stream": "recurra.deploy.module_session",
    },
)
