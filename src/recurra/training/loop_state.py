"""The state of the training loop: its place in the data, and what it has counted."""

from dataclasses import dataclass, field

from recurra.nn.states import State
from recurra.training.metrics import Meter, Stepped

__all__ = ["LoopState"]


@dataclass
class LoopState:
    """Everything the loop knows besides weights, optimiser and random states."""

    step: int = 0
    epoch: int = 0  # the one under way, from 0
    index: int = 0  # its next window
    carried: State = None
    best: dict[str, float] = field(default_factory=dict)  # empty before the first validation
    since_best: int = 0  # validations without improvement
    validated: int = 0  # the step of the last validation
    last_validation: float | None = None
    tokens: int = 0
    clipped: int = 0
    seconds: float = 0.0
    meter: Meter = field(default_factory=Meter)

    @property
    def epochs_begun(self) -> int:
        """The epoch of the last step, counted from 1."""
        return self.epoch + 1 if self.index else self.epoch

    def add(self, stepped: Stepped, windows: int) -> None:
        """Count a step and go on to the next window; an epoch of `windows` begins without state."""
        self.meter.add(stepped)
        self.step += 1
        self.tokens += stepped.tokens
        self.clipped += stepped.clipped
        self.index, self.carried = self.index + 1, stepped.carried
        if self.index == windows:
            self.epoch, self.index, self.carried = self.epoch + 1, 0, None

    def judge(self, found: dict[str, float]) -> bool:
        """Take note of a validation; whether it is the best so far."""
        self.validated, self.last_validation = self.step, found["loss"]
        better = not self.best or found["loss"] < self.best["loss"]
        self.since_best = 0 if better else self.since_best + 1
        if better:
            self.best = {"step": self.step, **found}
        return better
