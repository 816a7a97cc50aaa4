"""Several cells on one task under equal budgets, each training in a process of its own.

`recurra.compare.comparison` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.compare.comparison import Comparison, comparison_from
    from recurra.compare.comparison_run import ComparisonProgress, compare
    from recurra.compare.findings import Findings
    from recurra.compare.outcomes import CellResult, Outcome

__all__ = [
    "CellResult",
    "Comparison",
    "ComparisonProgress",
    "Findings",
    "Outcome",
    "compare",
    "comparison_from",
]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "CellResult": "recurra.compare.outcomes",
        "Comparison": "recurra.compare.comparison",
        "ComparisonProgress": "recurra.compare.comparison_run",
        "Findings": "recurra.compare.findings",
        "Outcome": "recurra.compare.outcomes",
        "compare": "recurra.compare.comparison_run",
        "comparison_from": "recurra.compare.comparison",
    },
)
