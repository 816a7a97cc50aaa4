"""Settings of tasks that give one answer for a whole sequence; without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.input_config import DATA, DISTORTIONS, FEATURES, InputConfig
from recurra.config.options import option
from recurra.config.task_config import TaskConfig
from recurra.errors import ConfigError

__all__ = ["SequenceConfig"]

_TEXT = (
    *("encoding", "tokens", "min_count", "vocabulary", "lower", "embedding"),
    *("vectors", "freeze_vectors"),
)


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
    places: ClassVar[tuple[str, ...]] = ("valid", "vectors")
    space: ClassVar[Mapping[str, Any]] = {"pooling": ["attention", "mean", "max", "last"]}
    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        "Data": (*DATA, "label_column", "id_column", "weight_column", "layout"),
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
    weight_column: str | None = option(
        None, "a column of numbers from 0 on: how much an item counts, in training and figures"
    )
    layout: Literal["auto", "steps,channels", "channels,steps"] = option(
        "auto", "the order of the axes of arrays; auto: as they show"
    )
    encoding: str = option("utf-8", "how files of texts are written, such as latin-1")
    tokens: Literal["auto", "words", "spaced", "subwords", "characters"] = option(
        "auto",
        "what a text is divided into; spaced: what stands between white space; auto: words, but "
        "characters of texts that are a word or two each, such as names",
    )
    min_count: int = option(1, "least times that a token of texts occurs in training", minimum=1)
    vocabulary: int = option(30_000, "most different tokens of texts", minimum=2)
    lower: bool = option(True, "texts in lower case")
    embedding: int = option(128, "size of the vector of a token", minimum=1)
    vectors: str | None = option(
        None, "a file of word vectors (word2vec, GloVe, fastText as text) that words start with"
    )
    freeze_vectors: bool = option(False, "keep these vectors as they are")
    pooling: Literal["last", "mean", "max", "attention"] = option(
        "attention", "how the outputs of all steps become one"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_vectors()
        for name in _TEXT if self.input not in ("auto", "text") else ():
            if self._is_set(name):
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r} with input = {self.input!r}; it is for "
                    "text: leave it out."
                )

    def _check_vectors(self) -> None:
        if self.freeze_vectors and self.vectors is None:
            raise ConfigError(
                "freeze_vectors = true without vectors; give a file of them, or leave it out."
            )
        given = f"vectors = {self.vectors!r} with"
        if self.vectors is not None and self.tokens not in ("auto", "words", "spaced"):
            raise ConfigError(
                f"{given} tokens = {self.tokens!r}: they are vectors of words; leave one of the "
                "two out."
            )
        if self.vectors is not None and self.start is not None:
            raise ConfigError(
                f"{given} start = {self.start!r}: each says what words start with; leave one of "
                "the two out."
            )
