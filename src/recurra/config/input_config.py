"""Settings of tasks whose items are sound, pen strokes, images, series or texts; without torch."""

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from recurra.config.options import option
from recurra.config.task_config import EvaluateOptions, TaskConfig
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


_LEAST_BATCH = 4
"""Items of a batch, however few there are."""

_OFTEN = 25
"""Steps between validations at least, where an epoch has fewer."""


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
class InputConfig(TaskConfig):
    """A task whose items are recordings, pen strokes, images of lines, series or texts.

    `steps_wanted` are those of a training without a length, `most_steps` and `most_epochs` its
    limits; `usual_batch` are the items of a batch where there are enough.

    Raises ConfigError for a value that is not allowed, and for settings of another kind of input.

    >>> InputConfig(input="ink", height=64)
    Traceback (most recent call last):
    recurra.errors.ConfigError: height = 64 with input = 'ink'; it is for image: leave it out.
    """

    evaluation: ClassVar[type[EvaluateOptions]] = ItemEvaluation
    places: ClassVar[tuple[str, ...]] = ("valid",)
    inapplicable: ClassVar[tuple[str, ...]] = ("window",)
    steps_wanted: ClassVar[int] = 1_500
    most_steps: ClassVar[int] = 40_000
    most_epochs: ClassVar[int] = 300
    usual_batch: ClassVar[int] = 32

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

    cell: str = new_default("cell", "gru")
    hidden: int = new_default("hidden", 128)
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
        "transcripts 16)",
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
        "many as make 1,500 steps (of transcripts 3,000), at least 10 and at most 300",
    )

    def batch_of(self, count: int) -> int:
        """The items of a batch where there are so many in all.

        >>> InputConfig().batch_of(60), InputConfig(batch_size=32).batch_of(60)
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

        >>> InputConfig().suited(30).epochs
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

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.window and "window" in self.inapplicable:
            raise ConfigError(f"window = {self.window}; whole items are trained on: leave it out.")
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
