"""The table of a comparison as text: the same cells for the terminal, Markdown and the picture."""

from collections.abc import Sequence
from dataclasses import dataclass

from recurra.compare.config import Comparison
from recurra.compare.contests import Facts
from recurra.compare.results import Reach, Row, mean, spread

__all__ = ["Findings", "Table", "number", "quality_text", "table_of"]

MIB = 2**20


@dataclass(frozen=True)
class Findings:
    """What a comparison has found so far."""

    comparison: Comparison
    facts: Facts
    rows: Sequence[Row]

    @property
    def missing(self) -> int:
        """Trainings that have not ended yet."""
        return sum(len(row.entry.trials) - len(row.outcomes) for row in self.rows)


@dataclass(frozen=True)
class Table:
    """Columns, a row of text for each cell, then rows of chance and of the literature; notes."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    others: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def markdown(self) -> str:
        """As Markdown."""
        aligned = ["---", *["---:"] * (len(self.columns) - 1)]
        lines = [self.columns, aligned, *self.rows, *self.others]
        text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        return "\n".join([text, "", *(f"- {note}" for note in self.notes), ""])


def table_of(findings: Findings) -> Table:
    """The table of what there is so far."""
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
        others.append(("by chance", _known(facts.chance, facts)))
    others += [(f"{p.name} ({p.source})", _known(p.value, facts)) for p in facts.published]
    gap = len(columns) - 4
    return Table(
        columns,
        tuple(_cells(row, facts) for row in findings.rows),
        tuple((name, "", "", value, *[""] * gap) for name, value in others),
        tuple(_notes(findings)),
    )


def number(value: float, facts: Facts, digits: int = 3) -> str:
    """A figure of the problem's measure, a share or a loss to so many digits."""
    return f"{value:.1%}" if facts.measure == "accuracy" else f"{value:#.{digits}g}"


def _known(value: float, facts: Facts) -> str:
    """As `number`, without digits that a published figure doesn't have."""
    return number(value, facts) if facts.measure == "accuracy" else f"{value:.3g}"


def quality_text(row: Row, facts: Facts) -> str:
    """Mean and spread over seeds, with the trainings that diverged."""
    values = row.quality(facts.measure)
    of_all = f"{row.diverged} of {len(row.outcomes)} diverged"
    centre, width = mean(values), spread(values)
    if centre is None:
        return of_all if row.diverged else "-"
    text = number(centre, facts) + ("" if width is None else f" ± {number(width, facts, digits=2)}")
    return f"{text} ({of_all})" if row.diverged else text


def _cells(row: Row, facts: Facts) -> tuple[str, ...]:
    values = row.quality(facts.measure)
    best = (max if facts.measure == "accuracy" else min)(values, default=None)
    return (
        row.entry.label,
        str(row.entry.hidden),
        f"{row.entry.parameters:,}",
        quality_text(row, facts),
        "-" if best is None else number(best, facts),
        "-" if row.steps_per_second is None else f"{row.steps_per_second:.3g}",
        "-" if row.bytes is None else f"{row.bytes / MIB:.0f}",
        "-" if row.minutes is None else f"{row.minutes:.1f}",
        _horizon(row.horizon_at_start, row.horizon),
    )


def _horizon(start: Reach | None, end: Reach | None) -> str:
    if start is None and end is None:
        return "-"
    before, after = ("?" if reach is None else str(reach) for reach in (start, end))
    return f"{before} → {after}"


def _notes(findings: Findings) -> list[str]:
    facts, comparison = findings.facts, findings.comparison
    seeds = comparison.seeds
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    direction = "higher" if facts.measure == "accuracy" else "lower"
    budget = [f"{comparison.steps:,} steps"] if comparison.steps else []
    budget += [f"{comparison.minutes:g} minutes"] if comparison.minutes else []
    notes = [
        f"{facts.title}; {' or '.join(budget)} a training, whichever comes first"
        if len(budget) > 1
        else f"{facts.title}; {budget[0]} a training",
        f"{facts.quality}: {over}, {direction} is better, with the weights that validated best",
        "horizon: steps back at which the loss's gradient is 1 % of where it started, before → "
        "after training; ≥: it never is",
        "memory: the highest of the process, beyond what it took with one small step behind it",
    ]
    if findings.missing:
        notes.append(f"{findings.missing} trainings have not ended yet")
    return notes
