"""Every setting of the language task, with its default and its one description; without torch."""

import dataclasses
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self, SupportsIndex

from recurra.config.options import check_seed, option
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import new_default
from recurra.decoding.sampling_options import check_sampling
from recurra.errors import ConfigError

__all__ = ["CONFIG", "LanguageConfig", "check_writing"]

_OF_TEXTS = ("text_column", "where", "encoding", "lower")

EPOCHS, LEAST_STEPS, MOST_STEPS, PATIENCE = 10, 1_000, 20_000, 5
"""The length of a training without one of its own. Of 20 kB ten epochs are 50 steps, after which a
model of 256 units is at 2.7 nats, and it is best, at 1.76, after 280 of 1,000."""

LEAST_BETWEEN, MOST_BETWEEN = 50, 2_000
"""Steps between two validations: an epoch, but of a short text several, of a long one a part."""


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
    usual: ClassVar[tuple[str, ...]] = ("valid", "level", "texts", *TaskConfig.usual)
    places: ClassVar[tuple[str, ...]] = ("valid",)
    shaping: ClassVar[tuple[str, ...]] = (
        *TaskConfig.shaping,
        *("embedding", "tie_embeddings", "level"),
    )
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Data": ("valid", "valid_fraction", "level", "min_count", "max_words"),
        "Texts of other tasks": ("texts", *_OF_TEXTS),
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
    texts: bool = option(
        False,
        "files are those of a task of texts: tables, lines, folders; each text becomes a line, "
        "without its label, and words are divided as that task does",
    )
    text_column: str | None = option(None, "a table's column of texts, if its name is unusual")
    where: str | None = option(None, "rows of a table to train on: split=train")
    encoding: str = option("utf-8", "how files of texts are written, such as latin-1")
    lower: bool = option(True, "texts in lower case")
    cell: str = new_default("cell", "lstm")
    hidden: int = new_default("hidden", 256)
    embedding: int = option(0, "size of a token's vector; 0: as hidden", minimum=0, maximum=10**8)
    dropout: float = new_default(
        "dropout", 0.0, help="share of values dropped before, between and after the layers"
    )
    tie_embeddings: bool = option(False, "one matrix for embedding and output layer")
    window: int = new_default("window", 128)
    epochs: int | None = new_default(
        "epochs",
        None,
        help="times to go through the text; without a length (this, max_steps or max_minutes) "
        f"{EPOCHS}, but {LEAST_STEPS:,} to {MOST_STEPS:,} steps, ended early after {PATIENCE} "
        "validations without improvement",
    )
    validate_every: int | None = new_default(
        "validate_every",
        None,
        help="steps between validations; left out: those of an epoch, but "
        f"{LEAST_BETWEEN:,} to {MOST_BETWEEN:,}",
    )
    schedule: Literal["constant", "cosine"] = new_default("schedule", "cosine")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bidirectional:
            raise ConfigError(
                "bidirectional = true: a language model predicts each token from those before it, "
                "which a second direction would have seen already; leave bidirectional out."
            )
        self._check_data()
        for name, value in self.initialisers:
            if value is None:
                raise ConfigError(
                    f"init = {self.init!r}: a text has no length that {name} could take; give a "
                    f"number of steps: {name}:{self.window or 100}."
                )

    def _check_data(self) -> None:
        self._check_texts()
        for name in ("min_count", "max_words"):
            if self._is_set(name) and self.level != "word":
                raise ConfigError(
                    f"{name} = {getattr(self, name)} with level = {self.level!r}; only words are "
                    f"left out of a vocabulary: leave {name} out, or choose level = 'word'."
                )
        if self.valid is not None and self._is_set("valid_fraction"):
            raise ConfigError(
                f"valid = {self.valid!r} and valid_fraction = {self.valid_fraction}: the file is "
                "validated on, and the text is trained on whole; give one of the two."
            )
        if self.valid is None and not self.valid_fraction and self.validate_every is not None:
            raise ConfigError(
                f"validate_every = {self.validate_every} with valid_fraction = 0: nothing is held "
                "out to validate on; leave validate_every out, or give valid or valid_fraction."
            )

    def _check_texts(self) -> None:
        if self.texts and self.level == "byte":
            raise ConfigError(
                "texts = true with level = 'byte': tasks of texts read characters or words; give "
                "level = 'word' or 'char', or leave texts out."
            )
        for name in _OF_TEXTS if not self.texts else ():
            if self._is_set(name):
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r} with texts = false: files are read as they "
                    f"are; leave {name} out, or give texts."
                )

    def suited(self, windows: int) -> Self:
        """These settings for a text of so many windows, with a length where none is given.

        >>> config = LanguageConfig().suited(5)
        >>> config.epochs, config.validate_every, config.patience
        (200, 50, 5)
        """
        validates = self.valid is not None or self.valid_fraction > 0
        every = min(max(windows, LEAST_BETWEEN), MOST_BETWEEN)
        config = self
        if validates and self.validate_every is None and every != windows:
            config = dataclasses.replace(self, validate_every=every)
        if (self.epochs, self.max_steps, self.max_minutes) != (None, None, None):
            return config
        return dataclasses.replace(
            config,
            epochs=max(EPOCHS, -(-LEAST_STEPS // windows)),
            max_steps=MOST_STEPS if EPOCHS * windows > MOST_STEPS else None,
            patience=self.patience or (PATIENCE if validates else None),
        )


CONFIG = LanguageConfig


def check_writing(
    prompt: object,
    *,
    length: object,
    temperature: object,
    top_k: object,
    top_p: object,
    seed: object,
) -> None:
    """Raise ConfigError for an option of new text that no model can take."""
    if not isinstance(prompt, str):
        raise ConfigError(f"prompt = {prompt!r}; give a text.")
    if not isinstance(length, SupportsIndex) or operator.index(length) < 1:
        raise ConfigError(f"length = {length!r}; give 1 token or more, a whole number.")
    check_sampling(temperature, top_k, top_p)
    if seed is not None:
        check_seed(seed)
