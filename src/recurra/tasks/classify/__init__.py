"""The classification task: whole sequences of any kind in, their classes out.

`recurra.tasks.classify.config` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.classify.classifier import Classifier
    from recurra.tasks.classify.config import ClassifyConfig

__all__ = ["Classifier", "ClassifyConfig"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "Classifier": "recurra.tasks.classify.classifier",
        "ClassifyConfig": "recurra.tasks.classify.config",
    },
)
