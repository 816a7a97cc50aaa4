"""Every setting of a long-range problem, with its default and its one description; no torch."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from recurra.config.options import option
from recurra.config.task import TaskConfig
from recurra.config.training import new_default
from recurra.errors import ConfigError
from recurra.tasks.long_range.problems import PROBLEMS, Problem, problem_named

__all__ = ["CONFIG", "INITIALISERS", "LongRangeConfig"]

INITIALISERS = ("chrono", "chrono-constant", "orthogonal", "identity")


@dataclass(frozen=True, kw_only=True)
class LongRangeConfig(TaskConfig):
    """A long-range problem, the model and its training: each field is an option and a key.

    Raises ConfigError for a value that can't be.

    >>> LongRangeConfig(problem="copy", length=200).steps
    220
    """

    task: ClassVar = "long-range"
    summary: ClassVar = "A long-range problem: what a network must remember, and for how long."
    contests: ClassVar = {name: {"problem": name} for name in PROBLEMS}
    groups: ClassVar = {"Problem": ("problem", "length", "validation_sequences", "test_sequences")}

    problem: str = option("adding", "a long-range problem")
    length: int = option(
        0, "how long: T of the problem's definition; 0: the problem's own default", minimum=0
    )
    cell: str = option("gru", "a cell that `recurra cells` lists, or package.module:Class")
    hidden: int = option(64, "hidden units of each layer", minimum=1)
    layers: int = option(1, "recurrent layers", minimum=1)
    skip: Literal["none", "residual", "highway", "dense"] = option(
        "none", "how a layer's input goes past it"
    )
    norm: Literal["none", "pre", "post"] = option(
        "none", "layer normalisation of what a layer reads, or of what it leaves"
    )
    dilation: int = option(
        1,
        "the lowest layer goes on from the step before; each above from so many times as far",
        minimum=1,
    )
    init: str = option(
        "",
        f"how weights start, with commas between: {', '.join(INITIALISERS)}; else the cell's own",
    )
    forget_bias: float | None = option(None, "where the forget gates' biases start")
    orthogonal: bool = option(False, "keep the recurrent matrices orthogonal while training")
    validation_sequences: int = option(500, "sequences validated on while training", minimum=1)
    test_sequences: int = option(1000, "sequences of the test", minimum=1)
    epochs: int = new_default("epochs", 1_000_000)
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
        self._check_init()

    @property
    def definition(self) -> Problem:
        """The problem itself."""
        return problem_named(self.problem)

    @property
    def steps(self) -> int:
        """How many steps a sequence has."""
        return self.length + self.definition.extra_steps

    @property
    def initialisers(self) -> tuple[str, ...]:
        """The names in `init`."""
        return tuple(word.strip() for word in self.init.split(",") if word.strip())

    def _check_bounds(self) -> None:
        if self.window:
            raise ConfigError(
                f"window = {self.window}; long-range problems are trained by full BPTT: leave "
                "window out."
            )
        self.check_end()

    def _check_init(self) -> None:
        for name in self.initialisers:
            if name not in INITIALISERS:
                raise ConfigError(
                    f"init = {self.init!r}: there is no {name!r}; allowed, with commas between, "
                    f"are {', '.join(INITIALISERS)}."
                )
        for pair in (("orthogonal", "identity"), ("chrono", "chrono-constant")):
            if set(pair) <= set(self.initialisers):
                raise ConfigError(
                    f"init = {self.init!r}: {pair[0]} and {pair[1]} start the same weights; give "
                    "one of the two."
                )


CONFIG = LongRangeConfig
