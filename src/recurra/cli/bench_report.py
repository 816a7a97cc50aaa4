"""The output of `recurra bench`: the machine, a table for each suite, JSON and a plot."""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from recurra.bench.catalogue import Ratio, Suite
from recurra.bench.measurement import PointResult
from recurra.bench.results import SuiteResult, Summary, as_json, picture
from recurra.cli.terminal import new_table, output
from recurra.files import write_atomic
from recurra.plots import image

__all__ = ["OutputFiles", "show_machine", "show_result", "suite_progress", "suite_table"]

_UNITS = {"seconds": ("ms", 1e3), "bytes": ("MiB", 2.0**-20)}


@dataclass(frozen=True)
class OutputFiles:
    """The files of the figures and of the picture, if requested."""

    json: Path | None
    plot: Path | None

    def write(
        self,
        machine: Mapping[str, Any],
        options: Mapping[str, object],
        results: Sequence[SuiteResult],
    ) -> None:
        """Replace both by the present results; the picture is of those that have a ratio."""
        if self.json is not None:
            write_atomic(self.json, as_json(machine, options, results).encode())
        if self.plot is not None and any(result.suite.ratios for result in results):
            drawn = picture(results, _machine_text(machine))
            write_atomic(self.plot, image(drawn, self.plot.suffix))


def show_machine(machine: Mapping[str, Any]) -> None:
    """Print the machine in a line or two."""
    output().print(_machine_text(machine))


def _machine_text(machine: Mapping[str, Any]) -> str:
    words = (
        "{processor} ({llvm_name}), cores: {cores}, vectors of {vector_bits} bits; "
        "recurra {recurra}, torch {torch}, Python {python}; engine: {engine}, threads: {threads}"
    )
    return words.format(**machine)


@contextlib.contextmanager
def suite_progress(suite: Suite) -> Iterator[Callable[[PointResult], None]]:
    """Show on stderr how far a suite is: yields a function to call with each result."""
    done = 0
    with Console(stderr=True).status(f"{suite.name} ...") as status:

        def each(result: PointResult) -> None:
            nonlocal done
            done += 1
            point = result.point
            sizes = f"B {point.batch}, T {point.steps}, H {point.size}"
            status.update(
                f"{suite.name}: {done} points, the last {point.layer} {point.work} with {sizes}"
            )

        yield each


def show_result(result: SuiteResult) -> None:
    """Print the suite's summary, units and table."""
    console = output()
    console.print(f"\n[bold]{result.suite.name}[/bold]: {result.suite.summary}")
    console.print(_legend(result))
    console.print(suite_table(result))


def _legend(result: SuiteResult) -> str:
    words = f"{_UNITS[result.suite.unit][0]}, medians"
    if result.suite.is_of_costs:
        words += "; cost: the excess over the same layer without"
    elif result.suite.ratios:
        words += "; mean: geometric"
    if result.suite.has_share:
        peaks = (result.peak_before / 1e9, result.peak_after / 1e9)
        words += "; FMA peak {:.0f} GFLOP/s before, {:.0f} after".format(*peaks)
    return words


def suite_table(result: SuiteResult) -> Table:
    """A row for each point; after each layer's work geometric mean and lowest ratio, where they are
    meaningful.
    """
    suite = result.suite
    contenders = [*result.points[0].spreads, *(r.label for r in suite.ratios)]
    columns = ["layer", "work", "B", "T", "I = H", *contenders]
    made = new_table([*columns, "of peak"] if suite.has_share else columns, text_columns=2)
    for points, summary in zip(result.groups().values(), result.summaries(), strict=True):
        _add_group(made, result, points, summary)
    return made


def _add_group(
    made: Table, result: SuiteResult, points: Sequence[PointResult], summary: Summary
) -> None:
    for found in points:
        point = found.point
        sizes = (point.batch, point.steps, point.size)
        values = (_value(s.median, result.suite.unit) for s in found.spreads.values())
        ratios = (_ratio(found, r) for r in result.suite.ratios)
        cells = [point.layer, point.work, *map(str, sizes), *values, *ratios]
        made.add_row(*cells, *_percent(result, result.share(found)))
    if result.suite.is_of_costs:
        return
    if result.suite.ratios:
        gap = [""] * (3 + len(points[0].spreads))
        means = (f"{mean:.2f}" for mean in summary.means.values())
        minima = (f"{least:.2f}" for least in summary.minima.values())
        made.add_row("", "mean", *gap, *means, *_percent(result, summary.share), style="bold")
        made.add_row("", "lowest", *gap, *minima, style="bold", end_section=True)
    else:
        made.add_section()


def _ratio(result: PointResult, ratio: Ratio) -> str:
    value = result.ratio(ratio)
    return f"{value - 1:+.0%}" if ratio.is_cost else f"{value:.2f}"


def _value(value: float, unit: str) -> str:
    """Milliseconds or MiB, to about three digits."""
    value *= _UNITS[unit][1]
    digits = next((n for n, least in enumerate((100, 10, 0.1)) if value >= least), 3)
    return f"{value:.{digits}f}"


def _percent(result: SuiteResult, share: float | None) -> list[str]:
    """The cell of the share of the peak, in suites that have one."""
    return [f"{share:.0%}"] if result.suite.has_share and share is not None else []
