"""Every setting of the regression task, with its default and its one description; no torch."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from recurra.config.options import option
from recurra.config.sequence_config import SequenceConfig
from recurra.config.task_config import EvaluateOptions
from recurra.config.training_config import new_default

__all__ = ["CONFIG", "RegressConfig", "RegressEvaluation"]


@dataclass(frozen=True, kw_only=True)
class RegressEvaluation(EvaluateOptions):
    """Options of the evaluation of a regressor."""

    where: str | None = option(None, "rows of the data to measure on: split=test")
    groups: str | None = option(
        None, "the column (subject, machine) whose groups the intervals draw whole"
    )


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
    evaluation: ClassVar[type[EvaluateOptions]] = RegressEvaluation
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

    def suited(self, windows: int) -> Self:
        """These settings for data of so many batches, with a length where none is given.

        >>> RegressConfig().suited(30).epochs
        50
        """
        return dataclasses.replace(self, **self.length(windows))


CONFIG = RegressConfig
