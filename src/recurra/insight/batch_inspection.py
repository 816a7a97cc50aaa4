"""`recurra.inspect`: any model of torch, on a batch of its own loader, with its own loss."""

from __future__ import annotations

import inspect as signatures
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from recurra.errors import InsightError
from recurra.insight.inspection import Inspection, inspect_model
from recurra.insight.recorded_model import Loss
from recurra.nn.layers.arguments import check_module

__all__ = ["inspect"]


def inspect(
    model: nn.Module,
    loader: Iterable[Any],
    loss: Callable[[Any, Any], Tensor] | None = None,
    *,
    step: str | None = None,
    memory: int | None = None,
    window: int | None = None,
) -> Inspection:
    """Analyse a model of yours on the first batch of its loader, with verdicts and remedies.

    Layers and cells of recurra.nn and torch.nn are found wherever the model calls them, subclasses
    too. The model is left as it was, in the mode that it is in.

    Args:
        model: any torch module.
        loader: gives batches: (input, target), more inputs before the target, or a mapping, of
            which the model gets the items that its `forward` names. A batch of 16 rows or more
            makes verdicts surer.
        loss: loss(output, target) as the training has it, torch's own for example; of a mapping,
            loss(output, batch). Without one the whole batch is input, and verdicts less sure.
        step: where the model loops over time itself, the name of the submodule, or of the method,
            that computes a step: it takes x (B, I) and its states (B, size), and returns the new
            states, after an output or not.
        memory: the number of steps back that the task needs, where you know it.
        window: the steps of a window of truncated BPTT in training.

    Raises:
        InsightError: the loader is empty, no recurrent layer runs, or the step or the loss can't
            be followed.

    Example:
        >>> model = torch.nn.LSTM(3, 8, batch_first=True)
        >>> batches = [(torch.randn(16, 40, 3), torch.randn(16))]
        >>> found = inspect(model, batches, lambda y, t: (y[0][:, -1, 0] - t).square().mean())
        >>> found.layers[0].flow.cell
        'LSTM'
    """
    check_module("inspect", model)
    with torch.random.fork_rng([]):
        batch = next(iter(loader), None)
    if batch is None:
        raise InsightError("The loader gives no batch; inspect needs one.")
    place = next((p.device for p in model.parameters()), torch.device("cpu"))
    batch = _moved(batch, place)
    if loss is None:
        return inspect_model(model, batch, step=step, memory=memory, window=window)
    inputs, target = _parts(model, batch)
    judged: Loss = lambda output: loss(output, target)  # noqa: E731
    return inspect_model(model, inputs, loss=judged, step=step, memory=memory, window=window)


def _parts(model: nn.Module, batch: Any) -> tuple[Any, Any]:
    """The model's inputs, and what the loss is of."""
    if isinstance(batch, Mapping):
        wanted = signatures.signature(model.forward).parameters.values()
        takes_all = any(p.kind is p.VAR_KEYWORD for p in wanted)
        names = {p.name for p in wanted}
        return {n: v for n, v in batch.items() if takes_all or n in names}, batch
    if not isinstance(batch, (tuple, list)) or len(batch) < 2:
        raise InsightError(
            f"The loader gives a {type(batch).__name__}, and loss(output, target) needs a target: "
            "give batches (input, target), or leave the loss out."
        )
    *inputs, target = batch
    return inputs[0] if len(inputs) == 1 else tuple(inputs), target


def _moved(batch: Any, place: torch.device) -> Any:
    """A batch on the model's device."""
    if isinstance(batch, Mapping):
        return {name: _moved(value, place) for name, value in batch.items()}
    if isinstance(batch, (tuple, list)) and not hasattr(batch, "batch_sizes"):
        return tuple(_moved(value, place) for value in batch)
    return batch.to(place) if hasattr(batch, "to") else batch
