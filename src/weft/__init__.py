"""Weft: recurrent neural networks on PyTorch. A cell is written once, as its equations.

`import weft` is cheap: torch is loaded when a name that needs it is first used.
"""

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from weft import cells, errors, nn, training
    from weft.nn import accelerate
    from weft.tasks.forecast import Forecaster
    from weft.tasks.language import LanguageModel

_LAZY = {
    "Forecaster": ("weft.tasks.forecast", "Forecaster"),
    "LanguageModel": ("weft.tasks.language", "LanguageModel"),
    "accelerate": ("weft.nn", "accelerate"),
    "cells": ("weft.cells", None),
    "errors": ("weft.errors", None),
    "nn": ("weft.nn", None),
    "training": ("weft.training", None),
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
            f"module 'weft' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    module, attribute = _LAZY[name]
    value: object = importlib.import_module(module)
    if attribute is not None:
        value = getattr(value, attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
