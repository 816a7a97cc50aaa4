"""Settings of what keeps gradients and states in order in the recurrent layers; without torch."""

from dataclasses import dataclass
from typing import Any, NamedTuple

from recurra.config.training import TrainingConfig, option
from recurra.errors import ConfigError

__all__ = ["RemedyConfig", "Start", "read_starts"]

_DEFAULTS: dict[str, float | None] = {
    "chrono": None,
    "orthogonal": 1.0,
    "identity": 1.0,
    "forget-bias": 1.0,
}
"""Each way to start, with its number where none is given; None: there is no default."""

_FORMS = "chrono:STEPS, orthogonal[:GAIN], identity[:GAIN], forget-bias[:VALUE]"
_SHARES = (
    "input_dropout",
    "state_dropout",
    "output_dropout",
    "recurrent_dropout",
    "weight_drop",
    "zoneout",
)


class Start(NamedTuple):
    """A way for recurrent layers to start, and its number."""

    name: str
    value: float


def _share(help: str) -> Any:
    return option(0.0, help, minimum=0, maximum=0.95)


@dataclass(frozen=True, kw_only=True)
class RemedyConfig(TrainingConfig):
    """A training of recurrent layers with remedies in them: each field is an option and a key.

    Raises ConfigError for a value that can't be.

    >>> RemedyConfig(init="orthogonal, forget-bias:2").starts
    (Start(name='orthogonal', value=1.0), Start(name='forget-bias', value=2.0))
    """

    input_dropout: float = _share("share of each layer's input dropped, the same at all steps")
    state_dropout: float = _share(
        "share of the state dropped where recurrent weights read it, the same"
    )
    output_dropout: float = _share(
        "share of the last layer's output dropped, the same at all steps"
    )
    recurrent_dropout: float = _share("share of the candidate's values dropped, anew at each step")
    weight_drop: float = _share("share of the recurrent matrices' elements dropped")
    zoneout: float = _share("share of the states' values that a step leaves as they were")
    activation_penalty: float = option(
        0.0, "how much the outputs' mean square weighs beside the loss", minimum=0
    )
    temporal_activation_penalty: float = option(
        0.0, "the same of their changes from step to step", minimum=0
    )
    learn_initial_state: bool = option(False, "learn what the states start from, else zeros")
    init: str | None = option(None, f"how weights start, with commas between: {_FORMS}")

    def __post_init__(self) -> None:
        super().__post_init__()
        read_starts(self.init)

    @property
    def starts(self) -> tuple[Start, ...]:
        """What `init` says."""
        return read_starts(self.init)

    @property
    def layer_options(self) -> dict[str, Any]:
        """Arguments of `recurra.nn.Recurrent`."""
        names = (*_SHARES, "learn_initial_state")
        return {name: getattr(self, name) for name in names}


def read_starts(init: str | None) -> tuple[Start, ...]:
    """The ways to start that a text like `orthogonal, forget-bias:1` names.

    Raises ConfigError for one that doesn't exist, has no number that can be, or undoes another.
    """
    starts = tuple(_start(init, word.strip()) for word in init.split(",")) if init else ()
    names = [start.name for start in starts]
    for pair in (("orthogonal", "identity"), ("chrono", "forget-bias")):
        if len([name for name in names if name in pair]) > 1:
            raise ConfigError(
                f"init = {init!r}: {' and '.join(pair)} set the same weights; give one of the two, "
                "once."
            )
    return starts


def _start(init: str | None, word: str) -> Start:
    name, colon, number = word.partition(":")
    default = _DEFAULTS.get(name)
    try:
        value = float(number) if colon or default is None else default
    except ValueError:
        value = float("nan")
    if name not in _DEFAULTS or not _is_possible(name, value):
        raise ConfigError(
            f"init = {init!r}: {word!r} is no way to start; allowed, with commas between, are "
            f"{_FORMS}, with STEPS a whole number above 2."
        )
    return Start(name, value)


def _is_possible(name: str, value: float) -> bool:
    if name == "chrono":
        return value > 2 and value.is_integer()
    return abs(value) < float("inf")
