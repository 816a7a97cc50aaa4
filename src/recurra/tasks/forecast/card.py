"""The model card of a forecaster: what it is, what it was made from, how good it is, its use."""

import platform
from collections.abc import Sequence

import torch

from recurra import __version__
from recurra.data.series.panel import Panel
from recurra.reports import Table
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
from recurra.tasks.forecast.model import Model
from recurra.training import Run, TrainingResult

__all__ = ["model_card"]


def model_card(
    run: Run,
    model: Model,
    panel: Panel,
    results: Sequence[TrainingResult],
    found: Backtest | None,
) -> str:
    """The card as Markdown; `found` is the judgement of the held-back part, where there is one."""
    config = model.config
    future = " --future-data next.csv" if config.future else ""
    return "\n".join(
        [
            f"# A forecaster of {config.horizon} steps ({panel.frequency.name})",
            "",
            *_listed(model_facts(model)),
            f"- Seed {config.seed}; recurra {__version__}, torch {torch.__version__}, "
            f"Python {platform.python_version()}",
            "",
            "## Data",
            "",
            *_listed(data_facts(panel, run.config["data"])),
            f"- SHA-256 of the values: {run.config['values digest']}",
            *(f"- {note}" for note in data_notes(model, panel)),
            "",
            "## Training",
            "",
            *_table(training_table(results, config.seed)),
            "",
            "## Quality on the held-back part",
            "",
            *_quality(found),
            "",
            "## Use",
            "",
            "```sh",
            f"recurra forecast {run.path}{future} -o forecast.csv --plot forecast.png",
            f"recurra forecast {run.path} new.csv{future} -o forecast.csv",
            f"recurra evaluate {run.path} --backtest 5",
            "```",
            "",
        ]
    )


def _quality(found: Backtest | None) -> list[str]:
    if found is None:
        return ["Nothing that is known was held back: the series are too short for it."]
    told = quality_of(found)
    return [
        f"**{told.pop('verdict')}**",
        "",
        *_table(judgement_table(found.judgement, meanings=True)),
        "",
        *_listed(told),
        "",
        HELD_BACK,
    ]


def _listed(facts: dict[str, object]) -> list[str]:
    return [f"- {name[0].upper()}{name[1:]}: {value}" for name, value in facts.items()]


def _table(table: Table) -> list[str]:
    lines = [table.columns, ["---"] * len(table.columns), *table.rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines]
