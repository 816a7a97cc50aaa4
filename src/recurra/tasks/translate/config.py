"""Every setting of the translation task, with its default and its one description; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recurra.config.item_training import ItemTraining
from recurra.config.options import check_options, option
from recurra.config.task_config import EvaluateOptions, TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = ["CONFIG", "Generation", "TranslateConfig", "TranslateEvaluation"]


@dataclass(frozen=True, kw_only=True)
class Generation:
    """Options of decoding, shared by evaluation and translation.

    Raises ConfigError for a value that is not allowed.
    """

    beam: int = option(5, "hypotheses kept side by side, 1: greedy", minimum=1, maximum=1000)
    length_penalty: float = option(
        1.0, "how much longer results are preferred (Wu et al. 2016); 0: not", minimum=0, maximum=5
    )
    coverage_penalty: float = option(
        0.0, "how much results that leave parts of the source unread are put back", minimum=0
    )
    least_length: int = option(0, "least tokens of a result", minimum=0)
    most_length: int | None = option(
        None, "most tokens of a result; none: by the length of its source", minimum=1
    )
    no_repeat: int = option(0, "tokens in a row that never come twice; 0: any may", minimum=0)

    def __post_init__(self) -> None:
        check_options(self)


@dataclass(frozen=True, kw_only=True)
class TranslateEvaluation(EvaluateOptions, Generation):
    """Options of the evaluation of a translator."""

    where: str | None = option(None, "rows of tables to measure on: split=test")
    beams: bool = option(False, "the figures of greedy search and of beams of 2 to 10 as well")


@dataclass(frozen=True, kw_only=True)
class TranslateConfig(ItemTraining):
    """Data, model and training of a translator: each field is an option and a key.

    Raises ConfigError for a value that is not allowed.

    >>> TranslateConfig(attention="dot", heads=4).model
    'attention'
    """

    task: ClassVar[str] = "translate"
    summary: ClassVar[str] = "One sequence into another: languages, letters to sounds, commands."
    evaluation: ClassVar[type[EvaluateOptions]] = TranslateEvaluation
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {"translate": {}}
    judging: ClassVar[tuple[str, ...]] = (
        *("model", "target_tokens", "vocabulary", "min_count", "share_vocabulary", "lower"),
        "tokenised",
    )
    """Right tokens are counted in the targets' own, of a decoder after the right ones before."""
    usual: ClassVar[tuple[str, ...]] = (
        *("source", "target", "where", "valid", "source_tokens", "target_tokens"),
        *("attention", "copy"),
        *TaskConfig.usual,
    )
    places: ClassVar[tuple[str, ...]] = ("valid", "monolingual", "backwards")
    dividing: ClassVar[tuple[str, ...]] = (
        *("source_tokens", "target_tokens", "vocabulary", "min_count", "share_vocabulary"),
        *("lower", "tokenised"),
    )
    """A run that starts from another one keeps its tokens."""
    shaping: ClassVar[tuple[str, ...]] = (
        *TaskConfig.shaping,
        *dividing,
        *("model", "attention", "heads", "input_feeding", "copy", "embedding", "tie_embeddings"),
        "stretch",
    )
    steps_wanted: ClassVar[int] = 4_000
    most_steps: ClassVar[int] = 60_000
    usual_batch: ClassVar[int] = 64
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Data": (
            *("layout", "source", "target", "references", "gather", "where", "encoding"),
            *("valid", "valid_where", "valid_fraction", "monolingual", "backwards"),
            *("longest", "bad_share"),
        ),
        "Texts": (
            *("source_tokens", "target_tokens", "vocabulary", "min_count", "share_vocabulary"),
            *("lower", "tokenised", "subword_dropout"),
        ),
        "Model": (
            *("model", "attention", "heads", "input_feeding", "copy", "coverage", "embedding"),
            *("tie_embeddings", "stretch", "label_smoothing", "word_dropout"),
            "scheduled_sampling",
        ),
    }

    layout: Literal["auto", "parallel", "table", "jsonl", "dictionary"] = option(
        "auto", "what the files hold; auto: as their endings show"
    )
    source: str | None = option(None, "the column or key of the sources, if its name is unusual")
    target: str | None = option(None, "the column or key of the targets, likewise")
    references: bool = option(False, "further columns are further right targets")
    gather: bool = option(
        False, "lines of one source are one item with several right targets, as in a dictionary"
    )
    where: str | None = option(None, "rows of tables to train on: split=train")
    encoding: str = option("utf-8", "how the files are written, such as latin-1")
    valid: str | None = option(
        None,
        "data to validate on, parallel files with a comma between them; none: a part of those to "
        "train on",
    )
    valid_where: str | None = option(None, "rows of tables to validate on: split=valid")
    valid_fraction: float = option(
        0.05,
        "share of the data held out where nothing else is validated on",
        minimum=0,
        maximum=0.5,
    )
    monolingual: str | None = option(
        None,
        "a file of further targets, one a line, whose sources are drawn by the run of backwards "
        "(Sennrich et al. 2016)",
    )
    backwards: str | None = option(
        None, "a run of the other direction, which translates targets into sources"
    )
    longest: int = option(200, "most tokens of a source or target to train on", minimum=1)
    bad_share: float = option(
        0.1, "end where more than this share of the lines can't be used", minimum=0, maximum=1
    )
    source_tokens: Literal["auto", "subwords", "words", "characters", "spaces"] = option(
        "auto", "what sources are divided into; auto: as they show"
    )
    target_tokens: Literal["auto", "subwords", "words", "characters", "spaces"] = option(
        "auto", "what targets are divided into; auto: as they show"
    )
    vocabulary: int = option(
        0, "most different tokens of either side; 0: what suits the data", minimum=0
    )
    min_count: int = option(1, "least times that a token comes in training", minimum=1)
    share_vocabulary: bool = option(False, "one vocabulary for sources and targets")
    lower: bool = option(False, "texts in lower case")
    tokenised: bool = option(
        False, "the texts are tokenised as they stand: BLEU takes their words as they are"
    )
    subword_dropout: float = option(
        0.0, "share of merges left out when sub-words are made in training", minimum=0, maximum=0.5
    )
    model: Literal["attention", "ctc"] = option(
        "attention",
        "a decoder that attends to the source, or an aligner for near-monotonic pairs (CTC)",
    )
    attention: Literal["additive", "multiplicative", "dot", "monotonic", "none"] = option(
        "additive", "how the decoder's steps are held against the source's; none: by its summary"
    )
    heads: int = option(1, "parts of the attention of kind dot", minimum=1)
    input_feeding: bool = option(
        False,
        "each step reads the last step's attention as well (Luong et al. 2015): the decoder then "
        "runs step by step in training, several times slower",
    )
    copy: bool = option(False, "words of the source can be copied, also unknown ones")
    coverage: float = option(
        0.0, "weight of a loss on attending to the same place again (See et al. 2017)", minimum=0
    )
    embedding: int = option(256, "size of the vector of a token", minimum=1)
    tie_embeddings: Literal["none", "output", "all"] = option(
        "output",
        "output: the decoder's vectors are the output layer's; all: and the encoder's, of one "
        "vocabulary",
    )
    stretch: int = option(
        3, "steps that an aligner makes of each token of the source", minimum=1, maximum=20
    )
    label_smoothing: float = option(
        0.1, "share of each target's probability that all tokens have", minimum=0, maximum=0.9
    )
    word_dropout: float = option(
        0.0, "share of tokens that training reads as unknown", minimum=0, maximum=0.9
    )
    scheduled_sampling: float = option(
        0.0,
        "share of the decoder's inputs in training that are its own answers, in a second pass "
        "over whole targets (Mihaylova and Martins 2019)",
        minimum=0,
        maximum=1,
    )
    hidden: int = new_default("hidden", 256)
    layers: int = new_default("layers", 2)
    bidirectional: bool = new_default(
        "bidirectional", True, help="a second direction of the encoder reads sources from their end"
    )
    clip_norm: float | None = new_default("clip_norm", 1.0)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.valid and self._is_set("valid_fraction"):
            raise ConfigError(
                f"valid = {self.valid!r} and valid_fraction = {self.valid_fraction}: "
                "those data are validated on as they are; leave valid_fraction out."
            )
        if (self.monolingual is None) != (self.backwards is None):
            raise ConfigError(
                f"monolingual = {self.monolingual!r} with backwards = {self.backwards!r}: a run of "
                "the other direction draws the sources of further targets; give both, or neither."
            )
        self._check_model()
        levels = {self.source_tokens, self.target_tokens} - {"auto"}
        if self.share_vocabulary and len(levels) > 1:
            raise ConfigError(
                f"source_tokens = {self.source_tokens!r} and target_tokens = "
                f"{self.target_tokens!r} with share_vocabulary: one vocabulary has one kind of "
                "token; give the same for both."
            )
        if self.tie_embeddings == "all" and not self.share_vocabulary:
            raise ConfigError(
                "tie_embeddings = 'all' without share_vocabulary: sources and targets have "
                "vocabularies of their own; give share_vocabulary = true as well, or tie 'output'."
            )

    def _check_model(self) -> None:
        """Refuse settings that the chosen model doesn't have."""
        decoders: tuple[str, ...] = (
            *("attention", "heads", "input_feeding", "copy", "coverage", "tie_embeddings"),
            "scheduled_sampling",
        )
        for name in decoders if self.model == "ctc" else ("stretch",):
            if self._is_set(name):
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r} with model = {self.model!r}, which doesn't "
                    f"have it: leave {name} out, or choose the other model."
                )
        if self.attention == "none":
            for name in ("heads", "input_feeding", "copy", "coverage"):
                if self._is_set(name):
                    raise ConfigError(
                        f"{name} = {getattr(self, name)!r} with attention = 'none': there is no "
                        f"attention; leave {name} out, or choose one."
                    )
        if self.heads > 1 and self.attention != "dot":
            raise ConfigError(
                f"heads = {self.heads} with attention = {self.attention!r}; only 'dot' has "
                "several: leave heads out, or choose attention = 'dot'."
            )

    @property
    def valid_files(self) -> tuple[str, ...]:
        """The files to validate on."""
        return tuple(part.strip() for part in (self.valid or "").split(",") if part.strip())

    @property
    def named_files(self) -> tuple[str, ...]:
        """The files and the run that settings name."""
        others = (self.monolingual, self.backwards)
        return (*self.valid_files, *(each for each in others if each is not None))


CONFIG = TranslateConfig
