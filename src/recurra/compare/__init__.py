"""Several cells on one task under equal budgets, each training in a process of its own.

`recurra.compare.config` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import attach

if TYPE_CHECKING:
    from recurra.compare.config import Comparison, comparison_from
    from recurra.compare.results import Outcome, Row
    from recurra.compare.run import Told, compare

__all__ = ["Comparison", "Outcome", "Row", "Told", "compare", "comparison_from"]

__getattr__, __dir__ = attach(
    __name__,
    {
        "Comparison": "recurra.compare.config",
        "Outcome": "recurra.compare.results",
        "Row": "recurra.compare.results",
        "Told": "recurra.compare.run",
        "compare": "recurra.compare.run",
        "comparison_from": "recurra.compare.config",
    },
)
