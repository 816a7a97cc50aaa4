"""Several cells on one task under equal budgets, each training in a process of its own.

`recurra.compare.config` is importable without loading torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.compare.config import Comparison, comparison_from
    from recurra.compare.results import Outcome, Row
    from recurra.compare.run import Told, compare

_LAZY = {
    "Comparison": "config",
    "Outcome": "results",
    "Row": "results",
    "Told": "run",
    "compare": "run",
    "comparison_from": "config",
}

__all__ = ["Comparison", "Outcome", "Row", "Told", "compare", "comparison_from"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(
            f"module 'recurra.compare' has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    value: object = getattr(importlib.import_module(f"recurra.compare.{_LAZY[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
