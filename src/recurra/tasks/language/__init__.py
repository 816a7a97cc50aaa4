"""The language task: text in, a model of what comes next, and new text out.

`recurra.tasks.language.config` is importable without loading torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.tasks.language.config import LanguageConfig
    from recurra.tasks.language.evaluate import Evaluation
    from recurra.tasks.language.task import LanguageModel

_LAZY = {"Evaluation": "evaluate", "LanguageConfig": "config", "LanguageModel": "task"}

__all__ = ["Evaluation", "LanguageConfig", "LanguageModel"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    value: object = getattr(importlib.import_module(f"recurra.tasks.language.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
