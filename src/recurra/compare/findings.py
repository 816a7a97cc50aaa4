"""The findings of a comparison: table, pictures and page, as far as its trainings have come."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from recurra.compare.comparison import Comparison
from recurra.compare.outcomes import CellResult, Folder, Reach, mean, spread
from recurra.compare.trials import Figures
from recurra.errors import MissingExtra
from recurra.plots import (
    ComparedCurves,
    image,
    plot_compared,
    plot_flow,
    plot_table,
    require_matplotlib,
    svg,
)
from recurra.reports import Picture, Section, TextTable, report

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = ["Findings", "comparison_table", "number", "write_findings"]

MIB = 2**20


@dataclass(frozen=True)
class Findings:
    """The cells of a comparison with the outcomes that there are so far."""

    comparison: Comparison
    facts: Figures
    results: Sequence[CellResult]

    @property
    def missing(self) -> int:
        """The number of trainings that have not ended yet."""
        return sum(len(result.entry.trials) - len(result.outcomes) for result in self.results)


def write_findings(folder: Folder, findings: Findings) -> None:
    """Replace table, pictures and page by those of the outcomes that there are so far.

    Without matplotlib there are no pictures, and the page says how to install it.
    """
    table = comparison_table(findings)
    rows = [result.as_json(findings.facts) for result in findings.results]
    published = [vars(figure) for figure in findings.facts.published]
    chance = findings.facts.chance
    folder.write_json("table.json", {"rows": rows, "by chance": chance, "published": published})
    folder.write("table.md", f"{table.markdown()}\n".encode())
    title = (
        f"{findings.facts.title}: {', '.join(result.entry.label for result in findings.results)}"
    )
    sections = [
        *_headline(findings),
        *_pictures(folder, findings, table),
        Section("All figures", table),
        *_diverged(findings),
    ]
    folder.write("report.html", report(title, sections).encode())


def _headline(findings: Findings) -> list[Section]:
    """The best cell's mean beside those of the others, chance and published figures."""
    facts = findings.facts
    means = [(r.entry.label, mean(r.quality(facts.measure))) for r in findings.results]
    marks = [facts.mark(label, value) for label, value in means if value is not None]
    if not marks:
        return []
    best = (max if facts.higher_is_better else min)(marks, key=lambda mark: mark.value)
    others = [mark for mark in marks if mark is not best]
    found = facts.headline(best.value, baselines=others)
    named = dataclasses.replace(found, own=best)
    first = f"{best.name} is the best of {len(marks)} cells. " if others else ""
    return [Section("", dataclasses.replace(named, verdict=first + named.sentence))]


def _pictures(folder: Folder, findings: Findings, table: TextTable) -> list[Section]:
    """Write the pictures as files; return those of the page, or the sentence about matplotlib."""
    try:
        require_matplotlib()
    except MissingExtra as absent:
        return [Section("Pictures", [str(absent)])]
    curves = _curves(findings)
    for suffix in (".svg", ".png"):
        folder.write(f"curves{suffix}", image(curves, suffix))
    drawn = plot_table(table.columns, table.rows, table.others, table.notes)
    folder.write("table.png", image(drawn, ".png"))
    sections = [Section("Learning curves", Picture([svg(curves, "Learning curves")]))]
    flows = []
    for name, when in (("flow_at_start.png", "before"), ("flow.png", "after")):
        if reaches := _reaches(findings, when):
            figure = plot_flow(
                {label: reach.norms for label, reach in reaches.items()},
                f"{findings.facts.title}, {when} training",
                strides={label: reach.stride for label, reach in reaches.items()},
                order=[result.entry.label for result in findings.results],
            )
            folder.write(name, image(figure, ".png"))
            flows.append(svg(figure, f"Gradient flow {when} training"))
    if flows:
        sections.append(Section("Gradient flow before and after training", Picture(flows)))
    return sections


def _curves(findings: Findings) -> "Figure":
    """Learning curves of all cells, with chance and published figures as levels."""
    facts = findings.facts
    levels = [] if facts.chance_loss is None else [(facts.chance_loss, "by chance")]
    published = facts.published if facts.measure == "loss" else ()
    levels += [(figure.value, f"{figure.name} {figure.value:.3g}") for figure in published]
    contenders = [
        ComparedCurves(
            result.entry.label,
            [outcome.curve for outcome in result.finished],
            [outcome.curve for outcome in result.outcomes if outcome.diverged is not None],
        )
        for result in findings.results
    ]
    return plot_compared(
        contenders,
        levels,
        title=f"{facts.title}: {_budget(findings.comparison)}",
        unit=f"validation {facts.loss}",
        source=published[0].source if published else "",
    )


def _budget(comparison: Comparison) -> str:
    size = (
        f"{comparison.parameters:,} parameters"
        if comparison.parameters
        else f"{comparison.hidden} hidden units"
    )
    return f"{size}, {comparison.seeds} seed{'s' if comparison.seeds > 1 else ''}"


def _reaches(findings: Findings, when: str) -> dict[str, Reach]:
    """The gradient's reach of each cell that has one, before or after training."""
    reaches = {
        result.entry.label: result.horizon if when == "after" else result.horizon_at_start
        for result in findings.results
    }
    return {label: reach for label, reach in reaches.items() if reach is not None}


def _diverged(findings: Findings) -> list[Section]:
    diverged = {
        outcome.name: outcome.diverged
        for result in findings.results
        for outcome in result.outcomes
        if outcome.diverged is not None
    }
    return [Section("Diverged", diverged)] if diverged else []


def comparison_table(findings: Findings) -> TextTable:
    """The table of the outcomes that there are so far."""
    facts = findings.facts
    columns = (
        "cell",
        "H",
        "parameters",
        facts.quality,
        "best seed",
        "steps/s",
        "memory, MiB",
        "minutes",
        "horizon",
    )
    others = []
    if facts.chance is not None:
        others.append(("by chance", _known_number(facts.chance, facts)))
    others += [(f"{p.name} ({p.source})", _known_number(p.value, facts)) for p in facts.published]
    gap = len(columns) - 4
    return TextTable(
        columns,
        [_cells(result, facts) for result in findings.results],
        [(name, "", "", value, *[""] * gap) for name, value in others],
        _notes(findings),
    )


def number(value: float, facts: Figures, digits: int = 3) -> str:
    """A figure of the problem's measure as text: a percentage, or a loss to so many digits."""
    return f"{100 * value:.1f} %" if facts.measure == "accuracy" else f"{value:#.{digits}g}"


def _known_number(value: float, facts: Figures) -> str:
    """As `number`, without digits that a published figure doesn't have."""
    return number(value, facts) if facts.measure == "accuracy" else f"{value:.3g}"


def _quality(result: CellResult, facts: Figures) -> str:
    """Mean and standard deviation over seeds, with the number of trainings that diverged."""
    values = result.quality(facts.measure)
    of_all = f"{result.diverged} of {len(result.outcomes)} diverged"
    centre, width = mean(values), spread(values)
    if centre is None:
        return of_all if result.diverged else "-"
    text = number(centre, facts) + ("" if width is None else f" ± {number(width, facts, digits=2)}")
    return f"{text} ({of_all})" if result.diverged else text


def _cells(result: CellResult, facts: Figures) -> tuple[str, ...]:
    values = result.quality(facts.measure)
    best = (max if facts.measure == "accuracy" else min)(values, default=None)
    return (
        result.entry.label,
        str(result.entry.hidden),
        f"{result.entry.parameters:,}",
        _quality(result, facts),
        "-" if best is None else number(best, facts),
        "-" if result.steps_per_second is None else f"{result.steps_per_second:.3g}",
        "-" if result.bytes is None else f"{result.bytes / MIB:.0f}",
        "-" if result.minutes is None else f"{result.minutes:.1f}",
        _horizon(result.horizon_at_start, result.horizon),
    )


def _horizon(start: Reach | None, end: Reach | None) -> str:
    if start is None and end is None:
        return "-"
    before, after = ("?" if reach is None else str(reach) for reach in (start, end))
    return f"{before} → {after}"


def _rates(findings: Findings) -> str:
    """The learning rates found by the search, and which lie at its ends."""
    rates, found = findings.comparison.rates, []
    for result in findings.results:
        rate = result.learning_rate
        assert rate is not None  # it was searched
        ends = {min(rates): " (the lowest)", max(rates): " (the highest)"}
        found.append(f"{result.entry.label} {rate:g}{ends.get(rate, '')}")
    tried = ", ".join(f"{rate:g}" for rate in sorted(rates))
    return (
        f"learning rate: of {tried} the one with the best validation after a third of the budget, "
        f"with seed 0: {', '.join(found)}"
    )


def _notes(findings: Findings) -> list[str]:
    facts, comparison = findings.facts, findings.comparison
    seeds = comparison.seeds
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    direction = "higher" if facts.measure == "accuracy" else "lower"
    budget = [f"{comparison.steps:,} steps"] if comparison.steps else []
    budget += [f"{comparison.minutes:g} minutes"] if comparison.minutes else []
    first = ", whichever comes first" if len(budget) > 1 else ""
    notes = [
        f"{facts.title}; {' or '.join(budget)} for each training{first}",
        f"{facts.quality}: {over}, {direction} is better, with the best weights by validation",
        "horizon: steps back from the loss at which 1 % of the gradient's start is left, before → "
        "after training; ≥: more is left at the largest distance",
        "memory: the process's highest, above its memory after one small training step",
    ]
    notes += _chance_note(findings)
    if comparison.rates:
        notes.append(_rates(findings))
    if findings.missing:
        notes.append(f"{findings.missing} trainings have not ended yet")
    return notes


def _chance_note(findings: Findings) -> list[str]:
    """Which cells are no better than chance: their order says nothing about them."""
    facts, chance = findings.facts, findings.facts.chance
    means = {result.entry.label: mean(result.quality(facts.measure)) for result in findings.results}
    known = {label: value for label, value in means.items() if value is not None}
    if chance is None or not known:
        return []
    sign = 1 if facts.measure == "accuracy" else -1
    lost = [label for label, value in known.items() if sign * value <= sign * chance]
    if not lost:
        return []
    level = _known_number(chance, facts)
    if len(lost) == len(known):
        return [
            f"no cell is better than chance ({level}), so their order says nothing; give more "
            "steps, another learning rate, or a shorter length"
        ]
    return [f"not better than chance ({level}): {', '.join(lost)}"]
