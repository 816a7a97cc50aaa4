"""From a panel to a trained model: each member of the ensemble, calibration, the final steps."""

import copy
import dataclasses
from collections.abc import Callable
from typing import NamedTuple

from recurra.data.panel import Panel
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.forecast.members import build, finish_member, member_config, train_member
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.nets import ForecastNet
from recurra.tasks.forecast.setup import check_values, cutter_for, held_back, sizes_of, split
from recurra.training import Progress, Run, TrainingResult

__all__ = ["Fitted", "check_trainable", "fit_model"]


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
    parts = split(config, panel, nets[0].lookback)
    cutter = cutter_for(config, panel, nets[0].lookback, limit=parts.limit)

    def each(
        train: Callable[..., TrainingResult], nets: tuple[ForecastNet, ...], name: str = ""
    ) -> tuple[TrainingResult, ...]:
        results: list[TrainingResult] = []
        for number, net in enumerate(nets):
            folder = run.path / "members" / str(number) / name
            going_on = resume and (folder / "manifest.json").exists()
            member = Run.open(folder) if going_on else Run.create(folder, {"member": number})
            own, how = member_config(config, number), {"resume": going_on, "progress": progress}
            results.append(train(own, net, cutter, parts, member, **how))
            if results[-1].stopped == "interrupted":
                break
        return tuple(results)

    results = each(train_member, nets)
    if results[-1].stopped == "interrupted":
        return Fitted(None, None, results)
    model = Model.trained(config, sizes, nets, cutter, held_back(config, panel, parts))
    if not config.final_steps:
        return Fitted(model, model, results)
    nets = copy.deepcopy(nets)
    final = each(finish_member, nets, "final")
    if final[-1].stopped == "interrupted":
        return Fitted(None, None, final)
    return Fitted(dataclasses.replace(model, nets=nets), model, results)
