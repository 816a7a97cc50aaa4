"""From a panel to a trained model: every member of the ensemble, then the calibration."""

from weft.data.panel import Panel
from weft.tasks.forecast.config import ForecastConfig
from weft.tasks.forecast.members import build, member_config, train_member
from weft.tasks.forecast.model import Model
from weft.tasks.forecast.setup import check_transform, cutter_for, held_back, sizes_of, split
from weft.training import Progress, Run, TrainingResult

__all__ = ["check_trainable", "fit_model"]


def check_trainable(config: ForecastConfig, panel: Panel) -> None:
    """Raise what the network or the data would, before a run is made or replaced."""
    check_transform(config, panel)
    split(config, panel, build(config, sizes_of(config, panel)).lookback)


def fit_model(
    config: ForecastConfig, panel: Panel, run: Run, *, resume: bool, progress: Progress | None
) -> tuple[Model | None, tuple[TrainingResult, ...]]:
    """Train every member, each in a run of its own inside `run`; no model if interrupted."""
    sizes = sizes_of(config, panel)
    nets, results = [], []
    for number in range(config.ensemble):
        own = member_config(config, number)
        net = build(own, sizes)
        parts = split(config, panel, net.lookback)
        cutter = cutter_for(config, panel, net.lookback, limit=parts.limit)
        folder = run.path / "members" / str(number)
        going_on = resume and (folder / "manifest.json").exists()
        member = Run.open(folder) if going_on else Run.create(folder, {"member": number})
        results.append(
            train_member(own, net, cutter, parts, member, resume=going_on, progress=progress)
        )
        nets.append(net)
        if results[-1].stopped == "interrupted":
            return None, tuple(results)
    held = held_back(config, panel, parts)
    model = Model.trained(config, sizes, tuple(nets), cutter, held)
    return model, tuple(results)
