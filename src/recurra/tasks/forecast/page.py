"""report.html of a forecaster: its data, how it trained, how good it is, what it forecasts."""

from collections.abc import Sequence

from recurra.data.series.read import Panel
from recurra.plots import plot_members
from recurra.reports import Section, drawn_section, report
from recurra.tasks.forecast.evaluation.rolling import Backtest
from recurra.tasks.forecast.facts import (
    HELD_BACK,
    data_facts,
    data_notes,
    judgement_table,
    model_facts,
    quality_of,
    training_table,
)
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.pictures import judged_figure, unit_of
from recurra.training import Run, TrainingResult

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
        drawn_section(
            "Forecasts of the held-back part",
            lambda: judged_figure(found, model.sizes.season, unit_of(model.config)),
            caption,
        ),
    ]


def _learning(run: Run, members: int) -> list[Section]:
    found = {
        f"member {number + 1}": Run.open(run.path / "members" / str(number)).metrics()
        for number in range(members)
    }
    if not any("loss" in row or "validation" in row for rows in found.values() for row in rows):
        return [Section("Learning curves", {"": "no step was logged"})]
    return [drawn_section("Learning curves", lambda: plot_members(found), _LEARNT)]
