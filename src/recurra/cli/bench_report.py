"""What `recurra bench` prints and writes: the machine, a table for each suite, JSON and a plot."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from recurra.bench.catalogue import Ratio, Suite
from recurra.bench.plot import picture
from recurra.bench.report import as_json
from recurra.bench.results import Result, Row, Summary
from recurra.files import write_atomic

__all__ = ["Files", "show_machine", "show_result", "table", "telling"]

WIDTH = 100
_UNITS = {"seconds": ("ms", 1e3), "bytes": ("MiB", 2.0**-20)}


@dataclass(frozen=True)
class Files:
    """Where the numbers and the picture go, if anywhere."""

    json: Path | None
    plot: Path | None

    def write(
        self,
        machine: Mapping[str, Any],
        options: Mapping[str, object],
        results: Sequence[Result],
    ) -> None:
        """Replace both by what there is now; a suite without a ratio leaves the picture be."""
        if self.json is not None:
            write_atomic(self.json, as_json(machine, options, results).encode())
        if self.plot is not None and any(result.suite.ratios for result in results):
            write_atomic(self.plot, picture(results, _words(machine), self.plot.suffix))


def show_machine(machine: Mapping[str, Any]) -> None:
    """The machine in a line or two."""
    _console().print(_words(machine))


def _words(machine: Mapping[str, Any]) -> str:
    words = (
        "{processor} ({llvm_name}), cores: {cores}, vectors of {vector_bits} bits; "
        "recurra {recurra}, torch {torch}, Python {python}; engine: {engine}, threads: {threads}"
    )
    return words.format(**machine)


@contextlib.contextmanager
def telling(suite: Suite) -> Iterator[Callable[[Row], None]]:
    """What is told each row as it comes, and shows it on stderr while the suite is measured."""
    done = 0
    with Console(stderr=True).status(f"{suite.name} ...") as status:

        def each(row: Row) -> None:
            nonlocal done
            done += 1
            point = row.point
            sizes = f"B {point.batch}, T {point.steps}, H {point.size}"
            status.update(
                f"{suite.name}: {done} points, now after {point.layer} {point.work} with {sizes}"
            )

        yield each


def show_result(result: Result) -> None:
    """What the suite is, and its table."""
    console = _console()
    console.print(f"\n[bold]{result.suite.name}[/bold]: {result.suite.summary}")
    console.print(_legend(result))
    console.print(table(result))


def _legend(result: Result) -> str:
    words = f"{_UNITS[result.suite.unit][0]}, medians"
    if result.suite.is_of_costs:
        words += "; cost: what it takes beyond the same layer without"
    elif result.suite.ratios:
        words += "; mean: geometric"
    if result.suite.has_share:
        peaks = (result.peak_before / 1e9, result.peak_after / 1e9)
        words += "; FMA peak {:.0f} GFLOP/s before, {:.0f} after".format(*peaks)
    return words


def table(result: Result) -> Table:
    """A row for each point; after each layer's work the geometric mean and the lowest ratio, where
    those say something.
    """
    suite = result.suite
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for name in ("layer", "work"):
        made.add_column(name, no_wrap=True)
    for name in ("B", "T", "I = H", *result.rows[0].spreads, *(r.label for r in suite.ratios)):
        made.add_column(name, justify="right", no_wrap=True)
    if suite.has_share:
        made.add_column("of peak", justify="right")
    for rows, summary in zip(result.groups().values(), result.summaries(), strict=True):
        _add_group(made, result, rows, summary)
    return made


def _add_group(made: Table, result: Result, rows: Sequence[Row], summary: Summary) -> None:
    for row in rows:
        point = row.point
        sizes = (point.batch, point.steps, point.size)
        values = (_value(s.median, result.suite.unit) for s in row.spreads.values())
        ratios = (_ratio(row, r) for r in result.suite.ratios)
        cells = [point.layer, point.work, *map(str, sizes), *values, *ratios]
        made.add_row(*cells, _percent(result.share(row)))
    if result.suite.is_of_costs:
        return
    if result.suite.ratios:
        gap = [""] * (3 + len(rows[0].spreads))
        means = (f"{mean:.2f}" for mean in summary.means.values())
        minima = (f"{least:.2f}" for least in summary.minima.values())
        made.add_row("", "mean", *gap, *means, _percent(summary.share), style="bold")
        made.add_row("", "lowest", *gap, *minima, style="bold", end_section=True)
    else:
        made.add_section()


def _ratio(row: Row, ratio: Ratio) -> str:
    value = row.ratio(ratio)
    return f"{value - 1:+.0%}" if ratio.is_cost else f"{value:.2f}"


def _value(value: float, unit: str) -> str:
    """Milliseconds or MiB, to about three digits."""
    value *= _UNITS[unit][1]
    digits = next((n for n, least in enumerate((100, 10, 0.1)) if value >= least), 3)
    return f"{value:.{digits}f}"


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _console() -> Console:
    console = Console(highlight=False, soft_wrap=False)
    return console if console.is_terminal else Console(highlight=False, width=WIDTH)
