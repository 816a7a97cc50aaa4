"""State of the training loop: its place in the data, its sums, and the lines that they become."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from recurra.config.training_config import Budget, Metric
from recurra.errors import MissingExtra
from recurra.nn.states import State
from recurra.runs.run import Run
from recurra.training.gradient_noise import MOMENT

__all__ = ["LoopState", "Meter", "Recorder", "Stepped", "summary_writer"]


@dataclass(frozen=True)
class Stepped:
    """Outcome of one step: the mean loss of its tokens, the gradient's norm before clipping.

    `taken_norm` is the norm after clipping. `flow` has lines for gradients.jsonl, none where the
    step wasn't watched.
    """

    loss: float
    tokens: int
    gradient_norm: float
    taken_norm: float
    clipped: bool
    learning_rate: float
    seconds: float
    carried: State
    flow: Sequence[dict[str, Any]] = ()


@dataclass
class Meter:
    """Sums over the steps since the last line."""

    steps: int = 0
    tokens: int = 0
    loss: float = 0.0
    gradient_norm: float = 0.0
    clipped: int = 0
    seconds: float = 0.0
    learning_rate: float = 0.0  # of the last step

    def add(self, stepped: Stepped) -> None:
        """Count one step."""
        self.steps += 1
        self.tokens += stepped.tokens
        self.loss += stepped.loss * stepped.tokens
        self.gradient_norm += stepped.gradient_norm
        self.clipped += stepped.clipped
        self.seconds += stepped.seconds
        self.learning_rate = stepped.learning_rate

    @property
    def tokens_per_second(self) -> float:
        """The speed of the steps themselves, without validations and saves."""
        return self.tokens / self.seconds if self.seconds else 0.0

    def line(self) -> dict[str, float]:
        """Means over the steps counted: the loss per token, the others per step."""
        return {
            "loss": self.loss / max(1, self.tokens),
            "learning_rate": self.learning_rate,
            "gradient_norm": self.gradient_norm / self.steps,
            "clipped_share": self.clipped / self.steps,
            "tokens_per_second": round(self.tokens_per_second, 1),
            "steps_per_second": round(self.steps / self.seconds, 3) if self.seconds else 0.0,
        }


@dataclass
class LoopState:
    """Everything the loop knows besides weights, optimiser and random states."""

    step: int = 0
    epoch: int = 0  # the one under way, from 0
    index: int = 0  # its next window
    carried: State = None
    best: dict[str, float] = field(default_factory=dict)  # of the weights kept; empty at first
    leading: float | None = None  # the best value of the metric that chooses them
    since_best: int = 0  # validations without improvement
    validated: int = 0  # the step of the last validation
    last_validation: float | None = None  # its value of the metric that chooses the best
    tokens: int = 0
    clipped: int = 0
    seconds: float = 0.0
    first_budget: Budget = field(default_factory=Budget)  # that the training was started with
    budget: Budget = field(default_factory=Budget)  # that the schedule runs over
    meter: Meter = field(default_factory=Meter)
    gradient_squares: float = 0.0  # a moving average of the squared norm, after clipping

    @property
    def epochs_begun(self) -> int:
        """The epoch of the last step, counted from 1."""
        return self.epoch + 1 if self.index else self.epoch

    def add(self, stepped: Stepped, windows: int) -> None:
        """Count a step and move to the next window; each epoch, of `windows`, starts stateless."""
        self.meter.add(stepped)
        self.step += 1
        self.tokens += stepped.tokens
        self.clipped += stepped.clipped
        self.gradient_squares += (1 - MOMENT) * (stepped.taken_norm**2 - self.gradient_squares)
        self.index, self.carried = self.index + 1, stepped.carried
        if self.index == windows:
            self.epoch, self.index, self.carried = self.epoch + 1, 0, None

    def judge(self, numbers: dict[str, float], metric: Metric) -> bool:
        """Count a validation that gave `numbers`; true if its weights are to be kept by `metric`.

        Those of the best value are; of equal values, those with the lower loss, since a share of
        errors is often the same, say zero. Where the value's standard error is given, as
        `name_error`, later weights are kept as long as they aren't worse by more than that: which
        of many validations on few items is the best is chance, and weights get better as the
        learning rate falls.
        """
        value, error = numbers[metric.name], numbers.get(f"{metric.name}_error", 0.0)
        self.validated, self.last_validation = self.step, value
        better = self.leading is None or metric.is_better(value, self.leading)
        if better:
            self.leading = value
        elif value == self.leading:
            better = numbers.get("loss", math.inf) < self.best.get("loss", math.inf)
        self.since_best = 0 if better else self.since_best + 1
        assert self.leading is not None
        near = error > 0 and not metric.is_better(
            self.leading, value - error if metric.lower_is_better else value + error
        )
        if better or near:
            self.best = {"step": self.step, **numbers}
        return better or near


class _Writer(Protocol):
    def add_scalar(self, tag: str, value: float, step: int) -> None: ...
    def close(self) -> None: ...


class Recorder:
    """Sends each line to metrics.jsonl and, where asked, to TensorBoard."""

    def __init__(self, run: Run, writer: _Writer | None = None) -> None:
        self._run = run
        self._writer = writer

    def write(self, line: dict[str, Any]) -> None:
        """Record one line; a nested dictionary becomes tags like `validation/loss`."""
        self._run.log(line)
        if self._writer is not None:
            for tag, value in _scalars(line):
                self._writer.add_scalar(tag, value, line["step"])

    def close(self) -> None:
        """Flush TensorBoard's buffers."""
        if self._writer is not None:
            self._writer.close()


def summary_writer() -> type:
    """The class that writes TensorBoard's events; `MissingExtra` without TensorBoard."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise MissingExtra("tensorboard", "tensorboard", "tensorboard = true") from error
    return SummaryWriter


def _scalars(line: dict[str, Any]) -> list[tuple[str, float]]:
    flat: list[tuple[str, float]] = []
    for name, value in line.items():
        if isinstance(value, dict):
            flat += [(f"{name}/{inner}", number) for inner, number in value.items()]
        elif name != "step":
            flat.append((f"training/{name}", value))
    return flat
