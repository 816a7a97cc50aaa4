"""What is written of a training at its end: README.md and report.html."""

from collections.abc import Sequence

from recurra.data.series.panel import Panel
from recurra.tasks.forecast.card import model_card
from recurra.tasks.forecast.evaluation.backtest import Backtest
from recurra.tasks.forecast.evaluation.holdout import judge_holdout
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.page import page
from recurra.training import Run, TrainingResult

__all__ = ["describe"]


def describe(
    run: Run, model: Model, panel: Panel, results: Sequence[TrainingResult]
) -> Backtest | None:
    """Judge the model on the held-back part, and write the run's model card and report.

    Gives the judgement; None where nothing that is known was held back.
    """
    found = judge_holdout(model, panel)
    run.write_text("README.md", model_card(run, model, panel, results, found))
    run.write_text("report.html", page(run, model, panel, results, found))
    return found
