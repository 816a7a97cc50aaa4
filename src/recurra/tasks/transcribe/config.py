"""Every setting of the transcription task, with its default and its one description; no torch."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

from recurra.config.options import option
from recurra.config.task_config import EvaluateOptions, TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["CONFIG", "Decoding", "TranscribeConfig", "TranscribeEvaluation"]

LEAST_STEPS, MOST_STEPS, MOST_EPOCHS, PATIENCE = 3_000, 40_000, 300, 20
"""The length of a training without one of its own: enough steps to leave the plateau where every
frame is blank, which few sequences need as many of as many do."""

_OF_SOUND = ("rate", "bands", "speed", "pitch", "noise", "room")
_OF_INK = ("spacing", "curves", "jitter")
_OF_IMAGES = ("height",)
_OF_INK_AND_IMAGES = ("slant", "scale", "elastic")
_KINDS = {
    **dict.fromkeys(_OF_SOUND, ("sound",)),
    **dict.fromkeys(_OF_INK, ("ink",)),
    **dict.fromkeys(_OF_IMAGES, ("image",)),
    **dict.fromkeys(_OF_INK_AND_IMAGES, ("ink", "image")),
}
"""Settings that some kinds of input alone have."""


def _strength(help: str) -> Any:
    return option(1.0, f"{help}: its strength in training, 0: none", minimum=0, maximum=5)


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """Options of decoding, shared by evaluation, transcription and streams.

    Raises ConfigError for a value that is not allowed.
    """

    beam: int | None = option(
        None,
        "hypotheses kept side by side, 1: greedy; left out: as the held-out data chose",
        minimum=1,
        maximum=1000,
    )
    language: str | None = option(
        None, "a run of `recurra train language` that weighs what is likely", flag="--lm"
    )
    language_weight: float = option(
        0.5, "how much that run counts", minimum=0, maximum=10, flag="--lm-weight"
    )
    lexicon: str | None = option(None, "a file of words, one a line: no other comes out")
    boost: str = option("", "words or phrases to prefer, separated by commas")
    boost_weight: float = option(2.0, "how much a boosted character counts, in nats")
    ngram: bool = option(True, "weigh by the n-gram model of the run, where it has one")


@dataclass(frozen=True, kw_only=True)
class TranscribeEvaluation(EvaluateOptions, Decoding):
    """Options of the evaluation of a transcriber."""

    where: str | None = option(None, "rows of the manifest to measure on: split=test")
    groups: str | None = option(
        None, "the manifest's column (speaker, writer) whose groups the intervals draw whole"
    )


@dataclass(frozen=True, kw_only=True)
class TranscribeConfig(TaskConfig):
    """Data, model and training of a transcriber: each field is an option and a key.

    Raises ConfigError for a value that is not allowed.

    >>> TranscribeConfig(input="ink", model="transducer").cell
    'lstm'
    """

    task: ClassVar[str] = "transcribe"
    summary: ClassVar[str] = "Sound, pen strokes or images of lines to text."
    evaluation: ClassVar[type[EvaluateOptions]] = TranscribeEvaluation
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"transcribe": {}}
    usual: ClassVar[tuple[str, ...]] = (
        *("input", "where", "valid", "valid_where", "alphabet", "case", "model"),
        *TaskConfig.usual,
        "bidirectional",
    )
    inapplicable: ClassVar[tuple[str, ...]] = ("window", "clip_bptt")
    places: ClassVar[tuple[str, ...]] = ("valid",)
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Data": (
            *("input", "where", "valid", "valid_where", "valid_fraction", "valid_by"),
            *("root", "outside", "path_column", "text_column"),
            *("alphabet", "case", "unicode_form", "punctuation", "replace", "bad_share"),
        ),
        "Features": ("rate", "bands", "spacing", "curves", "height"),
        "Distortions in training": (
            *("speed", "pitch", "noise", "room"),
            *("slant", "scale", "elastic", "jitter", "masks"),
        ),
        "Decoding": ("ngram", "ngram_text"),
    }

    input: Literal["auto", "sound", "ink", "image"] = option(
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
    path_column: str | None = option(None, "a manifest's column of paths, where its name is unusual")
    text_column: str | None = option(None, "a manifest's column of transcripts, likewise")
    alphabet: str | None = option(
        None, "the characters that can come out; none: those of the transcripts"
    )
    case: Literal["keep", "lower", "upper"] = option("keep", "the letters of transcripts")
    unicode_form: Literal["NFC", "NFKC", "none"] = option("NFC", "how accents are written")
    punctuation: Literal["keep", "remove"] = option("keep", "the punctuation of transcripts")
    replace: str = option("", "characters written as others: ſ=s, separated by spaces")
    bad_share: float = option(
        0.1, "end where more than this share of the files can't be used", minimum=0, maximum=1
    )
    rate: int | None = option(
        None, "samples a second of sound; none: as most files have", minimum=2_000, maximum=192_000
    )
    bands: int = option(40, "mel bands of sound", minimum=4, maximum=256)
    spacing: float = option(
        0.0, "distance of resampled points, in heights of the writing; 0: what suits", minimum=0
    )
    curves: bool = option(False, "strokes as Bezier curves rather than as points")
    height: int = option(48, "rows of an image of a line", minimum=8, maximum=256)
    model: Literal["ctc", "transducer"] = option(
        "ctc", "characters independent of one another (CTC), or each after those before it (RNN-T)"
    )
    channels: int = option(32, "channels of the first convolutions", minimum=1, maximum=4096)
    subsampling: int = option(
        0,
        "input steps that become one: 1, 2, 4 or 8; 0: what suits the input",
        minimum=0,
        maximum=8,
    )
    joint: int = option(128, "units of a transducer's prediction and joint networks", minimum=1)
    ctc_weight: float = option(
        0.3, "weight of a CTC loss beside that of a transducer", minimum=0, maximum=0.95
    )
    cell: str = new_default("cell", "lstm")
    hidden: int = new_default("hidden", 128)
    layers: int = new_default("layers", 2)
    bidirectional: bool = option(
        True, "a second direction reads each sequence from its end; streams need one direction"
    )
    dropout: float = new_default(
        "dropout", 0.2, help="share of values dropped in, between and after the layers"
    )
    speed: float = _strength("sound faster or slower")
    pitch: float = _strength("sound higher or lower")
    noise: float = _strength("noise added to sound")
    room: float = _strength("the echo of a room")
    slant: float = _strength("writing that leans")
    scale: float = _strength("writing that is wider, narrower, higher or lower")
    elastic: float = _strength("smooth distortions of writing")
    jitter: float = _strength("noise of single points and strokes")
    masks: float = _strength("stretches of steps and features that are blanked (SpecAugment)")
    curriculum: int = option(
        1, "epochs at the beginning that go from short sequences to long ones", minimum=0
    )
    ngram: int = option(
        6, "order of a model of the transcripts' characters for decoding; 0: none", maximum=12
    )
    ngram_text: str | None = option(None, "a text that the model of characters learns from as well")
    batch_size: int = new_default("batch_size", 16)
    learning_rate: float = new_default("learning_rate", 2e-3)
    weight_decay: float = new_default("weight_decay", 1e-4)
    schedule: Literal["constant", "cosine"] = new_default("schedule", "cosine")
    final_learning_rate: float = new_default("final_learning_rate", 0.01)
    warmup_steps: int = new_default("warmup_steps", 100)
    clip_norm: float | None = new_default("clip_norm", 5.0)
    epochs: int | None = new_default(
        "epochs",
        None,
        help="times to go through the data; without a length (this, max_steps or max_minutes) as "
        f"many as make {LEAST_STEPS:,} steps, at most {MOST_EPOCHS}",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.subsampling not in (0, 1, 2, 4, 8):
            raise ConfigError(f"subsampling = {self.subsampling}; it must be 0, 1, 2, 4 or 8.")
        self._check_data()
        self._check_model()
        for name, value in self.initialisers:
            if value is None:
                raise ConfigError(
                    f"init = {self.init!r}: recordings have no common length that {name} could "
                    f"take; give a number of steps: {name}:100."
                )

    def _check_data(self) -> None:
        rivals = [name for name in ("valid", "valid_where") if getattr(self, name) is not None]
        if rivals and self._is_set("valid_fraction"):
            raise ConfigError(
                f"{rivals[0]} = {getattr(self, rivals[0])!r} and valid_fraction = "
                f"{self.valid_fraction}: the data are validated on as they are; give one of the two."
            )
        if rivals and self.valid_by is not None:
            raise ConfigError(
                f"{rivals[0]} = {getattr(self, rivals[0])!r} and valid_by = {self.valid_by!r}: "
                "valid_by says how a part is held out; give one of the two."
            )
        if self.input != "auto":
            for name, kinds in _KINDS.items():
                if self._is_set(name) and self.input not in kinds:
                    raise ConfigError(
                        f"{name} = {getattr(self, name)} with input = {self.input!r}; it is for "
                        f"{' and '.join(kinds)}: leave it out."
                    )

    def _check_model(self) -> None:
        if self.model == "ctc":
            for name in ("joint", "ctc_weight"):
                if self._is_set(name):
                    raise ConfigError(
                        f"{name} = {getattr(self, name)} with model = 'ctc'; only a transducer has "
                        f"it: leave {name} out, or choose model = 'transducer'."
                    )
        if self.ngram_text is not None and not self.ngram:
            raise ConfigError(
                f"ngram_text = {self.ngram_text!r} with ngram = 0: no model learns from it; leave "
                "one of the two out."
            )

    def suited(self, windows: int) -> Self:
        """These settings for data of so many batches, with a length where none is given.

        >>> config = TranscribeConfig().suited(30)
        >>> config.epochs, config.validate_every
        (100, 60)
        """
        if (self.epochs, self.max_steps, self.max_minutes) != (None, None, None):
            return self
        epochs = min(MOST_EPOCHS, max(10, -(-LEAST_STEPS // windows)))
        return dataclasses.replace(
            self,
            epochs=epochs,
            max_steps=MOST_STEPS if epochs * windows > MOST_STEPS else None,
        )


CONFIG = TranscribeConfig
