"""Several cells on one task under equal budgets, each training in a process of its own.

`recurra.compare.comparison` is importable without loading torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.compare.comparison import Comparison, comparison_from
    from recurra.compare.comparison_run import ComparisonProgress, compare
    from recurra.compare.findings import Findings
    from recurra.compare.outcomes import CellResult, Outcome

_LAZY = {
    "CellResult": "outcomes",
    "Comparison": "comparison",
    "ComparisonProgress": "comparison_run",
    "Findings": "findings",
    "Outcome": "outcomes",
    "compare": "comparison_run",
    "comparison_from": "comparison",
}

__all__ = [
    "CellResult",
    "Comparison",
    "ComparisonProgress",
    "Findings",
    "Outcome",
    "compare",
    "comparison_from",
]


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
