"""A model run once with its recurrent layers recorded; the model is left as it was."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.errors import InsightError
from recurra.nn.observe.observer import reporting_names
from recurra.nn.observe.recording import LayerRun, recording
from recurra.nn.stack.lookback import Dilated

__all__ = ["Loss", "Recording", "eager", "joined", "record"]


Loss = Callable[[Any], Tensor]
"""From a model's output to a loss: one number, or one for each step, (T,)."""


@dataclass(frozen=True, eq=False)
class Recording:
    """The output of a model with what its recurrent layers did, in the order they ran in.

    `strides` are for each layer how many steps of the sequence lie between two of its own: its
    dilation.
    """

    output: Any
    runs: tuple[LayerRun, ...]
    strides: tuple[int, ...]
    batch_first: bool

    def has_steps(self, count: int) -> bool:
        """Whether so many steps are what a layer ran over."""
        pairs = zip(self.runs, self.strides, strict=True)
        return any(len(run.inputs) == -(-count // stride) for run, stride in pairs)


def record(model: nn.Module, batch: Any) -> Recording:
    """Run `model` on `batch`: a tensor, a tuple of arguments, or a mapping of them by name.

    Parameters, their gradients, the training mode and the state of torch's random numbers are left
    as they were; dropout works as the model's mode has it. Buffers that a forward pass moves (those
    of batch normalisation in training mode) are put back.

    Raises InsightError where no recurrent layer of Recurra runs.
    """
    with eager(), _untouched(model), recording() as recorder, reporting_names(model, recorder):
        output = _call(model, batch)
    if not recorder.runs:
        raise InsightError(
            f"No recurrent layer of Recurra runs in this {type(model).__name__}; use layers of "
            "recurra.nn, or swap torch's for them with recurra.accelerate(model)."
        )
    runs = joined(recorder.runs)
    strides = tuple(_stride(model, run.name) for run in runs)
    return Recording(output, runs, strides, _is_batch_first(model))


def _call(model: nn.Module, batch: Any) -> Any:
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, (tuple, list)) and not isinstance(batch, PackedSequence):
        return model(*batch)
    return model(batch)


@contextlib.contextmanager
def eager() -> Iterator[None]:
    """Gradients on, and what torch.compile has made of the model left aside."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        if "torch._dynamo" in sys.modules:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


@contextlib.contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """Random numbers and buffers as they were, once done."""
    buffers = [(buffer, buffer.clone()) for buffer in model.buffers()]
    devices = {p.device.index for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(sorted(i for i in devices if i is not None)):
        try:
            yield
        finally:
            with torch.no_grad():
                for buffer, before in buffers:
                    if not torch.equal(buffer, before):
                        buffer.copy_(before)


def _stride(model: nn.Module, run: str) -> int:
    """The dilation of the modules that hold a layer."""
    path, stride = run.partition(" ")[0].split("."), 1
    for end in range(1, len(path)):
        module = model.get_submodule(".".join(path[:end]))
        if isinstance(module, Dilated):
            stride *= module.dilation
    return stride


def _is_batch_first(model: nn.Module) -> bool:
    """How the last recurrent layer takes its input."""
    found = [m.batch_first for m in model.modules() if hasattr(m, "batch_first")]
    return bool(found and found[-1])


def joined(runs: Iterable[LayerRun]) -> tuple[LayerRun, ...]:
    """The runs, those joined to one that go on from where the one before of their module ended.

    Such is a layer that a loop calls step by step, with the states it returned.
    """
    found: dict[str, LayerRun] = {}
    for run in runs:
        name = run.name.partition(" (call ")[0]
        latest = next((k for k in reversed(found) if k.partition(" (call ")[0] == name), None)
        if latest is not None and _goes_on(found[latest], run):
            found[latest] = _join(found[latest], run)
        else:
            found[run.name] = run
    return tuple(found.values())


def _goes_on(run: LayerRun, later: LayerRun) -> bool:
    """Whether a later run starts with the states that a run ended with."""
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
