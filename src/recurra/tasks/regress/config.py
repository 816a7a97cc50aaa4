"""Every setting of the regression task, with its default and its one description; no torch."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from recurra.config.options import option
from recurra.config.sequence_config import SequenceConfig
from recurra.config.task_config import EvaluateOptions
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

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
    usual: ClassVar[tuple[str, ...]] = (*SequenceConfig.usual, "answers", "window", "washout")
    inapplicable: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        **SequenceConfig.groups,
        "Answers to every step": ("answers", "window", "washout"),
    }
    evaluation: ClassVar[type[EvaluateOptions]] = RegressEvaluation
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"regress": {}}

    answers: Literal["auto", "sequence", "step"] = option(
        "auto", "numbers for a whole sequence, or for every step of it; auto: as the labels are"
    )
    window: int = new_default(
        "window",
        0,
        help="steps of the windows that answers to every step are trained on; 0: by the length",
    )
    washout: int | None = option(
        None,
        "first steps of a window that don't count, while states come near those of the whole; "
        "none: half of the window",
        minimum=0,
    )
    bidirectional: bool | None = option(  # type: ignore[assignment]
        None,
        "a second direction reads each sequence from its end; not given: for whole sequences, "
        "while answers to every step are of what came until then, as a simulation's are",
    )
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.answers == "sequence":
            self._refuse(("window", "washout"), "a whole sequence has an answer")
        if self.answers == "step":
            self._refuse(("pooling",), "every step has an answer of its own")
        if self.window and self.washout is not None and self.washout >= self.window:
            raise ConfigError(
                f"washout = {self.washout} with window = {self.window}: no step of a window would "
                "count; lower washout."
            )

    def suited(self, windows: int) -> Self:
        """These settings for data of so many batches, with a length where none is given.

        >>> RegressConfig().suited(30).epochs
        50
        """
        length = self.length(windows)
        if self.answers == "step":
            length = self.paced(windows, steps=STEPWISE_STEPS, epochs=1000, most=40_000)
        return dataclasses.replace(self, **length)

    def decided(self, lengths: Sequence[int] | None) -> Self:
        """These settings with what the data decide: `lengths` are the steps of the series that
        have labels of steps, None where whole sequences have them.

        ConfigError for settings of the other kind.

        >>> decided = RegressConfig().decided([50_000])
        >>> decided.answers, decided.window, decided.washout, decided.bidirectional
        ('step', 512, 256, False)
        """
        both = self.bidirectional
        if lengths is None:
            return dataclasses.replace(
                self, answers="sequence", bidirectional=True if both is None else both
            )
        window = self.window or _window(lengths)
        washout = window // 2 if self.washout is None else self.washout
        found: dict[str, Any] = {"window": window, "washout": washout, "bidirectional": bool(both)}
        found |= {name: value for name, value in _STEPWISE.items() if not self._is_set(name)}
        return dataclasses.replace(self, answers="step", **found)

    def _refuse(self, names: Sequence[str], why: str) -> None:
        for name in names:
            if self._is_set(name):
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r} where {why}: leave {name} out."
                )


STEPWISE_STEPS = 3_000
"""Steps of a training on windows, without a length of its own."""

_STEPWISE: Mapping[str, Any] = {
    "noise": 0.0,
    "masks": 0.0,
    "dropout": 0.0,
    "hidden": 64,
    "batch_size": 16,
    "learning_rate": 5e-3,
}
"""Defaults of answers to every step: what is distorted has another answer."""

_WHOLE, _WINDOW, _LEAST_WINDOW = 1000, 512, 64
"""Series of so many steps are trained on whole; windows of longer ones."""


def _window(lengths: Sequence[int]) -> int:
    """The steps of a window: all of short series, fewer where a long one makes few windows.

    >>> _window([300] * 5), _window([100_000]), _window([3_000])
    (300, 512, 300)
    """
    longest = max(lengths)
    if longest <= _WHOLE and len(lengths) > 4:
        return longest
    return min(longest, max(_LEAST_WINDOW, min(_WINDOW, sum(lengths) // 10)))


CONFIG = RegressConfig
