"""Several cells on one task under equal budgets, each training in a process of its own; remedies of
a run's verdicts beside the run's own settings.

`recurra.compare.comparison` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.compare.comparison import Comparison, comparison_from
    from recurra.compare.comparison_run import ComparisonProgress, compare
    from recurra.compare.findings import Findings
    from recurra.compare.outcomes import CellResult, Outcome
    from recurra.compare.remedy_settings import Remedy, remedies_of
    from recurra.compare.remedy_trials import RemedyTrials, trials_table, try_remedies

__all__ = [
    "CellResult",
    "Comparison",
    "ComparisonProgress",
    "Findings",
    "Outcome",
    "Remedy",
    "RemedyTrials",
    "compare",
    "comparison_from",
    "remedies_of",
    "trials_table",
    "try_remedies",
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
        "Remedy": "recurra.compare.remedy_settings",
        "RemedyTrials": "recurra.compare.remedy_trials",
        "compare": "recurra.compare.comparison_run",
        "comparison_from": "recurra.compare.comparison",
        "remedies_of": "recurra.compare.remedy_settings",
        "trials_table": "recurra.compare.remedy_trials",
        "try_remedies": "recurra.compare.remedy_trials",
    },
)
