"""Checkpoints of a training: what the loop needs to resume, gathered, saved and restored."""

import contextlib
import dataclasses
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from recurra.config.training_config import (
    EXTENDABLE,
    Budget,
    Metric,
    TrainingConfig,
    must_not_differ,
)
from recurra.errors import ConfigError, DataError, RunError
from recurra.nn.states import flatten, tensors_of, unflatten
from recurra.runs import ranks
from recurra.runs.run import Run
from recurra.runs.saving import Checkpoint, from_bytes, newest, prune, save, saving, to_bytes
from recurra.training import optim
from recurra.training.finite import require_finite
from recurra.training.loop_state import LoopState, Meter
from recurra.training.randomness import random_states, restore_random_states
from recurra.training.weight_average import WeightAverage

__all__ = ["Checkpoints"]

_FREE = ("best", "checkpoint_every", "log_every", "watch_every", "tensorboard")
"""Settings on which no weight depends, and `best`, which the metric stands for."""

_MEAN = "mean"
"""The group of the running mean among a checkpoint's tensors."""
_SECONDS, _TIMES_COST = 30.0, 20
"""Seconds between checkpoints, or so many times those that one takes, whichever is longer."""


class Checkpoints:
    """Those of a run: saves and restores model, optimiser and the loop's state.

    `windows` is their number in an epoch, `metric` chooses the best weights: a checkpoint with
    others, or with other settings than `config` has, isn't resumed. Of weights with a `mean` that
    is what the run holds.
    """

    def __init__(
        self,
        run: Run,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        config: TrainingConfig,
        windows: int,
        metric: Metric,
        mean: WeightAverage | None = None,
    ) -> None:
        self._run, self._model, self._optimizer = run, model, optimizer
        self._mean = mean
        self._fixed: dict[str, Any] = {
            "windows": windows,
            "metric": str(metric),
            "settings": _fixed_settings(config),
            "trained": list(optim.trained(model)),
        }
        self._every = config.checkpoint_every
        self._folder = run.path / "checkpoints"
        self._best: dict[str, Tensor] | None = None
        self._saved_at: int | None = None
        self._saved_seconds, self._cost = 0.0, 0.0

    def begin(self, resume: bool) -> LoopState | None:
        """Restore the newest checkpoint and give its state; None where there is none.

        Raises `RunError` where there is one and `resume` is false, or where it is damaged.
        """
        last = newest(self._folder)
        if last is None:
            self._run.truncate_lines({})
            return None
        if not resume:
            raise RunError(
                f"{self._run.path} has a checkpoint of step {last.step}; resume from it with "
                "--resume (from Python: resume=True), or make a new run."
            )
        _check_same(last.state, self._fixed)
        state = _restore(last, self._model, self._optimizer)
        if self._mean is not None:
            self._mean.load(_of(_MEAN, last.training))
        self._best, self._saved_at, self._saved_seconds = last.best, last.step, state.seconds
        if ranks.rank() == 0:
            prune(self._folder)
        self._run.truncate_lines(last.state["lines_bytes"])
        self._run.save_model(last.best or self._kept())
        return state

    def due(self, state: LoopState) -> bool:
        """Whether the next checkpoint is, by steps or by rank 0's clock: the same on all ranks."""
        if self._every is not None:
            return state.step % self._every == 0
        waited = state.seconds - self._saved_seconds
        return waited >= max(_SECONDS, _TIMES_COST * self._cost)

    def save(self, state: LoopState) -> None:
        """Save a checkpoint, unless that of this step is there; `TrainingError` if not finite."""
        if state.step == self._saved_at:
            return
        begun = time.monotonic()
        others = [*optim.tensors(self._optimizer).values(), *tensors_of(state.carried)]
        require_finite(self._model, others, state.step)
        numbers = {**self._fixed, "lines_bytes": self._run.sync_lines()}
        means = {} if self._mean is None else self._mean.tensors()
        checkpoint = _take(self._model, self._optimizer, state, self._best, means, **numbers)
        if ranks.rank() == 0:
            with saving(f"The checkpoint of step {state.step}", self._run.path):
                save(self._folder, checkpoint)
        if self._best is None:
            self._run.save_model(self._kept())
        self._saved_at, self._saved_seconds = state.step, state.seconds
        ((self._cost,), *_) = ranks.numbers([time.monotonic() - begun])

    def save_best(self, step: int) -> None:
        """Make the present weights the run's model.safetensors, until better ones come."""
        require_finite(self._model, [], step)
        self._best = self._weights()
        self._run.save_model(self._best)

    def _kept(self) -> dict[str, Tensor]:
        """The weights that the run holds without a validation."""
        with contextlib.nullcontext() if self._mean is None else self._mean.shown():
            return self._weights()

    def _weights(self) -> dict[str, Tensor]:
        weights = self._model.state_dict().items()
        return {name: tensor.detach().cpu().clone() for name, tensor in weights}


def _take(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    state: LoopState,
    best: dict[str, Tensor] | None,
    means: Mapping[str, Tensor],
    **more: Any,
) -> Checkpoint:
    """A checkpoint of model, optimiser and the states of all ranks; `more` is further JSON."""
    shape, carried = flatten(state.carried)
    own = _under("random", random_states()) | _under("carried", carried)
    training = _under("optimizer", optim.tensors(optimizer)) | _of_all_ranks(own)
    training |= _under(_MEAN, means)
    numbers = {name: value for name, value in vars(state).items() if name != "carried"}
    numbers |= {"meter": asdict(state.meter), "carried": ranks.share(shape), **more}
    return Checkpoint(state.step, model.state_dict(), training, best, numbers)


def _check_same(saved: dict[str, Any], fixed: dict[str, Any]) -> None:
    """Raise where the training that is to be resumed differs from the one that was saved."""
    for name, given in fixed["settings"].items():
        must_not_differ(name, given, saved["settings"][name], "the training of the checkpoint")
    if saved["windows"] != fixed["windows"]:
        raise DataError(
            f"The data has {fixed['windows']} windows an epoch, but had {saved['windows']} at the "
            "checkpoint; resume on the data that the run was started with."
        )
    if saved["metric"] != fixed["metric"]:
        raise ConfigError(
            f"The run has chosen its best weights by {saved['metric']}, and best is "
            f"{fixed['metric']} now; resume with the metric that it was started with."
        )
    before, now = len(saved["carried"]), ranks.world_size()
    if before != now:
        raise ConfigError(
            f"The checkpoint was saved by {_processes(before)}, and this is {_processes(now)}; "
            f"resume with as many as before: torchrun --nproc-per-node {before} on one machine."
        )


def _restore(
    checkpoint: Checkpoint, model: nn.Module, optimizer: torch.optim.Optimizer
) -> LoopState:
    """Restore model, optimiser and random states, and give the loop's state.

    Raises `RunError` for another model.
    """
    numbers = dict(checkpoint.state)
    try:
        model.load_state_dict(checkpoint.model)
    except RuntimeError as error:
        raise RunError(f"The checkpoint is of another model: {error}") from error
    _check_trained(numbers["trained"], list(optim.trained(model)))
    optim.load_tensors(optimizer, _of("optimizer", checkpoint.training))
    own = _of(f"rank{ranks.rank()}", checkpoint.training)
    restore_random_states(_of("random", own))
    device = next(model.parameters()).device
    shape = numbers["carried"][ranks.rank()]
    numbers["carried"] = unflatten(shape, _of("carried", own), device)
    numbers["meter"] = Meter(**numbers["meter"])
    for name in ("first_budget", "budget"):
        numbers[name] = Budget(*numbers[name])
    return LoopState(**{name: numbers[name] for name in vars(LoopState())})


def _check_trained(before: list[str], now: list[str]) -> None:
    """Raise where parameters are frozen that were not, or the other way round."""
    for name in sorted({*before} ^ {*now}):
        was = "trained" if name in before else "frozen"
        raise RunError(
            f"The checkpoint was made while {name} was {was}, which it isn't now; resume with "
            "the same parameters frozen as before."
        )


def _fixed_settings(config: TrainingConfig) -> dict[str, Any]:
    """The settings that weights depend on, which a resumed training must have, too."""
    names = {field.name for field in dataclasses.fields(TrainingConfig)}
    return {name: getattr(config, name) for name in sorted(names - {*EXTENDABLE, *_FREE})}


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"


def _of_all_ranks(own: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors that each rank has of its own, as `rank0/...` and so on."""
    parts = ranks.exchange(to_bytes(own))
    every = [from_bytes(data, f"The state of rank {rank}") for rank, data in enumerate(parts)]
    return {
        name: tensor
        for rank, tensors in enumerate(every)
        for name, tensor in _under(f"rank{rank}", tensors).items()
    }


def _under(group: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{group}/{name}": tensor for name, tensor in tensors.items()}


def _of(group: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    prefix = f"{group}/"
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }
