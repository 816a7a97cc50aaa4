"""`recurra bench [SUITE]...`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from recurra.bench import LAYERS, SUITES, SizeGrid, Suite
from recurra.errors import ConfigError

__all__ = ["command"]

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
    from recurra.cli.bench_report import OutputFiles, show_machine, show_result, suite_progress

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
