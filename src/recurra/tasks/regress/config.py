"""Every setting of the regression task, with its default and its one description; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.options import option
from recurra.config.sequence_config import SequenceConfig
from recurra.config.training_config import new_default

__all__ = ["CONFIG", "RegressConfig"]


@dataclass(frozen=True, kw_only=True)
class RegressConfig(SequenceConfig):
    """Data, model and training of a regressor: each field is an option and a key.

    Pace, pitch, size and slant are not distorted: they may be what is to be predicted.

    Raises ConfigError for a value that is not allowed.

    >>> RegressConfig(input="series", level=0.8).error
    'squared'
    """

    task: ClassVar[str] = "regress"
    summary: ClassVar[str] = "Texts, series, sound, pen strokes or images to numbers."
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"regress": {}}
    judging: ClassVar[tuple[str, ...]] = ("error",)

    error: Literal["squared", "absolute"] = option(
        "squared", "what is made small: squared errors (the mean), absolute ones (the median)"
    )
    speed: float = new_default("speed", 0.0)
    pitch: float = new_default("pitch", 0.0)
    scale: float = new_default("scale", 0.0)
    slant: float = new_default("slant", 0.0)
    level: float = option(
        0.9, "share of the actual values that intervals are to hold", above=0, maximum=0.999
    )


CONFIG = RegressConfig
