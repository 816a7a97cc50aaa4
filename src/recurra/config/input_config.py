"""Settings of tasks whose items are sound, pen strokes, images, series or texts; without torch."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.item_training import ItemTraining
from recurra.config.options import option
from recurra.config.task_config import EvaluateOptions
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["DATA", "DISTORTIONS", "FEATURES", "InputConfig", "ItemEvaluation"]

DATA = (
    *("input", "where", "valid", "valid_where", "valid_fraction", "valid_by"),
    *("root", "outside", "path_column", "text_column", "bad_share"),
)
FEATURES = ("rate", "bands", "spacing", "curves", "height", "channels", "subsampling")
DISTORTIONS = (
    *("speed", "pitch", "noise", "room", "microphone"),
    *("slant", "scale", "elastic", "jitter", "masks"),
)
"""Names of the settings, for the groups that a command line lists them in."""

_KINDS = {
    **dict.fromkeys(("rate", "bands", "pitch", "room", "microphone"), ("sound",)),
    **dict.fromkeys(("speed", "noise"), ("sound", "series")),
    **dict.fromkeys(("spacing", "curves"), ("ink",)),
    **dict.fromkeys(("jitter",), ("ink", "text")),
    **dict.fromkeys(("height",), ("image",)),
    **dict.fromkeys(("slant", "elastic"), ("ink", "image")),
    **dict.fromkeys(("scale",), ("ink", "image", "series")),
}
"""Settings that some kinds of input alone have."""


def _strength(help: str) -> Any:
    return option(1.0, f"{help}: its strength in training, 0: none", minimum=0, maximum=4)


@dataclass(frozen=True, kw_only=True)
class ItemEvaluation(EvaluateOptions):
    """Options of the evaluation of a task of items."""

    where: str | None = option(None, "rows of the data to measure on: split=test")
    groups: str | None = option(
        None, "the column (speaker, writer, machine) whose groups the intervals draw whole"
    )


@dataclass(frozen=True, kw_only=True)
class InputConfig(ItemTraining):
    """A task whose items are recordings, pen strokes, images of lines, series or texts.

    Raises ConfigError for a value that is not allowed, and for settings of another kind of input.

    >>> InputConfig(input="ink", height=64)
    Traceback (most recent call last):
    recurra.errors.ConfigError: height = 64 with input = 'ink'; it is for image: leave it out.
    """

    evaluation: ClassVar[type[EvaluateOptions]] = ItemEvaluation
    places: ClassVar[tuple[str, ...]] = ("valid",)

    input: Literal["auto", "sound", "ink", "image", "series", "text"] = option(
        "auto", "what the files hold; auto: as they show"
    )
    where: str | None = option(None, "rows of the manifest to train on: split=train")
    valid: str | None = option(None, "data to validate on; none: a part of those to train on")
    valid_where: str | None = option(None, "rows of the manifest to validate on: split=valid")
    valid_fraction: float = option(
        0.1, "share of the data held out where nothing else is validated on", minimum=0, maximum=0.5
    )
    valid_by: str | None = option(
        None, "a column (speaker, writer) none of whose values is on both sides of that cut"
    )
    root: str | None = option(None, "the folder of a manifest's paths, where it isn't its own")
    outside: bool = option(False, "allow a manifest's paths to leave that folder")
    path_column: str | None = option(None, "a manifest's column of paths, if its name is unusual")
    text_column: str | None = option(None, "a manifest's column of texts, likewise")
    bad_share: float = option(
        0.1, "end where more than this share of the files can't be used", minimum=0, maximum=1
    )
    rate: int | None = option(
        None, "samples a second of sound; none: as most files have", minimum=2_000, maximum=192_000
    )
    bands: int = option(40, "mel bands of sound", minimum=4, maximum=256)
    spacing: float = option(
        0.2, "distance of resampled points, in heights of the letters", minimum=0.01, maximum=10
    )
    curves: bool = option(False, "strokes as Bézier curves rather than as points")
    height: int = option(48, "rows of an image of a line", minimum=8, maximum=256)
    channels: int = option(32, "channels of the convolutions", minimum=1, maximum=4096)
    subsampling: int = option(
        0,
        "steps of the input that become one: 1, 2, 4 or 8; 0: what suits it",
        minimum=0,
        maximum=8,
    )
    speed: float = _strength("sound and series faster or slower")
    pitch: float = _strength("sound higher or lower")
    noise: float = _strength("noise added to sound and series")
    room: float = _strength("the echo of a room")
    microphone: float = _strength("frequencies louder and softer, as microphones have them")
    slant: float = _strength("writing that leans")
    scale: float = _strength("writing and series that are wider, narrower, higher or lower")
    elastic: float = _strength("smooth distortions of writing")
    jitter: float = _strength("displacements of points and strokes; unknown words")
    masks: float = _strength("stretches of steps and features that are blanked (SpecAugment)")

    hidden: int = new_default("hidden", 128)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subsampling not in (0, 1, 2, 4, 8):
            raise ConfigError(f"subsampling = {self.subsampling}; it must be 0, 1, 2, 4 or 8.")
        self._check_parts()
        for name, kinds in _KINDS.items() if self.input != "auto" else ():
            if self._is_set(name) and self.input not in kinds:
                raise ConfigError(
                    f"{name} = {getattr(self, name)} with input = {self.input!r}; it is for "
                    f"{' and '.join(kinds)}: leave it out."
                )

    def _check_parts(self) -> None:
        """Refuse two ways of choosing what is validated on."""
        for name in ("valid", "valid_where"):
            if getattr(self, name) is None:
                continue
            for other in ("valid_fraction", "valid_by"):
                if self._is_set(other):
                    raise ConfigError(
                        f"{name} = {getattr(self, name)!r} and {other} = {getattr(self, other)!r}: "
                        f"those data are validated on as they are; leave {other} out."
                    )
