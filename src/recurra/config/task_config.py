"""Settings that every task has beside those of its training, and of its network; without torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple, Self

from recurra.config.options import config_from_mapping, option
from recurra.config.training_config import TrainingConfig
from recurra.errors import ConfigError

__all__ = [
    "EvaluateOptions",
    "Initialiser",
    "NetworkConfig",
    "Published",
    "TaskConfig",
    "read_initialisers",
]


_DEFAULTS: dict[str, float | None] = {
    "chrono": None,
    "chrono-constant": None,
    "orthogonal": 1.0,
    "identity": 1.0,
    "forget-bias": 1.0,
}
"""Each initialiser, with its number where none is given; None: the length of a sequence."""

_MOST_STEPS = 10**9
_SAME_WEIGHTS = (("orthogonal", "identity"), ("chrono", "chrono-constant", "forget-bias"))

_FORMS = (
    "chrono[:STEPS], chrono-constant[:STEPS], orthogonal[:GAIN], identity[:GAIN], "
    "forget-bias[:VALUE]"
)
_IN_EACH_LAYER = (
    "input_dropout",
    "state_dropout",
    "recurrent_dropout",
    "weight_drop",
    "zoneout",
    "learn_initial_state",
)


class Initialiser(NamedTuple):
    """A way for recurrent layers to start, and its number; None: the length of a sequence."""

    name: str
    value: float | None


def _share(help: str) -> Any:
    return option(0.0, help, minimum=0, maximum=0.95)


@dataclass(frozen=True, kw_only=True)
class NetworkConfig(TrainingConfig):
    """A training of recurrent layers, which every task has: each field is an option and a key.

    Raises ConfigError for an invalid value, and for settings that contradict one another.

    >>> NetworkConfig(init="orthogonal, forget-bias:2").initialisers
    (Initialiser(name='orthogonal', value=1.0), Initialiser(name='forget-bias', value=2.0))
    """

    cell: str = option(
        "gru",
        "a cell that `recurra cells` lists, or package.module:Class",
        form="the name of a cell, or that of a class of your own, package.module:Class",
    )
    hidden: int = option(128, "hidden units of each layer", minimum=1, maximum=10**8)
    layers: int = option(1, "recurrent layers", minimum=1, maximum=1000)
    bidirectional: bool = option(False, "a second direction reads each sequence from its end")
    skip: Literal["none", "residual", "highway", "dense"] = option(
        "none", "connections that lead past each layer"
    )
    norm: Literal["none", "pre", "post"] = option(
        "none", "layer normalisation of the input of each layer (pre) or of its output (post)"
    )
    dilation: int = option(
        1,
        "the lowest layer reads the state of the step before; each layer above looks this many "
        "times as far back as the one below",
        minimum=1,
    )
    dropout: float = option(
        0.0, "share of values dropped between layers and before the output", minimum=0, maximum=0.95
    )
    input_dropout: float = _share("share of each layer's input dropped, the same at all steps")
    state_dropout: float = _share(
        "share of the state dropped where recurrent weights read it, the same at all steps"
    )
    output_dropout: float = _share(
        "share of the last layer's output dropped, the same at all steps"
    )
    recurrent_dropout: float = _share("share of the candidate dropped, drawn again at each step")
    weight_drop: float = _share("share of the recurrent matrices' elements dropped")
    zoneout: float = _share("share of the states' values that a step leaves unchanged")
    activation_penalty: float = option(
        0.0, "weight of the outputs' mean square beside the loss", minimum=0
    )
    temporal_activation_penalty: float = option(
        0.0, "weight of the mean square of the outputs' changes from step to step", minimum=0
    )
    learn_initial_state: bool = option(False, "learn the initial states; otherwise they are zeros")
    orthogonal: bool = option(
        False, "keep recurrent matrices orthogonal in training; for cells with square ones"
    )
    init: str | None = option(
        None,
        f"how weights start, separated by commas: {_FORMS}; STEPS left out: a sequence's length",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_orthogonal(read_initialisers(self.init))
        if self.dilation > 1 and self.layers == 1:
            raise ConfigError(
                f"dilation = {self.dilation} with layers = 1: the lowest layer reads the step "
                "before, and only those above it look farther back; give layers as well, or leave "
                "dilation out."
            )

    @property
    def initialisers(self) -> tuple[Initialiser, ...]:
        """The parts of `init`, in order."""
        return read_initialisers(self.init)

    @property
    def layer_options(self) -> dict[str, Any]:
        """Arguments of `recurra.nn.Recurrent` that concern each layer by itself."""
        return {name: getattr(self, name) for name in _IN_EACH_LAYER}

    @property
    def dropout_between_layers(self) -> float:
        """The share of values dropped between one recurrent layer and the next."""
        return self.dropout if self.layers > 1 else 0.0

    def _check_orthogonal(self, initialisers: tuple[Initialiser, ...]) -> None:
        if not self.orthogonal:
            return
        if self.weight_drop:
            raise ConfigError(
                f"weight_drop = {self.weight_drop} with orthogonal = true: a matrix without some "
                "of its elements isn't orthogonal; leave one of the two out."
            )
        for name, value in initialisers:
            if name in _SAME_WEIGHTS[0] and value not in (1, -1):
                raise ConfigError(
                    f"init = {self.init!r} with orthogonal = true: matrices that stay orthogonal "
                    f"have the gain 1; write init = {name!r}, or leave orthogonal out."
                )


def read_initialisers(init: str | None) -> tuple[Initialiser, ...]:
    """The initialisers that a text such as `orthogonal, forget-bias:1` names.

    Raises ConfigError for one that doesn't exist or has an invalid number, and for two that set the
    same weights.
    """
    found = tuple(_initialiser(init, word.strip()) for word in init.split(",")) if init else ()
    for rivals in _SAME_WEIGHTS:
        named = [initialiser.name for initialiser in found if initialiser.name in rivals]
        if len(named) > 1:
            raise ConfigError(
                f"init = {init!r}: {' and '.join(named)} set the same weights; give one of them, "
                "once."
            )
    return found


def _initialiser(init: str | None, word: str) -> Initialiser:
    name, colon, number = word.partition(":")
    try:
        value = float(number) if colon else _DEFAULTS.get(name)
    except ValueError:
        value = float("nan")
    if name not in _DEFAULTS or not _is_valid(name, value):
        raise ConfigError(
            f"init = {init!r}: {word!r} is not an initialiser; allowed, separated by commas, are "
            f"{_FORMS}, with STEPS a whole number from 3 to {_MOST_STEPS:,}."
        )
    return Initialiser(name, value)


def _is_valid(name: str, value: float | None) -> bool:
    if value is None or name.startswith("chrono"):
        return value is None or (2 < value <= _MOST_STEPS and value.is_integer())
    return abs(value) < float("inf")


@dataclass(frozen=True)
class Published:
    """A figure of the literature: the model it was measured on, and its source."""

    name: str
    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions:
    """Options of a task's evaluation: each field is an option of `recurra evaluate`."""


@dataclass(frozen=True, kw_only=True)
class TaskConfig(NetworkConfig):
    """Settings of a task: subclass it, and give each further setting as a field with `option`.

    `task` is its name, `summary` a sentence about it; `places` names settings that say where data
    lie. `evaluation` holds the options of the task's evaluation; `contests` names what `recurra
    compare` may compare cells on, each with the settings that make it; `groups` are titles under
    which the command line lists settings, `usual` those that its --help lists, the rest by
    --help-all, and `inapplicable` those that it has no option for. `shaping` are those that decide
    whether weights fit: a run to start from has them, where they aren't given. `space` is what
    `recurra tune` searches beside what it searches for every task; `judging` names settings that
    decide what a validation measures, beside those of the group Data.

    Raises ConfigError for a value that is not allowed.
    """

    task: ClassVar[str] = ""
    summary: ClassVar[str] = ""
    evaluation: ClassVar[type[EvaluateOptions]] = EvaluateOptions
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    places: ClassVar[tuple[str, ...]] = ()
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    usual: ClassVar[tuple[str, ...]] = (
        *("cell", "hidden", "layers", "dropout"),
        *("epochs", "max_minutes", "batch_size", "learning_rate", "seed"),
    )
    inapplicable: ClassVar[tuple[str, ...]] = ()
    shaping: ClassVar[tuple[str, ...]] = (
        *("cell", "hidden", "layers", "skip", "norm", "dilation"),
        *("orthogonal", "learn_initial_state", "bidirectional"),
    )
    space: ClassVar[Mapping[str, Any]] = {}
    judging: ClassVar[tuple[str, ...]] = ()

    data: tuple[str, ...] = option((), "files to train on")
    ensemble: int = option(
        1, "models trained with seeds from `seed` on, and averaged", minimum=1, maximum=1000
    )
    start: str | None = option(
        None,
        "a run to start from: weights of equal name and shape are taken over",
        flag="--from",
    )
    freeze: str = option(
        "", "parts of the model that keep the weights of `start`, as their names begin: embedding"
    )

    unfreeze: float | None = option(
        None,
        "share of the training after which each next part with weights of `start`, from the top "
        "one down, is trained as well; 0: all from the beginning; left out: as the task has it",
        minimum=0,
        maximum=0.5,
    )
    lower_rate: float = option(
        1.0,
        "learning rate of each part with weights of `start`, as a share of that of the part above",
        above=0,
        maximum=1,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("freeze", "unfreeze", "lower_rate"):
            if self.start is None and self._is_set(name):
                raise ConfigError(
                    f"{name} = {getattr(self, name)!r} without start: only weights of another "
                    f"run are meant; give start as well (--from RUN), or leave {name} out."
                )

    @property
    def named_files(self) -> tuple[str, ...]:
        """The files that settings name beside `data`."""
        return tuple(value for name in self.places if (value := getattr(self, name)))

    @classmethod
    def summary_of(cls, contest: str) -> str:
        """The summary of one of the `contests`: by default that of the task."""
        return cls.summary

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> Self:
        """The configuration of some settings, the rest at their defaults; "none" stands for None.

        Raises ConfigError for an unknown key, naming the nearest, or a value that is not allowed.
        """
        return config_from_mapping(cls, settings)
