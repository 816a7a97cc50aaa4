"""The losses whose gradients are followed: at which steps, and what they are by default."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from recurra.errors import InsightError
from recurra.insight.record import Loss, Recording

__all__ = ["StepLosses", "step_losses"]


class StepLosses:
    """Losses by the step at which they are taken; a loss over the whole has no step of its own.

    Args:
        values: (T,), or one number.
        at: the steps asked for, or None.
    """

    def __init__(self, values: Tensor, at: Sequence[int] | None) -> None:
        self.values = values
        self.steps = len(values) if values.dim() else None
        self._at = None if at is None else [self._place(step) for step in at]

    def at(self, *, reverse: bool) -> list[int | None]:
        """Where the losses for a direction stand: unless told, at the end of its way."""
        if self._at is not None:
            return list(self._at)
        return [None if self.steps is None else 0 if reverse else self.steps - 1]

    def value(self, step: int | None) -> Tensor:
        """The loss at a step, or the one loss there is."""
        return self.values if step is None else self.values[step]

    def _place(self, step: int) -> int:
        if self.steps is None:
            raise InsightError(
                f"at = {step} was given, and the loss is one number for all steps; let it return "
                "one for each step, of shape (T,), or leave `at` out."
            )
        if not -self.steps <= step < self.steps:
            raise InsightError(
                f"at = {step} lies outside the sequence of {self.steps} steps; give a step from "
                f"{-self.steps} to {self.steps - 1}."
            )
        return step % self.steps


def step_losses(recording: Recording, loss: Loss | None, at: Sequence[int] | None) -> StepLosses:
    """The losses of a recorded run. Raises InsightError for one that can't be followed."""
    values = _default(recording) if loss is None else loss(recording.output)
    if not isinstance(values, Tensor) or values.dim() > 1 or not values.is_floating_point():
        given = f"{list(values.shape)}" if isinstance(values, Tensor) else type(values).__name__
        raise InsightError(
            f"The loss is {given}; it must be one number, or one for each step: a float tensor of "
            "shape () or (T,)."
        )
    losses = StepLosses(values, at)
    if not bool(values.isfinite().all()):
        step = int((~values.isfinite()).flatten().nonzero()[0]) if values.dim() else None
        where = "" if step is None else f" at step {step}"
        raise InsightError(
            f"The loss is not finite{where}; look for NaN in the input, or for weights and states "
            "that have exploded."
        )
    if not values.requires_grad:
        raise InsightError(
            f"The loss doesn't depend on {recording.runs[0].name}, nor on any other recurrent "
            "layer; compute it from the model's output, without detach() or no_grad()."
        )
    return losses


def _default(recording: Recording) -> Tensor:
    """Half the sum of squares of the output: of each step where it has steps, or of all."""
    output = _first_tensor(recording.output, recording.batch_first)
    time = 1 if recording.batch_first else 0
    squares = output.square() / 2
    if output.dim() == 3 and recording.has_steps(output.shape[time]):
        return squares.transpose(0, time).flatten(1).sum(1)
    is_single = recording.runs[-1].active.shape[1] == 1
    if output.dim() == 2 and is_single and recording.has_steps(len(output)):
        return squares.sum(1)
    return squares.sum()


def _first_tensor(output: Any, batch_first: bool) -> Tensor:
    if isinstance(output, PackedSequence):
        return pad_packed_sequence(output, batch_first)[0]
    if isinstance(output, Tensor) and output.is_floating_point():
        return output
    if isinstance(output, (tuple, list)) and output:
        return _first_tensor(output[0], batch_first)
    raise InsightError(
        f"The model's output is {type(output).__name__}, of which no loss is known; give `loss`, a "
        "function from the output to one number or one for each step."
    )
