"""Numbers that aren't finite: the first tensor that went bad is named, and none is ever saved."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import TrainingError
from recurra.nn.states import State, tensors_of
from recurra.runs import ranks
from recurra.training.progress import Loss
from recurra.training.randomness import Before

__all__ = ["first_bad", "require_finite"]


def first_bad(
    model: nn.Module, loss: Loss, batch: Any, carried: State, before: Before
) -> str | None:
    """Name the first tensor of a failed step that isn't finite; None if all are.

    Looks at the parameters, the batch and the carried state, then repeats the step under the same
    random states and watches each module, then each gradient. All is left as before that step.
    """
    before.restore()
    return _at_rest(model, batch, carried) or _in_repeat(model, loss, batch, carried, before)


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


def _at_rest(model: nn.Module, batch: Any, carried: State) -> str | None:
    if bad := _bad_weight(model):
        return bad
    if any(map(_is_bad, tensors_of(batch))):
        return "the batch of data"
    if any(map(_is_bad, tensors_of(carried))):
        return "the state carried from the window before"
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
