"""The model card and the report of a run on a long-range problem."""

import platform

import torch

from recurra import __version__
from recurra.reports import Section, report, watched_sections
from recurra.tasks.long_range.config import LongRangeConfig
from recurra.tasks.long_range.model import Measured
from recurra.training import Run, TrainingResult

__all__ = ["card", "page"]


def card(config: LongRangeConfig, parameters: int, result: TrainingResult, test: Measured) -> str:
    """The card as Markdown."""
    facts = {
        "Problem": f"{config.task.summary} ({config.task.source}), {config.steps} steps",
        "Model": f"{_model(config)}, {parameters:,} parameters",
        **_training(result),
        **{name.capitalize(): value for name, value in _test(config, test).items()},
        "Made with": f"seed {config.seed}; recurra {__version__}, torch {torch.__version__}, "
        f"Python {platform.python_version()}",
    }
    lines = [f"- {name}: {value}" for name, value in facts.items()]
    return "\n".join([f"# {config.problem}, T = {config.length}", "", *lines, ""])


def page(config: LongRangeConfig, run: Run, result: TrainingResult, test: Measured) -> str:
    """The page as HTML."""
    sections = [
        Section("Problem", {config.problem: config.task.summary, "steps": config.steps}),
        Section("Model", {config.cell: _model(config)}),
        Section("Test", _test(config, test)),
        Section("Training", _training(result)),
        Section("Curves", run.metrics()),
        *watched_sections(run.gradients()),
    ]
    return report(f"{config.problem}, T = {config.length}: {config.cell}", sections)


def _model(config: LongRangeConfig) -> str:
    extras = {
        "skip": config.skip,
        "norm": config.norm,
        "init": config.init,
    }
    told = [f"{name} {value}" for name, value in extras.items() if value not in ("", "none", None)]
    told += ["orthogonal recurrence"] if config.orthogonal else []
    return ", ".join([f"{config.cell}, {config.layers} x {config.hidden} hidden units", *told])


def _training(result: TrainingResult) -> dict[str, object]:
    return {
        "Training": f"{result.steps:,} steps, {result.seconds / 60:.1f} minutes, "
        f"{result.clipped_share:.1%} of steps clipped, ended: {result.stopped}",
        "Best validation": f"loss {result.best['loss']:.3g} after {result.best['step']:,} steps",
    }


def _test(config: LongRangeConfig, test: Measured) -> dict[str, object]:
    accuracy = {} if test.accuracy is None else {"test accuracy": f"{test.accuracy:.2%}"}
    chance = f"{config.task.chance(config.length):.3g} ({config.task.measure})"
    return {"test loss": f"{test.loss:.3g} ({config.task.loss})", **accuracy, "by chance": chance}
