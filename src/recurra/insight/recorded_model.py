"""A model run once with its recurrent layers recorded, and the losses that are followed."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pad_packed_sequence

from recurra.errors import InsightError
from recurra.nn.layers.arguments import check_module
from recurra.nn.observe.observer import reporting_names
from recurra.nn.observe.recording import LayerRun, recording
from recurra.nn.observe.stepped_model import recording_steps
from recurra.nn.observe.torch_layers import torch_layers_shown
from recurra.nn.stack.lookback import Dilated

__all__ = [
    "Loss",
    "Recording",
    "StepLosses",
    "call_model",
    "eager",
    "gradients_of",
    "joined",
    "record",
    "step_losses",
    "untouched",
]

Loss = Callable[[Any], Tensor]
"""From a model's output to a loss: one number, or one for each step, (T,)."""


@dataclass(frozen=True, eq=False)
class Recording:
    """The output of a model with the runs of its recurrent layers, in the order they ran in.

    `strides` holds each layer's dilation: the steps of the sequence between two of its own.
    """

    output: Any
    runs: tuple[LayerRun, ...]
    strides: tuple[int, ...]
    batch_first: bool

    def layers(self) -> Iterator[tuple[LayerRun, int]]:
        """Each run with its layer's dilation."""
        return zip(self.runs, self.strides, strict=True)

    def has_steps(self, count: int) -> bool:
        """Check whether a layer ran over so many steps."""
        return any(len(run.inputs) == -(-count // stride) for run, stride in self.layers())


def record(model: nn.Module, batch: Any, step: str | None = None) -> Recording:
    """Run `model` on `batch`: a tensor, a tuple of arguments, or a mapping of them by name.

    `step` names what computes a step of the model's own loop, as for `inspect`.

    Parameters, their gradients, the training mode and the state of torch's random numbers are left
    as they were; dropout follows the model's mode. Buffers that a forward pass changes (those of
    batch normalisation in training mode) are restored.

    Raises InsightError where no recurrent layer of recurra.nn or torch.nn runs, nor `step`.
    """
    check_module("insight", model)
    with contextlib.ExitStack() as stack:
        stack.enter_context(eager())
        stack.enter_context(untouched(model))
        recorder = stack.enter_context(recording())
        stack.enter_context(reporting_names(model, recorder))
        stepped = stack.enter_context(recording_steps(model, step))
        stack.enter_context(torch_layers_shown())
        output = call_model(model, batch)
    recorded = [*recorder.runs, *stepped.runs()]
    if not recorded:
        raise InsightError(
            f"No recurrent layer of recurra.nn or torch.nn runs in this {type(model).__name__}; "
            "where it loops over time itself, name what computes a step: "
            "recurra.inspect(model, loader, loss, step='cell')."
        )
    runs = joined(recorded)
    strides = tuple(_stride(model, run.name) for run in runs)
    return Recording(output, runs, strides, _is_batch_first(model))


def call_model(model: nn.Module, batch: Any) -> Any:
    """The model's output for a batch: a tensor, a tuple of arguments, or a mapping of them."""
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, (tuple, list)) and not isinstance(batch, PackedSequence):
        return model(*batch)
    return model(batch)


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Run with gradients, and without the code that torch.compile has made of the model."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


@contextlib.contextmanager
def untouched(model: nn.Module) -> Iterator[None]:
    """Restore random numbers and buffers at the end, so that runs draw the same masks."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(sorted(i for i in devices if i is not None)):
        try:
            yield
        finally:
            for buffer, before in buffers:
                if not torch.equal(buffer, before):
                    buffer.data.copy_(before)  # as data, so that a recorded graph stays valid


def _stride(model: nn.Module, run: str) -> int:
    """The dilation of the modules that hold a layer."""
    path, stride = run.partition(" ")[0].split("."), 1
    for end in range(1, len(path)):
        module = model.get_submodule(".".join(path[:end]))
        if isinstance(module, Dilated):
            stride *= module.dilation
    return stride


def _is_batch_first(model: nn.Module) -> bool:
    """Check whether the last recurrent layer takes its input with the batch first."""
    found = [m.batch_first for m in model.modules() if hasattr(m, "batch_first")]
    return bool(found and found[-1])


def joined(runs: Iterable[LayerRun]) -> tuple[LayerRun, ...]:
    """Join the runs of a module that each continue from the states that the one before ended with.

    Such runs are those of a layer that a loop calls step by step, with the states it returned.
    """
    found: dict[str, LayerRun] = {}
    for run in runs:
        name = run.name.partition(" (call ")[0]
        latest = next((k for k in reversed(found) if k.partition(" (call ")[0] == name), None)
        if latest is not None and _continues(found[latest], run):
            found[latest] = _join(found[latest], run)
        else:
            found[run.name] = run
    return tuple(found.values())


def _continues(run: LayerRun, later: LayerRun) -> bool:
    """Check whether a later run starts with the states that this run ended with."""
    ended, begun = run.after[run.order[-1]], later.before[later.order[0]]
    return all(s.shape == t.shape and torch.equal(s, t) for s, t in zip(ended, begun, strict=True))


def _join(run: LayerRun, later: LayerRun) -> LayerRun:
    first, second = (later, run) if run.reverse else (run, later)
    names = [name for name, _ in run.graph.givens]
    given = {name: torch.cat([first.params[name], second.params[name]]) for name in names}
    return replace(
        run,
        inputs=torch.cat([first.inputs, second.inputs]),
        params={**run.params, **given},
        active=torch.cat([first.active, second.active]),
        begins=torch.cat([first.begins, second.begins]),
        before=first.before + second.before,
        after=first.after + second.after,
    )


def gradients_of(loss: Tensor, nodes: Sequence[Tensor]) -> dict[int, Tensor | None]:
    """The gradient of a loss by each node, found by the node's id; None where it depends on none.

    Nodes without history, such as those of a layer under no_grad, are left out.
    """
    leaves = [node for node in nodes if node.requires_grad]
    if not leaves:
        return {}
    found = torch.autograd.grad(loss, leaves, retain_graph=True, allow_unused=True)
    return dict(zip(map(id, leaves), found, strict=True))


class StepLosses:
    """Losses by the step at which they are taken; a loss over the whole sequence has no step.

    Args:
        values: (T,), or one number.
        at: the steps requested, or None.
    """

    def __init__(self, values: Tensor, at: Sequence[int] | None) -> None:
        self.values = values
        self.steps: int | None = len(values) if values.dim() else None
        self._at = None if at is None else [self._place(step) for step in at]

    def at(self, *, reverse: bool) -> list[int | None]:
        """The steps of the losses for a direction: by default its last step."""
        if self._at is not None:
            return list(self._at)
        return [None if self.steps is None else 0 if reverse else self.steps - 1]

    def value(self, step: int | None) -> Tensor:
        """The loss at a step, or the only loss."""
        return self.values if step is None else self.values[step]

    def _place(self, step: int) -> int:
        if not isinstance(step, int):
            raise InsightError(f"at = {step!r} is not a step; give a whole number, or several.")
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
    """Half the sum of squares of the output: for each step where it has steps, else one sum."""
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
        f"The model's output is {type(output).__name__}, which has no default loss; give `loss`, a "
        "function from the output to one number or one for each step."
    )
