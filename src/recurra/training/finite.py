"""Numbers that aren't finite: what went bad first is named, and none is ever saved."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from recurra.errors import TrainingError
from recurra.nn.observe.nonfinite import Origin, backward_origin, forward_origin
from recurra.nn.observe.observer import reporting_names
from recurra.nn.observe.recording import recording
from recurra.nn.states import State, tensors_of
from recurra.runs import ranks
from recurra.training.protocols import Loss
from recurra.training.randomness import Before

__all__ = ["Bad", "first_bad", "require_finite"]


class Bad(NamedTuple):
    """What went bad first in a step, the remedy, and whether smaller steps may be one, too."""

    what: str
    remedy: str = ""
    slower: bool = True


def first_bad(
    model: nn.Module, loss: Loss, batch: Any, carried: State, before: Before
) -> Bad | None:
    """Name what isn't finite first in a failed step; None if all is.

    Looks at the parameters, the batch and the carried state, then repeats the step under the same
    random states and watches each module, then each gradient; at last it repeats the step with the
    recurrent layers recorded, to name the equation. All is left as before that step.
    """
    before.restore()
    at_rest = _at_rest(model, batch, carried)
    if at_rest is not None:
        return at_rest
    tensor = _in_repeat(model, loss, batch, carried, before)
    if tensor is None:
        return None
    origin = _equation(model, loss, batch, carried, before)
    return Bad(tensor) if origin is None else _of_equation(tensor, origin)


def _of_equation(tensor: str, origin: Origin) -> Bad:
    remedy = (
        f"The operands of that equation are up to {origin.largest:.3g} there: write it in a form "
        "that is finite for them; docs/cells.md lists functions for that."
    )
    return Bad(f"{tensor}; it began in {origin}", remedy, slower=origin.largest > _ORDINARY)


_ORDINARY = 10.0
"""Operands up to this are not what too large a learning rate makes of a network."""


def _equation(
    model: nn.Module, loss: Loss, batch: Any, carried: State, before: Before
) -> Origin | None:
    """The equation of a cell where the step stopped being finite; None if it is in no cell."""
    try:
        with recording() as recorder, reporting_names(model, recorder):
            value, _, _ = loss(model, batch, carried)
        for run in recorder.runs:
            origin = forward_origin(run)
            if origin is not None:
                return origin
        if _is_bad(value):
            return None
        backward = (backward_origin(run, value) for run in reversed(recorder.runs))
        return next(filter(None, backward), None)
    finally:
        before.restore()


def require_finite(model: nn.Module, others: Iterable[Tensor], step: int) -> None:
    """Raise `TrainingError` unless the model and `others` may be saved.

    Buffers may hold infinities, as masks do, but not NaN.
    """
    bad = _bad_weight(model)
    if bad is None and any(_is_bad(tensor) for tensor in others):
        bad = "the state of the optimiser, or the state carried from window to window"
    bad = next(filter(None, ranks.share(bad)), None)
    if bad:
        when = f"After step {step}" if step else "Before the first step"
        remedy = "lower learning_rate or set clip_norm" if step else "look at how it is initialised"
        raise TrainingError(f"{when}, {bad} is not finite, so it was not saved; {remedy}.")


def _is_bad(tensor: Tensor) -> bool:
    return _has_fractions(tensor) and not bool(torch.isfinite(tensor).all())


def _has_fractions(tensor: Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def _bad_weight(model: nn.Module) -> str | None:
    for name, weight in model.named_parameters():
        if _is_bad(weight):
            return f"the parameter {name}"
    for name, buffer in model.named_buffers():
        if _has_fractions(buffer) and bool(buffer.isnan().any()):
            return f"the buffer {name}"
    return None


def _at_rest(model: nn.Module, batch: Any, carried: State) -> Bad | None:
    if bad := _bad_weight(model):
        return Bad(bad)
    if any(map(_is_bad, tensors_of(batch))):
        return Bad("the batch of data", "Look at the data.", slower=False)
    if any(map(_is_bad, tensors_of(carried))):
        return Bad("the state carried from the window before")
    return None


def _in_repeat(
    model: nn.Module, loss: Loss, batch: Any, carried: State, before: Before
) -> str | None:
    found: list[str] = []
    try:
        with _watching(model, found):
            value, _, _ = loss(model, batch, carried)
            if _is_bad(value):
                found.append("the loss itself, though every module's output is finite")
            if not found:
                weights = [weight for weight in model.parameters() if weight.requires_grad]
                torch.autograd.grad(value, weights, allow_unused=True)
    finally:
        before.restore()
    return found[0] if found else None


@contextlib.contextmanager
def _watching(model: nn.Module, found: list[str]) -> Iterator[None]:
    """Note what goes through the modules and comes back as gradients, in the order it happens."""

    def note(name: str, value: Any) -> None:
        if any(map(_is_bad, tensors_of(value))):
            found.append(name)

    handles = []
    for name, module in model.named_modules():
        label = f"{name or 'the model'} ({type(module).__name__})"
        handles.append(module.register_forward_pre_hook(_input_hook(label, note), with_kwargs=True))
        handles.append(module.register_forward_hook(_output_hook(label, note)))
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            hook = _gradient_hook(name, note)
            handles.append(weight.register_hook(hook))  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


_Note = Callable[[str, Any], None]


def _input_hook(label: str, note: _Note) -> Callable[..., None]:
    return lambda module, inputs, named: note(f"the input of {label}", (inputs, named))


def _output_hook(label: str, note: _Note) -> Callable[..., None]:
    return lambda module, inputs, output: note(f"the output of {label}", output)


def _gradient_hook(name: str, note: _Note) -> Callable[..., None]:
    return lambda gradient: note(f"the gradient of {name}", gradient)
