"""Every setting of the transcription task, with its default and its one description; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.input_config import (
    DATA,
    DISTORTIONS,
    FEATURES,
    InputConfig,
    ItemEvaluation,
)
from recurra.config.options import check_options, option
from recurra.config.task_config import EvaluateOptions, TaskConfig
from recurra.config.training_config import new_default
from recurra.data.text_form import TextForm, parse_replacements
from recurra.errors import ConfigError

__all__ = ["CONFIG", "Decoding", "TranscribeConfig", "TranscribeEvaluation"]


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
    language_weight: float | None = option(
        None,
        "how much that run, or the one trained with, counts, 0: not at all; left out: as the "
        "held-out data chose, 0.3 where they didn't",
        minimum=0,
        maximum=10,
        flag="--lm-weight",
    )
    lexicon: str | None = option(None, "a file of words, one a line: no other comes out")
    boost: str = option("", "words or phrases to prefer, separated by commas")
    boost_weight: float = option(2.0, "how much a boosted character counts, in nats")
    ngram: bool = option(True, "weigh by the n-gram models of the run, where it has any")
    decoder: Literal["recurra", "flashlight"] = option(
        "recurra", "the beam search of CTC: ours, or flashlight-text's, of whole sequences"
    )

    def __post_init__(self) -> None:
        check_options(self)
        usual = type(self).__dataclass_fields__["boost_weight"].default
        if self.boost_weight != usual and not self.boost:
            raise ConfigError(
                f"boost_weight = {self.boost_weight} without boost: it would weigh nothing; give "
                "boost as well, or leave boost_weight out."
            )


@dataclass(frozen=True, kw_only=True)
class TranscribeEvaluation(ItemEvaluation, Decoding):
    """Options of the evaluation of a transcriber."""


@dataclass(frozen=True, kw_only=True)
class TranscribeConfig(InputConfig):
    """Data, model and training of a transcriber: each field is an option and a key.

    Raises ConfigError for a value that is not allowed.

    >>> TranscribeConfig(input="ink", model="transducer").cell
    'gru'
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
    places: ClassVar[tuple[str, ...]] = ("valid", "ngram_text", "language")
    shaping: ClassVar[tuple[str, ...]] = (
        *TaskConfig.shaping,
        *("channels", "subsampling", "bands", "height", "curves", "model", "joint"),
    )
    judging: ClassVar[tuple[str, ...]] = (
        *("alphabet", "case", "unicode_form", "punctuation", "replace"),
    )
    steps_wanted: ClassVar[int] = 3_000
    """However few the data, it takes some thousand steps to leave the plateau of CTC, where every
    frame is blank."""
    usual_batch: ClassVar[int] = 16
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Data": DATA,
        "Texts": ("alphabet", "case", "unicode_form", "punctuation", "replace"),
        "Features": FEATURES,
        "Distortions in training": DISTORTIONS,
        "Decoding": ("ngram", "word_ngram", "ngram_text", "language"),
    }

    input: Literal["auto", "sound", "ink", "image"] = new_default("input", "auto")
    alphabet: str | None = option(
        None, "the characters that can come out; none: those of the transcripts"
    )
    case: Literal["keep", "lower", "upper"] = option("keep", "the letters of transcripts")
    unicode_form: Literal["NFC", "NFKC", "none"] = option("NFC", "how accents are written")
    punctuation: Literal["keep", "remove"] = option("keep", "the punctuation of transcripts")
    replace: str = option("", "characters written as others: ſ=s, separated by spaces")
    model: Literal["ctc", "transducer"] = option(
        "ctc", "characters independent of one another (CTC), or each after those before it (RNN-T)"
    )
    joint: int = option(128, "units of a transducer's prediction and joint networks", minimum=1)
    ctc_weight: float = option(
        0.3, "weight of a CTC loss beside that of a transducer", minimum=0, maximum=0.95
    )
    layers: int = new_default("layers", 2)
    dropout: float = new_default("dropout", 0.2)
    curriculum: int = option(
        1, "epochs at the beginning that go from short sequences to long ones", minimum=0
    )
    ngram: int = option(
        6,
        "order of a model of the transcripts' characters for decoding; 0: none",
        minimum=0,
        maximum=12,
    )
    word_ngram: int = option(
        0, "order of a model of the transcripts' words for decoding; 0: none", minimum=0, maximum=5
    )
    ngram_text: str | None = option(None, "a text that these models learn from as well")
    language: str | None = option(
        None,
        "a run of `recurra train language` for decoding, which counts as far as the held-out items "
        "are better for it",
        flag="--lm",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        parse_replacements(self.replace)
        self._check_model()
        for name, value in self.initialisers:
            if value is None:
                raise ConfigError(
                    f"init = {self.init!r}: recordings have no common length that {name} could "
                    f"take; give a number of steps: {name}:100."
                )

    def _check_model(self) -> None:
        if self.model == "ctc":
            for name in ("joint", "ctc_weight"):
                if self._is_set(name):
                    raise ConfigError(
                        f"{name} = {getattr(self, name)} with model = 'ctc'; only a transducer has "
                        f"it: leave {name} out, or choose model = 'transducer'."
                    )
        if self.model == "transducer" and self.ensemble > 1:
            raise ConfigError(
                f"ensemble = {self.ensemble} with model = 'transducer'; only networks of CTC are "
                "averaged: leave ensemble out, or choose model = 'ctc'."
            )
        if self.ngram_text is not None and not self.ngram and not self.word_ngram:
            raise ConfigError(
                f"ngram_text = {self.ngram_text!r} with ngram = 0: no model learns from it; leave "
                "one of the two out, or give word_ngram."
            )

    @property
    def form(self) -> TextForm:
        """The form that transcripts are brought to."""
        pairs = parse_replacements(self.replace)
        return TextForm(self.case, self.unicode_form, self.punctuation, pairs)


CONFIG = TranscribeConfig
