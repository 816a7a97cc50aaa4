"""The regression task: whole sequences of any kind in, numbers out.

`recurra.tasks.regress.config` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.regress.config import RegressConfig
    from recurra.tasks.regress.regressor import Regressor

__all__ = ["RegressConfig", "Regressor"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "RegressConfig": "recurra.tasks.regress.config",
        "Regressor": "recurra.tasks.regress.regressor",
    },
)
