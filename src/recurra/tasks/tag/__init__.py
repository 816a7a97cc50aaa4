"""The tagging task: a tag for every word of a text, or for every step of a series.

`recurra.tasks.tag.config` is importable without loading torch.
"""

from typing import TYPE_CHECKING

from recurra.lazy import Getter, Lister, attach

if TYPE_CHECKING:
    from recurra.tasks.tag.config import TagConfig
    from recurra.tasks.tag.tagger import Tagger

__all__ = ["TagConfig", "Tagger"]

__getattr__: Getter
__dir__: Lister
__getattr__, __dir__ = attach(
    __name__,
    {"TagConfig": "recurra.tasks.tag.config", "Tagger": "recurra.tasks.tag.tagger"},
)
