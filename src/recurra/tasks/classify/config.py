"""Every setting of the classification task, with its default and its one description; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

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
    window_length: float | None = option(
        None,
        "steps of series, or seconds of sound, of the windows that long ones are cut into, each "
        "with the label of most of it; none: where labels change within series, by the stretches "
        "of one label",
        above=0,
    )
    hop: float | None = option(
        None, "steps or seconds from window to window; none: half of a window", above=0
    )
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
                f"window_length = {self.window_length:g} with several = true: a window has one "
                "label; leave one of the two out."
            )
        if self.hop and self.window_length and self.hop > self.window_length:
            raise ConfigError(
                f"hop = {self.hop:g} with window_length = {self.window_length:g}: what is between "
                "windows would have no answer; lower hop."
            )
        if self._is_set("separator") and not self.several:
            raise ConfigError(
                f"separator = {self.separator!r} with several = false: an item has one label; "
                "leave separator out, or give several."
            )

    def cut_by(self, usual: int, step: float | None = None) -> tuple[int, int]:
        """The steps of a window, by default `usual`, and those from one to the next.

        `step`: the seconds of one, of sound. ConfigError for parts of a step of a series.

        >>> ClassifyConfig().cut_by(100), ClassifyConfig(window_length=1.0).cut_by(100, 0.01)
        ((100, 50), (100, 50))
        """
        if step is None:
            for name in ("window_length", "hop"):
                value = getattr(self, name) or 1
                if value != round(value):
                    raise ConfigError(
                        f"{name} = {value:g}, and series are cut between steps; give a whole "
                        "number."
                    )
        length = round(self.window_length / (step or 1)) if self.window_length else usual
        hop = round(self.hop / (step or 1)) if self.hop else length // 2
        if length < 2:
            raise ConfigError(
                f"window_length = {self.window_length:g} is less than two steps"
                f"{f' of {step:g} seconds' if step else ''}; raise it."
            )
        return length, max(1, hop)


CONFIG = ClassifyConfig
