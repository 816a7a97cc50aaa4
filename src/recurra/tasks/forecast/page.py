"""report.html of a forecaster: its data, how it trained, how good it is, what it forecasts."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from recurra.data.series.panel import Panel
from recurra.errors import MissingExtra
from recurra.plots import plot_learning, svg
from recurra.reports import Picture, Section, report
from recurra.tasks.forecast.evaluation.backtest import Backtest
from recurra.tasks.forecast.facts import (
    HELD_BACK,
    data_facts,
    data_notes,
    judgement_table,
    model_facts,
    quality_of,
    training_table,
)
from recurra.tasks.forecast.figures import backtest_figure, unit_of
from recurra.tasks.forecast.model import Model
from recurra.training import Run, TrainingResult

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = ["page"]

_JUDGED = (
    "The worst series, the best and some between, by {}: of each the window that did as well as "
    "its windows do on average. Black is what was known and, after the line, what came."
)
_LEARNT = "Thin: training. Dots: the held-back part, on which the best weights are chosen."


def page(
    run: Run,
    model: Model,
    panel: Panel,
    results: Sequence[TrainingResult],
    found: Backtest | None,
) -> str:
    """The page as HTML; `found` is the judgement of the held-back part, where there is one."""
    config = model.config
    sections = [
        *_quality(found, model),
        Section("Data", data_facts(panel, run.config["data"])),
        Section("To know of the series", "\n".join(data_notes(model, panel))),
        Section("Model", model_facts(model)),
        Section("Training", training_table(results, config.seed)),
        *_learning(run, config.ensemble),
    ]
    return report(f"Forecasts of {config.horizon} steps ({panel.frequency.name})", sections)


def _quality(found: Backtest | None, model: Model) -> list[Section]:
    title = "The held-back part"
    if found is None:
        return [
            Section(title, {"": "nothing that is known was held back: the series are too short"})
        ]
    caption = _JUDGED.format(found.judgement.deciding())
    return [
        Section(title, {**quality_of(found), "to know": HELD_BACK}),
        Section("Beside the baselines", judgement_table(found.judgement, meanings=True)),
        _drawn(
            "Forecasts of the held-back part",
            caption,
            lambda: backtest_figure(found, model.sizes.season, unit_of(model.config)),
        ),
    ]


def _learning(run: Run, members: int) -> list[Section]:
    found = {
        f"member {number + 1}": Run.open(run.path / "members" / str(number)).metrics()
        for number in range(members)
    }
    if not any("loss" in row or "validation" in row for rows in found.values() for row in rows):
        return [Section("Learning curves", {"": "no step was logged"})]
    return [_drawn("Learning curves", _LEARNT, lambda: plot_learning(found))]


def _drawn(title: str, caption: str, draw: Callable[[], "Figure"]) -> Section:
    """A picture; without matplotlib a sentence stands for it."""
    try:
        return Section(title, Picture(svg(draw()), caption))
    except MissingExtra as absent:
        return Section(title, {"": absent})
