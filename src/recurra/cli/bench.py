"""`recurra bench [SUITE]...`."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from recurra.bench import LAYERS, SUITES, Grid, Suite
from recurra.errors import ConfigError

__all__ = ["command"]

_LISTED = "\n".join(f"{suite.name:<10} {suite.summary}" for suite in SUITES.values())
_HELP = f"""Measure Recurra against torch.nn on this machine, with the processor's peak beside.

Contenders run in turn, allocation included; the figures are medians. Without a SUITE it is layers;
all is every one.

\b
{_LISTED}
"""


class Numbers(click.ParamType[tuple[int, ...]]):
    """Whole numbers from 1, with commas between."""

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
    help="LSTM, GRU or RNN alone; may be given more than once",
)
@click.option("--batch", type=Numbers(), help="batch sizes B instead of the grid's: 8,32")
@click.option("--steps", type=Numbers(), help="lengths T instead of the grid's")
@click.option("--size", type=Numbers(), help="sizes I = H instead of the grid's")
@click.option(
    "--rounds",
    type=click.IntRange(1),
    default=7,
    show_default=True,
    help="rounds that count; suites that start processes take 3 at most",
)
@click.option(
    "--warmup", type=click.IntRange(1), default=2, show_default=True, help="rounds before those"
)
@click.option("--input-gradient", is_flag=True, help="training steps give dL/dx as well")
@click.option("--threads", type=click.IntRange(1), help="threads, instead of as many as torch has")
@click.option("--json", "json_file", metavar="FILE", help="write every number into FILE")
@click.option("--plot", "plot_file", metavar="FILE", help="draw a picture: .png, .svg or .pdf")
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
    """Measure and tell; files are written after each suite, so that Ctrl-C keeps what there is."""
    from recurra.bench.machine import describe, use_threads
    from recurra.bench.plot import check_plot
    from recurra.bench.run import chosen, measure
    from recurra.bench.work import Plan
    from recurra.cli.bench_report import Files, show_machine, show_result, telling

    picked = chosen(suites or ("layers",), layers)
    files = Files(_place(json_file), _place(plot_file))
    if files.plot is not None:
        check_plot(files.plot, [suite for suite, _ in picked])
    if threads is not None:
        use_threads(threads)
    machine = describe()
    show_machine(machine)
    options = {"rounds": rounds, "warmup": warmup, "input_gradient": input_gradient}
    results = []
    for suite, measured in picked:
        grid = _grid(suite, full, batch, steps, size)
        plan = Plan(grid, measured, rounds, warmup, input_gradient)
        with telling(suite) as each:
            results.append(measure(suite, plan, each))
        show_result(results[-1])
        files.write(machine, options, results)


def _grid(suite: Suite, full: bool, *given: Sequence[int] | None) -> Grid:
    """The suite's grid, with the parts that were given instead of its own."""
    grid = suite.full if full else suite.brief
    own = (grid.batches, grid.steps, grid.sizes)
    return Grid(*(tuple(new) if new else old for new, old in zip(given, own, strict=True)))


def _place(name: str | None) -> Path | None:
    """Where a file is to go, which is looked at before hours go into what it is to hold."""
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
