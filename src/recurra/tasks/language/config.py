"""Every setting of the language task, with its default and its one description; without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.options import option
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["CONFIG", "LanguageConfig"]


@dataclass(frozen=True, kw_only=True)
class LanguageConfig(TaskConfig):
    """A language model and its training, in one flat table: each field is an option and a key.

    Raises ConfigError for a value that is not allowed.

    >>> LanguageConfig(hidden=64, level="byte").learning_rate
    0.002
    """

    task: ClassVar[str] = "language"
    summary: ClassVar[str] = "A model of text by character, byte or word: what comes next."
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"language": {}}
    inapplicable: ClassVar[tuple[str, ...]] = ("bidirectional",)
    usual: ClassVar[tuple[str, ...]] = ("valid", "level", *TaskConfig.usual)
    places: ClassVar[tuple[str, ...]] = ("valid",)
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Data": ("valid", "valid_fraction", "level", "min_count", "max_words"),
    }

    valid: str | None = option(None, "text file to validate on; none: the end of the training text")
    valid_fraction: float = option(
        0.1, "share of the text held out where `valid` is missing; 0: none", minimum=0, maximum=0.9
    )
    level: Literal["char", "byte", "word"] = option("char", "what a token is")
    min_count: int = option(
        1, "words seen less often become <unk>: 2 for text without <unk> of its own", minimum=1
    )
    max_words: int = option(0, "keep so many words, the most frequent; 0: all", minimum=0)
    cell: str = new_default("cell", "lstm")
    hidden: int = new_default("hidden", 256)
    embedding: int = option(0, "size of a token's vector; 0: as hidden", minimum=0, maximum=10**8)
    dropout: float = new_default(
        "dropout", 0.0, help="share of values dropped before, between and after the layers"
    )
    tie_embeddings: bool = option(False, "one matrix for embedding and output layer")
    window: int = new_default("window", 128)
    schedule: Literal["constant", "cosine"] = new_default("schedule", "cosine")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional:
            raise ConfigError(
                "bidirectional = true: a language model predicts each token from those before it, "
                "which a second direction would have seen already; leave bidirectional out."
            )
        for name, value in self.initialisers:
            if value is None:
                raise ConfigError(
                    f"init = {self.init!r}: a text has no length that {name} could take; give a "
                    f"number of steps: {name}:{self.window or 100}."
                )


CONFIG = LanguageConfig
