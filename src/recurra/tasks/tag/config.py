"""Every setting of the tagging task, with its default and its one description; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.options import option
from recurra.config.sequence_config import SequenceConfig
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["CONFIG", "TagConfig"]

_WHOLE, _WINDOW = 1000, 512
"""Steps of series that are trained on whole, and of windows of longer ones."""

_OF_OTHERS = (
    *("rate", "bands", "pitch", "room", "microphone", "spacing", "curves", "height"),
    *("slant", "elastic"),
)
"""Settings of sound, writing and images."""

_REFUSED = {
    "tokens": "a tagger answers for each word or step that the data have",
    "pooling": "a tagger answers for each word or step that the data have",
    "weight_column": "a tagger weighs all steps alike",
}


@dataclass(frozen=True, kw_only=True)
class TagConfig(SequenceConfig):
    """Data, model and training of a tagger: each field is an option and a key.

    Raises ConfigError for a value that is not allowed.

    >>> TagConfig(crf=True).hidden
    128
    """

    task: ClassVar[str] = "tag"
    summary: ClassVar[str] = "Words of texts, or steps of series, to their tags."
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"tag": {}}
    usual: ClassVar[tuple[str, ...]] = (
        *("input", "label_column", "where", "valid", "valid_where", "crf", "window"),
        *TaskConfig.usual,
        "bidirectional",
    )
    inapplicable: ClassVar[tuple[str, ...]] = (*_REFUSED, *_OF_OTHERS)

    label_column: str | None = option(
        None,
        "the column of the tags, where its name is unusual; several, with commas, are layers that "
        "are trained together",
    )
    text_column: str | None = new_default(
        "text_column", None, help="the column of the tokens, where its name is unusual"
    )
    id_column: str | None = new_default(
        "id_column",
        None,
        help="the column that names the sentence of a token, or the sequence of a step, likewise",
    )
    cell: str = new_default("cell", "lstm")
    crf: bool | None = option(
        None,
        "a conditional random field, which knows what tag follows what; not given: where tags "
        "have a scheme (BIO, BIOES)",
    )
    label_smoothing: float = option(
        0.05,
        "share of each target that is spread over all tags, where there is no crf",
        minimum=0,
        maximum=0.9,
    )
    window: int = new_default(
        "window",
        0,
        help=f"steps of the windows that longer series are trained on; 0: {_WINDOW} where one has "
        f"more than {_WHOLE:,} steps",
    )
    tokens: Literal["words", "subwords", "characters"] = new_default("tokens", "words")
    pooling: Literal["last", "mean", "max", "attention"] = new_default("pooling", "attention")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, why in _REFUSED.items():
            if self._is_set(name):
                raise ConfigError(f"{name} = {getattr(self, name)!r}; {why}: leave it out.")
        if self.input not in ("auto", "series", "text"):
            raise ConfigError(
                f"input = {self.input!r}; a tagger reads series or text: give data with a tag for "
                "each step or token."
            )
        if self.window and self.input == "text":
            raise ConfigError(
                f"window = {self.window} with input = 'text'; texts are trained on whole: leave it "
                "out."
            )
        if len(set(self.layer_names)) != len(self.layer_names) or "" in self.layer_names:
            raise ConfigError(
                f"label_column = {self.label_column!r}; give the name of a column, or several "
                "different ones with commas between them."
            )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The columns of `label_column`, none where it is left out.

        >>> TagConfig(label_column="upos, xpos").layer_names
        ('upos', 'xpos')
        """
        if self.label_column is None:
            return ()
        return tuple(name.strip() for name in self.label_column.split(","))

    def window_of(self, longest: int) -> int:
        """The steps of windows where the longest series has so many; 0: series stay whole.

        >>> TagConfig().window_of(500), TagConfig().window_of(5_000)
        (0, 512)
        """
        window = self.window or (_WINDOW if longest > _WHOLE else 0)
        return window if window < longest else 0


CONFIG = TagConfig
