"""The language task: text in, a model of what comes next, and new text out.

`recurra.tasks.language.config` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.language.config import LanguageConfig
    from recurra.tasks.language.task import LanguageModel
    from recurra.tasks.language.text_session import TextSession

__all__ = ["LanguageConfig", "LanguageModel", "TextSession"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "LanguageConfig": "recurra.tasks.language.config",
        "LanguageModel": "recurra.tasks.language.task",
        "TextSession": "recurra.tasks.language.text_session",
    },
)
