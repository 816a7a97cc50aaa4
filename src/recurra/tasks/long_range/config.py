"""Every setting of a long-range problem, with its default and its one description; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from recurra.config.options import option
from recurra.config.task_config import TaskConfig
from recurra.config.training_config import new_default
from recurra.errors import ConfigError
from recurra.tasks.long_range.problems import PROBLEMS, Problem, problem_named

__all__ = ["CONFIG", "LongRangeConfig"]


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
