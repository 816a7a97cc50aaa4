"""From a panel to a trained model: each member of the ensemble, calibration, the final steps."""

import copy
import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from recurra.data.series.panel import Panel
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.data_checks import check_values
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets import ForecastNet, build, sizes_of
from recurra.tasks.forecast.nets.inference import batches
from recurra.tasks.forecast.windows.cutter import (
    WindowBatch,
    WindowCutter,
    cutter_for,
    training_windows,
)
from recurra.tasks.forecast.windows.splits import (
    Origins,
    SplitPoints,
    holdout_origins,
    split,
)
from recurra.training import Progress, Run, State, TrainingResult, fit

__all__ = [
    "Fitted",
    "check_trainable",
    "ended",
    "finish_member",
    "fit_model",
    "member_config",
    "train_member",
]


_VALIDATED = 512
"""Windows of the held-back part that choose the best weights."""


def train_member(
    config: ForecastConfig,
    net: ForecastNet,
    cutter: WindowCutter,
    points: SplitPoints,
    run: Run,
    *,
    resume: bool,
    progress: Progress | None,
) -> TrainingResult:
    """Train one network; afterwards it has the weights that did best on the held-back part."""
    result = fit(
        net,
        training_windows(config, cutter, points, config.seed),
        _loss,
        config=config,
        run=run,
        validate=_validation(cutter, holdout_origins(config, cutter.panel, points)),
        resume=resume,
        progress=progress,
    )
    net.load_state_dict(run.load_model())
    net.eval()
    return result


def finish_member(
    config: ForecastConfig,
    net: ForecastNet,
    cutter: WindowCutter,
    points: SplitPoints,
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
    everything = SplitPoints(lengths, points.first, lengths - config.horizon)
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


def _loss(net: nn.Module, batch: WindowBatch, state: State) -> tuple[torch.Tensor, int, State]:
    loss = net.loss(batch)  # type: ignore[operator]
    return loss, batch.values.numel(), None


def _validation(
    cutter: WindowCutter, origins: Origins
) -> Callable[[nn.Module], dict[str, float]] | None:
    if not len(origins.series):
        return None
    chosen = np.linspace(0, len(origins.series) - 1, _VALIDATED).round().astype(int)
    kept = Origins(*(part[np.unique(chosen)] for part in origins))

    def validate(net: nn.Module) -> dict[str, float]:
        total, rows = 0.0, 0
        for batch in batches(cutter, kept, with_actual=True):
            size = batch.values.shape[1]
            total += float(net.forecast_loss(batch)) * size  # type: ignore[operator]
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


class Fitted(NamedTuple):
    """What came of a training: the `model`, and as it was `before` it had been trained on what was
    held back; both None if it was interrupted. `results` are those of the members.
    """

    model: Model | None
    before: Model | None
    results: tuple[TrainingResult, ...]


def check_trainable(config: ForecastConfig, panel: Panel) -> None:
    """Raise what the network or the data would, before a run is made or replaced."""
    net = build(config, sizes_of(config, panel))
    check_values(config, panel)
    split(config, panel, net.lookback)


def fit_model(
    config: ForecastConfig, panel: Panel, run: Run, *, resume: bool, progress: Progress | None
) -> Fitted:
    """Train every member, each in a run of its own inside `run`."""
    sizes = sizes_of(config, panel)
    nets = tuple(build(member_config(config, n), sizes) for n in range(config.ensemble))
    points = split(config, panel, nets[0].lookback)
    cutter = cutter_for(config, panel, nets[0].lookback, limit=points.limit)

    def each(
        train: Callable[..., TrainingResult], nets: tuple[ForecastNet, ...], name: str = ""
    ) -> tuple[TrainingResult, ...]:
        results: list[TrainingResult] = []
        for number, net in enumerate(nets):
            folder = run.path / "members" / str(number) / name
            going_on = resume and (folder / "manifest.json").exists()
            member = Run.open(folder) if going_on else Run.create(folder, {"member": number})
            own, how = member_config(config, number), {"resume": going_on, "progress": progress}
            results.append(train(own, net, cutter, points, member, **how))
            if results[-1].stopped == "interrupted":
                break
        return tuple(results)

    results = each(train_member, nets)
    if results[-1].stopped == "interrupted":
        return Fitted(None, None, results)
    model = Model.trained(config, sizes, nets, cutter, holdout_origins(config, panel, points))
    if not config.final_steps:
        return Fitted(model, model, results)
    nets = copy.deepcopy(nets)
    final = each(finish_member, nets, "final")
    if final[-1].stopped == "interrupted":
        return Fitted(None, None, final)
    return Fitted(dataclasses.replace(model, nets=nets), model, results)
