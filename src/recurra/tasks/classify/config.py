"""Every setting of the classification task, with its default and its one description; no torch."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from recurra.config.options import option
from recurra.config.sequence_config import SequenceConfig
from recurra.errors import ConfigError

__all__ = ["CONFIG", "ClassifyConfig"]


@dataclass(frozen=True, kw_only=True)
class ClassifyConfig(SequenceConfig):
    """Data, model and training of a classifier: each field is an option and a key.

    Raises ConfigError for a value that is not allowed.

    >>> ClassifyConfig(input="series", pooling="mean").cell
    'gru'
    """

    task: ClassVar[str] = "classify"
    summary: ClassVar[str] = "Texts, series, sound, pen strokes or images to classes."
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"classify": {}}
    judging: ClassVar[tuple[str, ...]] = ("several", "separator", "window_length", "hop")
    usual: ClassVar[tuple[str, ...]] = (*SequenceConfig.usual, "window_length", "hop")
    groups: ClassVar[dict[str, tuple[str, ...]]] = {
        **SequenceConfig.groups,
        "Long recordings": ("window_length", "hop"),
    }

    several: bool = option(
        False, "an item may have several labels, or none: a JSON list, or separated"
    )
    separator: str = option("|", "what stands between several labels, where they are no list")
    class_weights: Literal["none", "balanced"] = option(
        "none", "balanced: rare classes count as much as frequent ones"
    )
    window_length: int | None = option(
        None,
        "steps of the windows that long series are cut into, each with the label of most of its "
        "steps; none: where labels change within series, by the stretches of one label",
        minimum=2,
    )
    hop: int | None = option(None, "steps from window to window; none: half of a window", minimum=1)
    label_smoothing: float = option(
        0.05, "share of each target that is spread over all classes", minimum=0, maximum=0.9
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.several and self._is_set("label_smoothing"):
            raise ConfigError(
                f"label_smoothing = {self.label_smoothing} with several = true: each label is a "
                "question of its own; leave one of the two out."
            )
        if self.several and self.window_length:
            raise ConfigError(
                f"window_length = {self.window_length} with several = true: a window has one "
                "label; leave one of the two out."
            )
        if self.hop and self.window_length and self.hop > self.window_length:
            raise ConfigError(
                f"hop = {self.hop} with window_length = {self.window_length}: steps between "
                "windows would have no answer; lower hop."
            )
        if self._is_set("separator") and not self.several:
            raise ConfigError(
                f"separator = {self.separator!r} with several = false: an item has one label; "
                "leave separator out, or give several."
            )

    def cut_by(self, usual: int) -> Self:
        """These settings with the windows that long series are cut into, by default of so many
        steps.

        >>> ClassifyConfig().cut_by(100).hop
        50
        """
        length = self.window_length or usual
        hop = self.hop or max(1, length // 2)
        return dataclasses.replace(self, window_length=length, hop=hop)


CONFIG = ClassifyConfig
