"""The language task: text in, a model of what comes next, and new text out.

`weft.tasks.language.config` is importable without loading torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weft.tasks.language.config import LanguageConfig
    from weft.tasks.language.evaluate import Evaluation
    from weft.tasks.language.task import LanguageModel

_LAZY = {"Evaluation": "evaluate", "LanguageConfig": "config", "LanguageModel": "task"}

__all__ = ["Evaluation", "LanguageConfig", "LanguageModel"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(
            f"module 'weft.tasks.language' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    value: object = getattr(importlib.import_module(f"weft.tasks.language.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
