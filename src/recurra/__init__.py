"""Recurra: recurrent neural networks on PyTorch. A cell is written once, as its equations.

`import recurra` is cheap: torch is loaded when a name that needs it is first used.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from recurra import cells, errors, nn, training
    from recurra.nn import accelerate
    from recurra.tasks.forecast import Forecaster
    from recurra.tasks.language import LanguageModel

_LAZY = {
    "Forecaster": ("recurra.tasks.forecast", "Forecaster"),
    "LanguageModel": ("recurra.tasks.language", "LanguageModel"),
    "accelerate": ("recurra.nn", "accelerate"),
    "cells": ("recurra.cells", None),
    "errors": ("recurra.errors", None),
    "nn": ("recurra.nn", None),
    "training": ("recurra.training", None),
}

__all__ = [
    "Forecaster",
    "LanguageModel",
    "__version__",
    "accelerate",
    "cells",
    "errors",
    "nn",
    "training",
]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(
            f"module 'recurra' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    module, attribute = _LAZY[name]
    value: object = importlib.import_module(module)
    if attribute is not None:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
