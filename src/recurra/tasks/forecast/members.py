"""Training: one network, or several from one seed after another, each a run of its own."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.nets import ForecastNet, Sizes, new_net
from recurra.tasks.forecast.predict import batches
from recurra.tasks.forecast.setup import Parts, held_back, training_windows
from recurra.tasks.forecast.windows import Batch, Cutter, Origins
from recurra.training import Progress, Run, State, TrainingResult, fit

__all__ = ["build", "ended", "finish_member", "member_config", "train_member"]

_VALIDATED = 512
"""Windows of the held-back part that choose the best weights."""


def build(config: ForecastConfig, sizes: Sizes) -> ForecastNet:
    """A network as its training begins: torch's random numbers are seeded with `config.seed`."""
    torch.manual_seed(config.seed)
    return new_net(config, sizes)


def train_member(
    config: ForecastConfig,
    net: ForecastNet,
    cutter: Cutter,
    parts: Parts,
    run: Run,
    *,
    resume: bool,
    progress: Progress | None,
) -> TrainingResult:
    """Train one network; afterwards it has the weights that did best on the held-back part."""
    result = fit(
        net,
        training_windows(config, cutter, parts, config.seed),
        _loss,
        config=config,
        run=run,
        validate=_validation(cutter, held_back(config, cutter.panel, parts)),
        resume=resume,
        progress=progress,
    )
    net.load_state_dict(run.load_model())
    net.eval()
    return result


def finish_member(
    config: ForecastConfig,
    net: ForecastNet,
    cutter: Cutter,
    parts: Parts,
    run: Run,
    *,
    resume: bool,
    progress: Progress | None,
) -> TrainingResult:
    """Train a chosen network on for `final_steps`, the held-back part now among its windows, from
    the rate where the schedule ends and down by as much again; it has its last weights then.
    """
    rate = config.learning_rate * config.final_learning_rate
    lengths = cutter.panel.lengths
    everything = Parts(lengths, parts.first, lengths - config.horizon)
    own = dataclasses.replace(
        config,
        max_steps=config.final_steps,
        learning_rate=rate or config.learning_rate,
        warmup_steps=0,
        schedule="cosine",
        validate_every=None,
        patience=None,
    )
    windows = training_windows(own, cutter, everything, config.seed)
    result = fit(net, windows, _loss, config=own, run=run, resume=resume, progress=progress)
    net.eval()
    return result


def _loss(net: nn.Module, batch: Batch, state: State) -> tuple[torch.Tensor, int, State]:
    loss = net.loss(batch)  # type: ignore[operator]
    return loss, batch.values.numel(), None


def _validation(cutter: Cutter, origins: Origins) -> Callable[[nn.Module], dict[str, float]] | None:
    if not len(origins.series):
        return None
    chosen = np.linspace(0, len(origins.series) - 1, _VALIDATED).round().astype(int)
    kept = Origins(*(part[np.unique(chosen)] for part in origins))

    def validate(net: nn.Module) -> dict[str, float]:
        total, rows = 0.0, 0
        for batch in batches(cutter, kept, with_truth=True):
            size = batch.values.shape[1]
            total += float(net.judge(batch)) * size  # type: ignore[operator]
            rows += size
        return {"loss": total / rows}

    return validate


def member_config(config: ForecastConfig, number: int) -> ForecastConfig:
    """The configuration of one member of an ensemble."""
    return dataclasses.replace(config, seed=config.seed + number, ensemble=1)


def ended(result: TrainingResult) -> dict[str, Any]:
    """What of a result is kept in the member's run."""
    kept = dataclasses.asdict(result)
    del kept["path"]
    return kept
