"""The translation task: one sequence into another of a different length.

`recurra.tasks.translate.config` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.translate.config import Generation, TranslateConfig
    from recurra.tasks.translate.converter import Translation
    from recurra.tasks.translate.translator import Translator

__all__ = ["Generation", "TranslateConfig", "Translation", "Translator"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {
        "Generation": "recurra.tasks.translate.config",
        "TranslateConfig": "recurra.tasks.translate.config",
        "Translation": "recurra.tasks.translate.converter",
        "Translator": "recurra.tasks.translate.translator",
    },
)
