"""The long-range problems, and every setting with its default and its one description; no torch.

A problem has sizes, a measure, chance and published figures.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from recurra.config.options import option
from recurra.config.task_config import Published, TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError

__all__ = [
    "CONFIG",
    "PIXELS",
    "PROBLEMS",
    "RECALLED",
    "LongRangeConfig",
    "Problem",
    "problem_named",
]


RECALLED = 10
"""Symbols that copy memory asks to be kept."""

PIXELS = 28 * 28

_BAI = "Bai, Kolter and Koltun 2018, table 1"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem: its inputs and outputs, what is measured, and what others have measured.

    `chance(length)` is the test figure of a model that knows the targets' distribution and nothing
    of the inputs; `published` holds figures by length.
    """

    name: str
    summary: str
    source: str
    inputs: int
    outputs: int
    at_every_step: bool = False
    measure: Literal["loss", "accuracy"] = "loss"
    loss: Literal["squared error", "cross-entropy"] = "cross-entropy"
    length: int
    least_length: int = 2
    fixed_length: bool = False
    extra_steps: int = 0
    chance: Callable[[int], float]
    published: Mapping[int, tuple[Published, ...]] = field(default_factory=dict)

    def check_length(self, length: int) -> None:
        """Raise ConfigError for a length that this problem can't have."""
        if self.fixed_length and length != self.length:
            raise ConfigError(
                f"length = {length}; {self.name} always has {self.length} steps: leave length out."
            )
        if length < self.least_length:
            raise ConfigError(
                f"length = {length} is too short for {self.name}, which needs "
                f"{self.least_length} or more; give a longer one."
            )


def _figures(lstm: float, gru: float, rnn: float, tcn: float) -> tuple[Published, ...]:
    given = {"LSTM": lstm, "GRU": gru, "RNN": rnn, "TCN": tcn}
    return tuple(Published(name, value, _BAI) for name, value in given.items())


_ALL = (
    Problem(
        name="adding",
        summary="add the two of T numbers in [0, 1] that are marked",
        source="Hochreiter and Schmidhuber 1997, as in Bai, Kolter and Koltun 2018",
        inputs=2,
        outputs=1,
        loss="squared error",
        length=200,
        chance=lambda length: 1 / 6,
        published={
            600: _figures(lstm=0.164, gru=5.3e-5, rnn=0.177, tcn=5.8e-5),
        },
    ),
    Problem(
        name="copy",
        summary="repeat 10 symbols of 8 after T blanks",
        source="Hochreiter and Schmidhuber 1997, as in Bai, Kolter and Koltun 2018",
        inputs=10,
        outputs=10,
        at_every_step=True,
        length=100,
        least_length=1,
        extra_steps=2 * RECALLED,
        chance=lambda length: RECALLED * math.log(8) / (length + 2 * RECALLED),
        published={1000: _figures(lstm=0.0204, gru=0.0197, rnn=0.0202, tcn=3.5e-5)},
    ),
    Problem(
        name="temporal-order",
        summary="recognise the order in which X and Y came, twice among other symbols: 4 classes",
        source="Hochreiter and Schmidhuber 1997, task 6a, at a fixed length",
        inputs=8,
        outputs=4,
        measure="accuracy",
        length=100,
        least_length=10,
        chance=lambda length: 1 / 4,
    ),
    Problem(
        name="temporal-order-3",
        summary="recognise the order in which X and Y came, three times: 8 classes",
        source="Hochreiter and Schmidhuber 1997, task 6b, at a fixed length",
        inputs=8,
        outputs=8,
        measure="accuracy",
        length=100,
        least_length=10,
        chance=lambda length: 1 / 8,
    ),
    Problem(
        name="mnist",
        summary="name a digit seen one pixel a step, row by row",
        source="Le, Jaitly and Hinton 2015",
        inputs=1,
        outputs=10,
        measure="accuracy",
        length=PIXELS,
        fixed_length=True,
        chance=lambda length: 1 / 10,
        published={PIXELS: _figures(lstm=0.872, gru=0.962, rnn=0.215, tcn=0.990)},
    ),
    Problem(
        name="mnist-permuted",
        summary="the same with the pixels in another order, the same one for all digits",
        source="Le, Jaitly and Hinton 2015",
        inputs=1,
        outputs=10,
        measure="accuracy",
        length=PIXELS,
        fixed_length=True,
        chance=lambda length: 1 / 10,
        published={PIXELS: _figures(lstm=0.857, gru=0.873, rnn=0.253, tcn=0.972)},
    ),
)

PROBLEMS: Mapping[str, Problem] = {problem.name: problem for problem in _ALL}


def problem_named(name: str) -> Problem:
    """The problem of that name; ConfigError where there is none."""
    if name not in PROBLEMS:
        raise ConfigError(f"There is no problem {name!r}; the problems are {', '.join(PROBLEMS)}.")
    return PROBLEMS[name]


@dataclass(frozen=True, kw_only=True)
class LongRangeConfig(TaskConfig):
    """A long-range problem, the model and its training: each field is an option and a key.

    Raises ConfigError for a value that can't be.

    >>> LongRangeConfig(problem="copy", length=200).steps
    220
    """

    task: ClassVar[str] = "long-range"
    summary: ClassVar[str] = "A long-range problem: what a network must remember, and for how long."
    contests: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        name: {"problem": name} for name in PROBLEMS
    }
    usual: ClassVar[tuple[str, ...]] = (
        *("problem", "length", "cell", "hidden", "layers"),
        *("max_steps", "max_minutes", "batch_size", "learning_rate", "seed"),
    )
    inapplicable: ClassVar[tuple[str, ...]] = ("window",)
    judging: ClassVar[tuple[str, ...]] = ("problem", "length", "validation_sequences")
    groups: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "Problem": ("problem", "length", "validation_sequences", "test_sequences")
    }

    problem: str = option("adding", "a long-range problem")
    length: int = option(
        0, "how long: T of the problem's definition; 0: the problem's own default", minimum=0
    )
    hidden: int = new_default("hidden", 64)
    validation_sequences: int = option(500, "sequences validated on while training", minimum=1)
    test_sequences: int = option(1000, "sequences of the test", minimum=1)
    epochs: int | None = new_default("epochs", None)
    max_steps: int | None = new_default("max_steps", 2000)
    window: int = new_default("window", 0)
    validate_every: int | None = new_default("validate_every", 250)
    learning_rate: float = new_default("learning_rate", 1e-3)

    def __post_init__(self) -> None:
        super().__post_init__()
        problem = problem_named(self.problem)
        # 0 stands for a default that depends on another field.
        object.__setattr__(self, "length", self.length or problem.length)
        problem.check_length(self.length)
        self._check_bounds()
        self._check_directions()

    @classmethod
    def summary_of(cls, contest: str) -> str:
        """The summary of the problem of that name."""
        return problem_named(contest).summary

    @property
    def definition(self) -> Problem:
        """The problem itself."""
        return problem_named(self.problem)

    @property
    def steps(self) -> int:
        """How many steps a sequence has."""
        return self.length + self.definition.extra_steps

    def _check_bounds(self) -> None:
        if self.data:
            raise ConfigError(
                f"data = {self.data!r}: the sequences of long-range problems are drawn, not read; "
                "leave data out."
            )
        if self.window:
            raise ConfigError(
                f"window = {self.window}; long-range problems are trained by full BPTT: leave "
                "window out."
            )
        self.check_end()

    def _check_directions(self) -> None:
        if self.bidirectional and not self.definition.at_every_step:
            raise ConfigError(
                f"bidirectional = true: the answer of {self.problem} is read at the last step, of "
                "which a second direction has seen nothing more; leave bidirectional out."
            )


CONFIG = LongRangeConfig
