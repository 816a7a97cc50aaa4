"""README.md and report.html of a run, of any task, and the inspection that a report may hold."""

from __future__ import annotations

import platform
import shlex
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from recurra import __version__
from recurra.errors import RecurraWarning, RunError
from recurra.files import write_atomic
from recurra.insight import Inspection
from recurra.plots import plot_members, plot_optimiser, plot_training
from recurra.reports import (
    Headline,
    Section,
    TextTable,
    amended,
    card,
    carried_over,
    drawn_section,
    inspection_sections,
    report,
    watched_sections,
)
from recurra.runs.run import Run
from recurra.tasks.task import Facts, Probe
from recurra.training import TrainingResult

__all__ = ["Description", "add_inspection", "describe", "training_section"]

_BLOCK = "inspection"
_LEARNT = "Pale: training. In full colour: the held-out part, on which the best weights are chosen."


@dataclass(frozen=True)
class Description:
    """Everything that the card and the report of a run are made of; `members` are their runs, and
    `loss` is the name of their curves.
    """

    facts: Facts
    headline: Headline | None
    loss: str
    results: Sequence[TrainingResult]
    seed: int
    metric: str
    sources: Sequence[Mapping[str, Any]]
    start: str | None
    members: Sequence[Run]


def describe(run: Run, about: Description) -> None:
    """Write the model card and the report; an inspection that the old report holds is kept."""
    facts = about.facts
    headline = [] if about.headline is None else [Section("", about.headline)]
    training = training_section(about.results, about.seed, about.metric)
    # Runs that are the same have the same report: the card alone tells how long it took.
    timeless = training_section(about.results, about.seed, about.metric, timed=False)
    use = [command.format(run=shlex.quote(str(run.path))) for command in facts.use]
    run.write_text(
        "README.md",
        card(
            facts.title,
            [*headline, *facts.sections, training, *_origin(about)],
            use,
            _metadata(run, facts),
        ),
    )
    curves = _curves(about.members, about.loss)
    pictures = [*facts.first, *curves, *facts.pictures, *_watched(about.members)]
    sections = [*headline, *pictures, *facts.sections, timeless]
    run.write_text("report.html", _keep_inspection(run, report(facts.title, sections)))


def _metadata(run: Run, facts: Facts) -> dict[str, str | list[str]]:
    """What model hubs want to know."""
    task, cell = run.config["task"], run.config["settings"].get("cell")
    tags = ["recurrent-neural-network", task, *([cell] if cell else [])]
    kind: dict[str, str | list[str]] = {"pipeline_tag": facts.pipeline} if facts.pipeline else {}
    return {"library_name": "recurra", **kind, "tags": tags}


def training_section(
    results: Sequence[TrainingResult], seed: int, metric: str, *, timed: bool = True
) -> Section:
    """How each member was trained, a row each; with its minutes, unless `timed` is false."""
    rows = [
        {
            "seed": str(seed + number),
            "steps": f"{result.steps:,}",
            "epochs": f"{result.epochs:,}",
            **({"minutes": f"{result.seconds / 60:.1f}"} if timed else {}),
            "best step": f"{result.best['step']:,.0f}" if result.best else "",
            "its figure": f"{metric} {result.best[metric]:.4f}" if result.best else "",
            "clipped": f"{100 * result.clipped_share:.1f} %",
            "ended": result.stopped,
        }
        for number, result in enumerate(results)
    ]
    return Section("Training", TextTable([*rows[0]], [[*row.values()] for row in rows]))


def add_inspection(
    run: Run, out: Path | None, found: Inspection, probe: Probe, model: nn.Module
) -> Path:
    """Add an inspection to the run's report.html, or write it as the page `out`; where it is."""
    output, answers = probe.answer(model) if probe.answer is not None else (None, ())
    sections = inspection_sections(found, probe.labels, output, answers)
    if out is not None:
        _write_page(out, report(f"Inspection of {run.path}", sections))
        return out
    path = run.path / "report.html"
    page = _page(path) if path.exists() else report(f"Run {run.path}", [])
    _write_page(path, amended(page, _BLOCK, [_stand(run), *sections]))
    return path


def _page(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is damaged: {error}; delete it, and a new one is made.") from error


def _write_page(path: Path, page: str) -> None:
    try:
        write_atomic(path, page.encode())
    except OSError as error:
        raise RunError(
            f"{path} can't be written: {error.strerror or error}; name another page with --out "
            "(from Python: out=PAGE)."
        ) from error


def _origin(about: Description) -> list[Section]:
    versions = (
        f"recurra {__version__}, torch {torch.__version__}, Python {platform.python_version()}"
    )
    data = [
        f"{source['name']}: {source['path'] or 'in memory'} (SHA-256 {source['sha256']})"
        for source in about.sources
    ]
    start = {} if about.start is None else {"start": about.start}
    return [Section("Origin", {"made with": versions, "data": "; ".join(data), **start})]


def _curves(members: Sequence[Run], loss: str) -> list[Section]:
    """The curves of one training, or of each member."""
    title = "Learning curves"
    lines = {f"member {number + 1}": run.metrics() for number, run in enumerate(members)}
    if not any("loss" in line for rows in lines.values() for line in rows):
        return [Section(title, ["No step was logged."])]
    if len(members) > 1:
        return [drawn_section(title, lambda: plot_members(lines, loss), caption=_LEARNT)]
    (only,) = lines.values()
    return [drawn_section(title, lambda: plot_training(only, loss), lambda: plot_optimiser(only))]


def _watched(members: Sequence[Run]) -> list[Section]:
    """The gradient's way through time in one training."""
    return watched_sections(members[0].gradients()) if len(members) == 1 else []


def _keep_inspection(run: Run, page: str) -> str:
    """A new page for the run, with the inspection that its report.html has, if it has one."""
    path = run.path / "report.html"
    if not path.exists():
        return page
    try:
        return carried_over(_page(path), page, _BLOCK)
    except RunError as error:
        warnings.warn(f"{path} is replaced: {error}", RecurraWarning, stacklevel=2)
        return page


def _stand(run: Run) -> Section:
    """How far training had come: the page may outlive the weights that were inspected."""
    steps = max((line["step"] for line in run.metrics()), default=0)
    return Section("Inspection", {"the best weights after": f"{steps:,} steps of training"})
