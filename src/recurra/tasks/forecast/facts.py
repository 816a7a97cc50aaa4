"""What is to be told of a forecaster's data, model, training and quality: names and texts."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from recurra.data.series.panel import Panel
from recurra.reports import Table
from recurra.tasks.forecast.config import MODELS
from recurra.tasks.forecast.data_checks import series_warnings
from recurra.tasks.forecast.evaluation.backtest import Backtest
from recurra.tasks.forecast.evaluation.baselines import MEANINGS
from recurra.tasks.forecast.evaluation.judgement import Judgement
from recurra.tasks.forecast.frames import MODEL_NAME
from recurra.tasks.forecast.intervals.sample_size import interval_warnings
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.windows.splits import split
from recurra.training import TrainingResult

__all__ = [
    "CALIBRATED_ON",
    "HELD_BACK",
    "coverage_of",
    "data_facts",
    "data_notes",
    "judgement_table",
    "model_facts",
    "quality_of",
    "training_table",
]

HELD_BACK = (
    "No weights were trained on these windows, but the best weights were chosen on them, so they "
    "flatter the model; each window's intervals were calibrated on others. `recurra evaluate RUN "
    "--backtest 5` is the stricter test."
)

CALIBRATED_ON = (
    "No weights were trained on these windows, but the best weights were chosen and the intervals "
    "calibrated on them, so they flatter the model; --backtest trains anew on what came before."
)

_UNMEASURED = (
    "how often the intervals hold was not measured: too few held-back windows don't overlap, and "
    "they were needed to calibrate; --backtest measures it"
)

_METRICS = {
    "MASE": "{:.3f}",
    "sMAPE": "{:.2f}",
    "OWA": "{:.3f}",
    "MAE": "{:.4g}",
    "MSE": "{:.4g}",
    "wQL": "{:.4f}",
    "CRPS": "{:.4g}",
}

_LONG = ("MSE", "wQL")


def data_facts(panel: Panel, source: str | None) -> dict[str, object]:
    """Where the series come from, how many there are and how long; `source` is a path or None."""
    missing, frequency = int(np.isnan(panel.y).sum()), panel.frequency
    lengths = panel.lengths
    facts: dict[str, object] = {
        "table": source or "a frame",
        "series": f"{len(panel):,}",
        "values": f"{len(panel.y):,}, of which {missing:,} missing ({missing / len(panel.y):.1%})",
        "frequency": f"{frequency.name}, a season of {frequency.season} steps",
        "stamps": f"{_stamp(panel.starts.min())} to {_stamp(panel.last.max())}",
        "steps of a series": f"{lengths.min():,} to {lengths.max():,}",
    }
    columns = panel.schema.columns
    for kind in ("past", "future", "static"):
        if getattr(columns, kind):
            facts[f"{kind} covariates"] = ", ".join(getattr(columns, kind))
    return facts


def data_notes(model: Model, panel: Panel) -> list[str]:
    """A sentence for each thing to know of the series: those left out, too short, constant, and
    whether too little was held back for the intervals.
    """
    config = model.config
    points = split(config, panel, model.nets[0].lookback)
    held, short = points.limit < panel.lengths, points.last < points.first
    notes = series_warnings(panel, config.horizon)
    steps = config.held_steps(panel.lengths)
    until = ", until the final steps of training" if config.final_steps else ""
    notes.append(
        f"The last {steps} steps of {held.sum():,} of {len(panel):,} series were held back{until}."
    )
    if (~held & ~short).any():
        notes.append(f"{panel.naming(~held & ~short)} are too short for that: trained on whole.")
    if short.any():
        notes.append(
            f"{panel.naming(short)} are too short to train on, and are forecast all the same."
        )
    return notes + interval_warnings(config, panel)


def model_facts(model: Model) -> dict[str, object]:
    """What the networks are."""
    config, net = model.config, model.nets[0]
    facts: dict[str, object] = {
        "model": f"{config.model}: {MODELS[config.model]}",
        "cell": config.cell,
        "layers": f"{config.layers} of {config.hidden} hidden units",
        "parameters": f"{net.parameter_count():,}" + (" a member" if config.ensemble > 1 else ""),
        "members": config.ensemble,
        "reads": f"{net.lookback:,} steps",
        "forecasts": f"{config.horizon:,} steps",
        "quantiles": ", ".join(f"{level:g}" for level in config.levels),
        "scaling": f"{config.scaling}, transform {config.transform}",
    }
    if config.final_steps:
        facts["final steps"] = f"{config.final_steps:,} on all of the data, the held-back part too"
    if config.model == "autoregressive":
        return {**facts, "distribution": config.distribution}
    return {**facts, "trained for": config.loss}


def training_table(results: Sequence[TrainingResult], seed: int) -> Table:
    """How each member was trained."""
    columns = ("member", "seed", "steps", "minutes", "best step", "its loss", "clipped", "ended by")
    rows = [
        (
            str(number + 1),
            str(seed + number),
            f"{result.steps:,}",
            f"{result.seconds / 60:.1f}",
            f"{result.best['step']:,.0f}" if result.best else "",
            f"{result.best['loss']:.4f}" if result.best else "",
            f"{result.clipped_share:.1%}",
            result.stopped,
        )
        for number, result in enumerate(results)
    ]
    return Table(columns, rows)


def judgement_table(judgement: Judgement, *, meanings: bool = False, brief: bool = False) -> Table:
    """The model and the baselines by metric; a metric that no model has is left out.

    `meanings` says in words what each baseline does; `brief` leaves out what a terminal has no room
    for. The last columns are the shares of truths inside each interval.
    """
    table = judgement.table
    shown = [
        metric
        for metric in [
            *_METRICS,
            *(name for name in table[MODEL_NAME] if name.startswith("coverage")),
        ]
        if any(not math.isnan(row.get(metric, math.nan)) for row in table.values())
        and not (brief and metric in _LONG)
    ]
    heads = [f"in {name[8:]} %" if name.startswith("coverage") else name for name in shown]
    rows = [
        (_model(name, meanings), *(_figure(metric, row) for metric in shown))
        for name, row in table.items()
    ]
    return Table(("", *heads), rows)


def coverage_of(found: Backtest) -> list[str]:
    """A sentence for each interval: how many of the truths lay inside."""
    row = found.judgement.table[MODEL_NAME]
    return [
        f"{share:.1%} of the truths lay inside the {name[8:]} % interval."
        for name, share in row.items()
        if name.startswith("coverage") and not math.isnan(share)
    ]


def quality_of(found: Backtest) -> dict[str, object]:
    """The verdict on forecasts, on how many windows it rests, and what was left out."""
    judgement = found.judgement
    series = len(set(judgement.series))
    return {
        "verdict": judgement.verdict(MODEL_NAME),
        "judged on": f"{len(judgement.series):,} windows of {series:,} series, "
        f"{found.actual.shape[1]} steps each",
        "coverage": " ".join(coverage_of(found)) or _no_coverage(found),
        **({"left out": " ".join(judgement.notes())} if judgement.notes() else {}),
    }


def _no_coverage(found: Backtest) -> str:
    forecast = any(name.startswith("coverage") for name in found.judgement.table[MODEL_NAME])
    return _UNMEASURED if forecast else "no interval was forecast"


def _model(name: str, meanings: bool) -> str:
    return f"{name}: {MEANINGS[name]}" if meanings and name in MEANINGS else name


def _figure(metric: str, row: Mapping[str, float]) -> str:
    value = row.get(metric, math.nan)
    if math.isnan(value):
        return "-"
    return _METRICS.get(metric, "{:.1%}").format(value)


def _stamp(stamp: Any) -> str:
    """A stamp as a person writes it: a date where the time is midnight."""
    return str(stamp).partition(".")[0].removesuffix(":00").removesuffix("T00:00").replace("T", " ")
