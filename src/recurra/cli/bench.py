"""`recurra bench [SUITE]...`: the machine, a table for each suite, JSON and a plot."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console
from rich.table import Table

from recurra.bench import LAYERS, SUITES, SizeGrid, Suite
from recurra.cli.terminal import new_table, output
from recurra.errors import ConfigError
from recurra.files import write_atomic

if TYPE_CHECKING:
    from recurra.bench.catalogue import Ratio
    from recurra.bench.measurement import PointResult
    from recurra.bench.results import SuiteResult, Summary

__all__ = [
    "OutputFiles",
    "command",
    "show_machine",
    "show_result",
    "suite_progress",
    "suite_table",
]


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
        from recurra.bench.results import as_json, picture
        from recurra.plots import image

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


_LISTED = "\n".join(f"{suite.name:<10} {suite.summary}" for suite in SUITES.values())
_HELP = f"""Measure Recurra against torch.nn on this machine, beside the processor's peak.

Contenders run in turn, allocation included; the figures are medians. Without a SUITE, layers is
measured; all measures every suite.

\b
{_LISTED}
"""


class CountList(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1 on, separated by commas."""

    name = "numbers"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """`8,32` as (8, 32)."""
        try:
            numbers = tuple(int(word) for word in str(value).split(","))
        except ValueError:
            numbers = (0,)
        if min(numbers) < 1:
            self.fail(f"{value!r} is not a list of numbers from 1; write 8,32.", param, ctx)
        return numbers


@click.command(name="bench", help=_HELP)
@click.argument("suites", metavar="[SUITE]...", nargs=-1, type=click.Choice([*SUITES, "all"]))
@click.option(
    "--full", is_flag=True, help="the whole grids instead of a small part: with all, about an hour"
)
@click.option(
    "--layer",
    "layers",
    multiple=True,
    type=click.Choice(LAYERS, case_sensitive=False),
    metavar="LAYER",
    help="LSTM, GRU or RNN alone; may be repeated",
)
@click.option("--batch", type=CountList(), help="batch sizes B instead of the grid's: 8,32")
@click.option("--steps", type=CountList(), help="lengths T instead of the grid's")
@click.option("--size", type=CountList(), help="sizes I = H instead of the grid's")
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="rounds that count; at most 3 in suites that start processes",
)
@click.option(
    "--warmup", type=click.IntRange(1), default=2, show_default=True, help="rounds before these"
)
@click.option("--input-gradient", is_flag=True, help="training steps compute dL/dx as well")
@click.option("--threads", type=click.IntRange(1), help="number of threads [torch's]")
@click.option("--json", "json_file", metavar="FILE", help="write all figures to FILE")
@click.option("--plot", "plot_file", metavar="FILE", help="draw them in FILE: .png, .svg or .pdf")
def command(
    suites: tuple[str, ...],
    full: bool,
    layers: tuple[str, ...],
    batch: tuple[int, ...] | None,
    steps: tuple[int, ...] | None,
    size: tuple[int, ...] | None,
    rounds: int,
    warmup: int,
    input_gradient: bool,
    threads: int | None,
    json_file: str | None,
    plot_file: str | None,
) -> None:
    """Measure and print; files are written after each suite, so that Ctrl-C loses none."""
    from recurra.bench.measurement import SuitePlan, machine_facts, use_threads
    from recurra.bench.results import check_plot, chosen_suites, measure_suite

    picked = chosen_suites(suites or ("layers",), layers)
    files = OutputFiles(_checked(json_file), _checked(plot_file))
    if files.plot is not None:
        check_plot(files.plot, [suite for suite, _ in picked])
    if threads is not None:
        use_threads(threads)
    machine = machine_facts()
    show_machine(machine)
    options = {"rounds": rounds, "warmup": warmup, "input_gradient": input_gradient}
    results = []
    for suite, measured in picked:
        grid = _grid(suite, full, batch, steps, size)
        plan = SuitePlan(grid, measured, rounds, warmup, input_gradient)
        with suite_progress(suite) as each:
            results.append(measure_suite(suite, plan, each))
        show_result(results[-1])
        files.write(machine, options, results)


def _grid(suite: Suite, full: bool, *given: Sequence[int] | None) -> SizeGrid:
    """The suite's grid, with the sizes that were given in place of its own."""
    grid = suite.full if full else suite.brief
    own = (grid.batches, grid.steps, grid.sizes)
    return SizeGrid(*(tuple(new) if new else old for new, old in zip(given, own, strict=True)))


def _checked(name: str | None) -> Path | None:
    """The path of a file, checked before hours are spent on its content."""
    if name is None:
        return None
    path = Path(name)
    if path.is_dir():
        raise ConfigError(f"{name} is a directory; name a file in it.")
    try:
        tempfile.TemporaryFile(dir=path.parent).close()
    except OSError as error:
        raise ConfigError(
            f"{name} can't be written ({error.strerror}); name a file in a directory of yours."
        ) from error
    return path
