"""The long-range problems: what a recurrent network must remember, and for how many steps.

`recurra.tasks.long_range.config` and `.problems` are importable without loading torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from recurra.tasks.long_range.config import LongRangeConfig
    from recurra.tasks.long_range.problems import PROBLEMS
    from recurra.tasks.long_range.task import LongRange

_LAZY = {"LongRange": "task", "LongRangeConfig": "config", "PROBLEMS": "problems"}

__all__ = ["PROBLEMS", "LongRange", "LongRangeConfig"]


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}"
        )
    value: object = getattr(
        importlib.import_module(f"recurra.tasks.long_range.{_LAZY[name]}"), name
    )
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
