"""Settings of tasks that give one answer for a whole sequence; without torch."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.input_config import DATA, DISTORTIONS, FEATURES, InputConfig
from recurra.config.options import option
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["LEAST_STEPS", "SequenceConfig"]

LEAST_STEPS, MOST_STEPS, MOST_EPOCHS = 1_500, 40_000, 300
"""The length of a training without one of its own."""

_TEXT = ("encoding", "tokens", "min_count", "vocabulary", "lower", "embedding")


@dataclass(frozen=True, kw_only=True)
class SequenceConfig(InputConfig):
    """A task whose items are sequences of any kind, each with an answer of its own.

    Raises ConfigError for a value that is not allowed, and for settings of another kind of input.
    """

    usual: ClassVar[tuple[str, ...]] = (
        *("input", "label_column", "where", "valid", "valid_where", "pooling", "tokens"),
        *TaskConfig.usual,
        "bidirectional",
    )
    inapplicable: ClassVar[tuple[str, ...]] = ("window",)
    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "Data": (*DATA, "label_column", "id_column", "layout"),
        "Texts": _TEXT,
        "Features": FEATURES,
        "Distortions in training": DISTORTIONS,
    }

    label_column: str | None = option(
        None, "the column of the answers, where its name is unusual (not label, class, target ...)"
    )
    id_column: str | None = option(
        None, "the column that names the sequence of a row, likewise (not id, series, case ...)"
    )
    layout: Literal["auto", "steps,channels", "channels,steps"] = option(
        "auto", "the order of the axes of arrays; auto: as they show"
    )
    encoding: str = option("utf-8", "how files of texts are written, such as latin-1")
    tokens: Literal["words", "subwords", "characters"] = option(
        "words", "what a text is divided into"
    )
    min_count: int = option(1, "least times that a token of texts occurs in training", minimum=1)
    vocabulary: int = option(30_000, "most different tokens of texts", minimum=2)
    lower: bool = option(True, "texts in lower case")
    embedding: int = option(128, "size of the vector of a token", minimum=1)
    pooling: Literal["last", "mean", "max", "attention"] = option(
        "attention", "how the outputs of all steps become one"
    )
    cell: str = new_default("cell", "gru")
    hidden: int = new_default("hidden", 128)
    bidirectional: bool = option(
        True, "a second direction reads each sequence from its end; streams need one direction"
    )
    dropout: float = new_default(
        "dropout", 0.3, help="share of values dropped in, between and after the layers"
    )
    window: int = new_default("window", 0)
    batch_size: int = new_default(
        "batch_size",
        32,
        help="sequences trained on side by side; not given, at most an eighth of those there are",
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
        f"many as make {LEAST_STEPS:,} steps, at least 10 and at most {MOST_EPOCHS}",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window and "window" in self.inapplicable:
            raise ConfigError(
                f"window = {self.window}; whole sequences are trained on: leave it out."
            )
        for name in _TEXT if self.input not in ("auto", "text") else ():
            if self._is_set(name):
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r} with input = {self.input!r}; it is for "
                    "text: leave it out."
                )

    def length(self, windows: int) -> dict[str, Any]:
        """Settings of the length of a training on so many batches, where none is given."""
        return self.paced(windows, steps=LEAST_STEPS, epochs=MOST_EPOCHS, most=MOST_STEPS)
