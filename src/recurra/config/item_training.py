"""Settings of trainings on whole items, whose length suits how many there are; without torch."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from recurra.config.task_config import TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["ItemTraining"]

_LEAST_BATCH = 4
"""Items of a batch, however few there are."""

_OFTEN = 25
"""Steps between validations at least, where an epoch has fewer."""


@dataclass(frozen=True, kw_only=True)
class ItemTraining(TaskConfig):
    """A task that is trained on whole items: recordings, texts, pairs of texts.

    `steps_wanted` are those of a training without a length, `most_steps` and `most_epochs` its
    limits; `usual_batch` are the items of a batch where there are enough.

    Raises ConfigError for a value that is not allowed.
    """

    inapplicable: ClassVar[tuple[str, ...]] = ("window",)
    steps_wanted: ClassVar[int] = 1_500
    most_steps: ClassVar[int] = 40_000
    most_epochs: ClassVar[int] = 300
    usual_batch: ClassVar[int] = 32

    cell: str = new_default("cell", "gru")
    bidirectional: bool = new_default(
        "bidirectional",
        True,
        help="a second direction reads each sequence from its end; streams need one direction",
    )
    dropout: float = new_default(
        "dropout", 0.3, help="share of values dropped in, between and after the layers"
    )
    window: int = new_default("window", 0)
    batch_size: int = new_default(
        "batch_size",
        0,
        minimum=0,
        help="items trained on side by side; 0: an eighth of those there are, but 4 to 32 (of "
        "transcripts 16, of translations 64)",
    )
    learning_rate: float = new_default("learning_rate", 2e-3)
    weight_decay: float = new_default("weight_decay", 1e-4)
    schedule: Literal["constant", "cosine"] = new_default("schedule", "cosine")
    final_learning_rate: float = new_default("final_learning_rate", 0.01)
    clip_norm: float | None = new_default("clip_norm", 5.0)
    epochs: int | None = new_default(
        "epochs",
        None,
        help="times to go through the data; without a length (this, max_steps or max_minutes) as "
        "many as make 1,500 steps (of transcripts 3,000, of translations 4,000), at least 10 and "
        "at most 300",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window and "window" in self.inapplicable:
            raise ConfigError(f"window = {self.window}; whole items are trained on: leave it out.")

    def batch_of(self, count: int) -> int:
        """The items of a batch where there are so many in all.

        >>> ItemTraining().batch_of(60), ItemTraining(batch_size=32).batch_of(60)
        (7, 32)
        """
        usual = min(self.usual_batch, max(_LEAST_BATCH, count // 8))
        return min(self.batch_size or usual, count)

    @property
    def reading_batch(self) -> int:
        """The items that are read side by side where nothing is trained."""
        return 2 * (self.batch_size or self.usual_batch)

    def suited(self, windows: int) -> Self:
        """These settings for data of so many batches, with a length where none is given.

        >>> ItemTraining().suited(30).epochs
        50
        """
        return dataclasses.replace(self, **self.length(windows))

    def length(self, windows: int) -> dict[str, Any]:
        """Settings for so many batches an epoch, where they aren't given: the length, at least 10
        epochs; and validations that are not too frequent.
        """
        found: dict[str, Any] = {}
        if self.validate_every is None and windows < _OFTEN:
            found["validate_every"] = _OFTEN
        if (self.epochs, self.max_steps, self.max_minutes) == (None, None, None):
            found["epochs"] = min(self.most_epochs, max(10, -(-self.steps_wanted // windows)))
            long = found["epochs"] * windows > self.most_steps
            found["max_steps"] = self.most_steps if long else None
        return found
