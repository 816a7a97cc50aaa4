"""The state of the loop: where it is, what it has counted, and how that goes into a checkpoint."""

from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import DataError, RunError
from recurra.training import optim
from recurra.training.carried import flatten, unflatten
from recurra.training.checkpoint import Checkpoint
from recurra.training.metrics import Meter, Stepped
from recurra.training.protocols import State
from recurra.training.randomness import random_states, restore_random_states

__all__ = ["LoopState", "restore", "take"]


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


def take(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: LoopState,
    best: dict[str, Tensor] | None,
    **more: Any,
) -> Checkpoint:
    """A checkpoint of all that; `more` is JSON kept beside it."""
    shape, carried = flatten(state.carried)
    training = (
        _under("optimizer", optim.tensors(optimizer))
        | _under("random", random_states())
        | _under("carried", carried)
    )
    numbers = {name: value for name, value in vars(state).items() if name != "carried"}
    numbers |= {"meter": asdict(state.meter), "carried": shape, **more}
    return Checkpoint(state.step, model.state_dict(), training, best, numbers)


def restore(
    checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer, *, windows: int
) -> LoopState:
    """Put model, optimiser and random states back, and give the loop's state.

    Raises `RunError` for another model, `DataError` where an epoch no longer has `windows` windows.
    """
    numbers = dict(checkpoint.state)
    if numbers["windows"] != windows:
        raise DataError(
            f"The data has {windows} windows an epoch, but had {numbers['windows']} at the "
            "checkpoint; resume on the data that the run began with."
        )
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        raise RunError(f"The checkpoint is of another model: {error}") from error
    optim.load_tensors(optimizer, _of("optimizer", checkpoint.training))
    restore_random_states(_of("random", checkpoint.training))
    device = next(model.parameters()).device
    numbers["carried"] = unflatten(numbers["carried"], _of("carried", checkpoint.training), device)
    numbers["meter"] = Meter(**numbers["meter"])
    return LoopState(**{name: numbers[name] for name in vars(LoopState())})


def _under(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def _of(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
