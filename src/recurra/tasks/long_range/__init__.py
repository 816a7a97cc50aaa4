"""The long-range problems: what a recurrent network must remember, and for how many steps.

`recurra.tasks.long_range.config` and `.problems` are importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.long_range.config import PROBLEMS, LongRangeConfig
    from recurra.tasks.long_range.task import LongRange

__all__ = ["PROBLEMS", "LongRange", "LongRangeConfig"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "PROBLEMS": "recurra.tasks.long_range.config",
        "LongRange": "recurra.tasks.long_range.task",
        "LongRangeConfig": "recurra.tasks.long_range.config",
    },
)
