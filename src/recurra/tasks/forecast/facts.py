"""Facts of a forecaster for its card and report: its data, model, training and quality."""

import math
from collections.abc import Mapping

import numpy as np

from recurra.data.series.panel import Panel
from recurra.data.tables.columns import show_stamp
from recurra.reports import Headline, Mark, Section, TextTable, drawn_section
from recurra.tasks.forecast.config import MODELS
from recurra.tasks.forecast.data_checks import series_warnings
from recurra.tasks.forecast.evaluation.backtest import Backtest
from recurra.tasks.forecast.evaluation.baselines import MEANINGS
from recurra.tasks.forecast.evaluation.interval_groups import IntervalRow
from recurra.tasks.forecast.evaluation.judge import Judgement
from recurra.tasks.forecast.figures import backtest_figures, typical_figure, unit_of
from recurra.tasks.forecast.frames import MODEL_NAME
from recurra.tasks.forecast.intervals.sample_size import interval_warnings
from recurra.tasks.forecast.model import Model
from recurra.tasks.forecast.selection.model_choice import ModelChoice
from recurra.tasks.forecast.statistics.combination import NETWORK
from recurra.tasks.forecast.windows.splits import split
from recurra.tasks.task import Facts

__all__ = [
    "coverage_of",
    "data_facts",
    "facts_of",
    "headline_of",
    "judgement_table",
    "quality_of",
    "sections_of",
]

HELD_OUT = (
    "No weights were trained on these windows, but the best weights were chosen on them, so they "
    "flatter the model; each window's intervals were calibrated on others. `recurra evaluate RUN "
    "--backtest 5` is the stricter test."
)

_UNMEASURED = (
    "the coverage of the intervals was not measured: too few held-out windows don't overlap, and "
    "they were needed to calibrate; --backtest measures it"
)

_METRICS = {
    "MASE": "{:.3f}",
    "RMSSE": "{:.3f}",
    "sMAPE": "{:.2f}",
    "OWA": "{:.3f}",
    "MAE": "{:.4g}",
    "MSE": "{:.4g}",
    "wQL": "{:.4f}",
    "CRPS": "{:.4g}",
    "bias": "{:+.1%}",
}

_LONG = ("MSE", "wQL")


_JUDGED = (
    "The worst series, the best and some between, by {}: of each the window whose score is nearest "
    "to the mean of its windows. The thin line is what was observed, before the dashed line and "
    "after it; blue is the forecast with its intervals, the wider the lighter."
)

_TYPICAL = (
    "The series whose {} is the median of all, in the window nearest to it: half of the series are "
    "forecast better, half worse. The thin line is what was observed, before the dashed line and "
    "after it; blue is the forecast with its intervals, the wider the lighter."
)

_INTERVALS = (
    "in 80 %: the share of actual values inside the interval. Width and score (the mean interval "
    "score, lower is better: width, and a penalty for each value outside) are in units of the "
    "series' own mean change from one season to the next. A whole number counts by the part of the "
    "step about it that lies inside."
)

_MEANS = {
    "RMSSE": "RMSSE is the root mean squared error, in units of the series' own root mean squared "
    "change from step to step. It is least for the mean, which sums of orders need; the median of "
    "series as intermittent as these is often zero, and MASE would praise it.",
    "MASE": "MASE is the mean absolute error, in units of the series' own mean change from one "
    "season to the next.",
    "MAE": "MAE is the mean absolute error.",
}


def facts_of(
    model: Model,
    panel: Panel,
    source: str | None,
    held_out: Backtest | None,
    choice: ModelChoice | None = None,
) -> Facts:
    """All facts of the card and the report."""
    config = model.config
    future = " --future-data next.csv" if config.future else ""
    return Facts(
        title=f"Forecasts of {config.horizon} steps ({panel.frequency.name})",
        sections=[
            *_quality(held_out),
            *_chosen(model, choice),
            Section("Data", data_facts(panel, source, model.sizes.season)),
            Section("Notes on the series", _data_notes(model, panel)),
            Section("Model", _model_facts(model)),
        ],
        use=[
            f"recurra forecast {{run}}{future} -o forecast.csv --plot forecast.png",
            f"recurra forecast {{run}} new.csv{future} -o forecast.csv",
            "recurra evaluate {run} --backtest 5",
        ],
        first=[] if held_out is None else [_typical_picture(held_out, model)],
        pictures=[] if held_out is None else [_picture(held_out, model)],
        pipeline="time-series-forecasting",
    )


def sections_of(backtest: Backtest, *, brief: bool = False) -> list[Section]:
    """A judgement as sections: the model beside the baselines, the verdict and the coverage."""
    title = "Beside the baselines" if backtest.judgement.has_baselines else "Figures"
    return [
        Section(title, judgement_table(backtest.judgement, brief=brief)),
        *_interval_sections(backtest, brief=brief),
        Section("Verdict", quality_of(backtest)),
    ]


def _interval_sections(backtest: Backtest, *, brief: bool = False) -> list[Section]:
    """Coverage and width by group and by step; `brief` without widths and scores."""
    rows = [row for row in backtest.intervals if not (brief and row.group.startswith("step "))]
    if not rows:
        return []
    percents = list(rows[0].coverage)
    heads = [f"in {percent:g} %" for percent in percents]
    if not brief:
        heads += [f"{what}, {p:g} %" for p in percents for what in ("width", "score")]

    def cells(row: IntervalRow) -> list[str]:
        shown = [_share(row.coverage[p]) for p in percents]
        if not brief:
            shown += [_number(part[p]) for p in percents for part in (row.width, row.score)]
        return [row.group, row.model, f"{row.windows:,}", *shown]

    table = TextTable(["windows", "model", "number", *heads], [cells(row) for row in rows])
    notes = [] if brief else [Section("", [_INTERVALS])]
    return [Section("Intervals", table), *notes]


def _quality(held_out: Backtest | None) -> list[Section]:
    title = "The held-out part"
    if held_out is None:
        return [Section(title, ["No known values were held out: the series are too short."])]
    judged = quality_of(held_out)
    left_out: dict[str, object] = {
        name: judged[name] for name in ("judged on", "left out") if name in judged
    }
    return [
        Section(title, {**left_out, "note": HELD_OUT}),
        Section("Beside the baselines", judgement_table(held_out.judgement)),
        *_interval_sections(held_out),
    ]


def _chosen(model: Model, choice: ModelChoice | None) -> list[Section]:
    """What a search tried and chose, and the weights of the statistical forecasts."""
    sections, combination = [], model.combination
    if choice is not None:
        rows = [
            (trial.name, f"{trial.steps:,}", _three(trial.network), _three(trial.combined))
            for trial in choice.trials
        ]
        heads = ("settings", "steps", "network", "with the methods")
        sections += [
            Section("Choice", choice.sentences()),
            Section("Tried, by the error on held-out windows", TextTable(heads, rows)),
        ]
    if combination is not None:
        weights = zip(combination.regular, combination.intermittent, strict=True)
        heads = ("forecast", "error", "weight", "weight where intermittent")
        rows = [
            (name, _three(combination.errors.get(name)), f"{own:.2f}", f"{sparse:.2f}")
            for name, (own, sparse) in zip(
                (NETWORK, *combination.members.names), weights, strict=True
            )
        ]
        rows.append(("their mean", _three(combination.errors.get("")), "", ""))
        sections.append(
            Section("The network and the statistical forecasts", TextTable(heads, rows))
        )
    return sections


def _three(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _typical_picture(held_out: Backtest, model: Model) -> Section:
    return drawn_section(
        "A typical forecast",
        typical_figure(held_out, model.sizes.season, unit_of(model.config)),
        caption=_TYPICAL.format(held_out.judgement.deciding()),
    )


def _picture(held_out: Backtest, model: Model) -> Section:
    return drawn_section(
        "Forecasts of the held-out part",
        *backtest_figures(held_out, model.sizes.season, unit_of(model.config)),
        caption=_JUDGED.format(held_out.judgement.deciding()),
    )


def headline_of(backtest: Backtest) -> Headline:
    """The deciding figure beside those of the baselines, the verdict, and the coverage."""
    judgement = backtest.judgement
    metric = judgement.deciding()
    baselines = [
        Mark(f"{name}: {MEANINGS[name]}", row[metric])
        for name, row in judgement.table.items()
        if name in MEANINGS and not math.isnan(row[metric])
    ]
    return Headline(
        metric,
        Mark("this run", judgement.table[MODEL_NAME][metric]),
        baselines,
        verdict=backtest.verdict,
        meaning=[
            _MEANS[metric],
            " ".join([*coverage_of(backtest), _bias_of(backtest)]) or _no_coverage(backtest),
        ],
    )


def data_facts(panel: Panel, source: str | None, season: int) -> dict[str, object]:
    """The source, number and lengths of the series; `source` is a path or None, `season` the steps
    in the season that the model uses.
    """
    missing, frequency = int(np.isnan(panel.y).sum()), panel.frequency
    lengths = panel.lengths
    facts: dict[str, object] = {
        "table": source or "a frame",
        "series": f"{len(panel):,}",
        "values": f"{len(panel.y):,}, of which {missing:,} missing "
        f"({100 * missing / len(panel.y):.1f} %)",
        "frequency": f"{frequency.name}, {_season_in_words(season)}",
        "stamps": f"{show_stamp(panel.starts.min())} to {show_stamp(panel.last.max())}",
        "steps of a series": f"{lengths.min():,} to {lengths.max():,}",
    }
    columns = panel.schema.columns
    for kind in ("past", "future", "static"):
        if getattr(columns, kind):
            facts[f"{kind} covariates"] = ", ".join(getattr(columns, kind))
    return facts


def _season_in_words(season: int) -> str:
    return "no season" if season == 1 else f"a season of {season:,} steps"


def _data_notes(model: Model, panel: Panel) -> list[str]:
    """Sentences on series that are held out, short or constant, and on the intervals' sample."""
    config = model.config
    points = split(config, panel, model.nets[0].lookback)
    held_out, short = points.limit < panel.lengths, points.last < points.first
    notes = series_warnings(panel, config.horizon)
    steps = config.held_steps(panel.lengths)
    until = ", until the final steps of training" if config.final_steps else ""
    notes.append(
        f"The last {steps} steps of {held_out.sum():,} of {len(panel):,} series were held "
        f"out{until}."
    )
    if (~held_out & ~short).any():
        whole = panel.naming(~held_out & ~short)
        notes.append(f"{whole} are too short for that: all of their steps were trained on.")
    if short.any():
        notes.append(
            f"{panel.naming(short)} are too short to train on; the shared model forecasts them."
        )
    return notes + interval_warnings(config, panel)


def _model_facts(model: Model) -> dict[str, object]:
    """The kind and the size of the networks."""
    config, net = model.config, model.nets[0]
    facts: dict[str, object] = {
        "model": f"{config.model}: {MODELS[config.model]}",
        "cell": config.cell,
        "layers": f"{config.layers} of {config.hidden} hidden units",
        "parameters": f"{net.parameter_count():,}" + (" a member" if config.ensemble > 1 else ""),
        "members": config.ensemble,
        "reads": f"{net.lookback:,} steps",
        "forecasts": f"{config.horizon:,} steps",
        "points": config.point_in_words,
        "quantiles": ", ".join(f"{level:g}" for level in config.levels),
        "scaling": f"{config.scaling}, transform {config.transform}",
    }
    if config.final_steps:
        facts["final steps"] = f"{config.final_steps:,} on all of the data, the held-out part too"
    if config.model == "autoregressive":
        return {**facts, "distribution": config.distribution}
    return {**facts, "trained for": config.loss}


def judgement_table(judgement: Judgement, *, brief: bool = False) -> TextTable:
    """The model and the baselines by metric; a metric that no model has is left out.

    `brief` leaves out the metrics that a terminal has no room for. The last columns are the shares
    of actual values inside each interval.
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
    rows = [(name, *(_figure(metric, row) for metric in shown)) for name, row in table.items()]
    return TextTable(("model", *heads), rows)


def coverage_of(backtest: Backtest) -> list[str]:
    """A sentence for each interval: the share of actual values inside it."""
    row = backtest.judgement.table[MODEL_NAME]
    spread = {
        f"coverage{percent:g}": share
        for one in backtest.intervals
        if (one.group, one.model) == ("all", MODEL_NAME) and one.whole
        for percent, share in one.coverage.items()
    }
    return [
        f"{100 * share:.1f} % of the actual values lay inside the {name[8:]} % interval"
        f"{_if_spread(share, spread.get(name, share))}."
        for name, share in row.items()
        if name.startswith("coverage") and not math.isnan(share)
    ]


def _if_spread(share: float, spread: float) -> str:
    """The coverage of whole numbers that are spread over their steps, where that is another."""
    if abs(share - spread) < 0.01:
        return ""
    return f" ({100 * spread:.1f} % with whole numbers spread over the step about each)"


def _bias_of(backtest: Backtest) -> str:
    """A sentence on the sum of the forecasts, where it says anything."""
    bias = backtest.judgement.table[MODEL_NAME].get("bias", math.nan)
    if math.isnan(bias):
        return ""
    side = "above" if bias > 0 else "below"
    return f"In sum the forecasts are {100 * abs(bias):.1f} % {side} the actual values."


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{100 * value:.1f} %"


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3g}"


def quality_of(backtest: Backtest) -> dict[str, object]:
    """The verdict on forecasts, the number of windows it rests on, and those left out."""
    judgement = backtest.judgement
    series = len(set(judgement.series))
    return {
        "verdict": backtest.verdict,
        "judged on": f"{len(judgement.series):,} windows of {series:,} series, "
        f"{backtest.actual.shape[1]} steps each",
        "coverage": " ".join(coverage_of(backtest)) or _no_coverage(backtest),
        **({"sum": _bias_of(backtest)} if _bias_of(backtest) else {}),
        **({"left out": " ".join(judgement.notes())} if judgement.notes() else {}),
    }


def _no_coverage(backtest: Backtest) -> str:
    forecast = any(name.startswith("coverage") for name in backtest.judgement.table[MODEL_NAME])
    return _UNMEASURED if forecast else "no interval was forecast"


def _figure(metric: str, row: Mapping[str, float]) -> str:
    value = row.get(metric, math.nan)
    if math.isnan(value):
        return "-"
    return _METRICS[metric].format(value) if metric in _METRICS else f"{100 * value:.1f} %"
