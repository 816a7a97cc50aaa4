"""`recurra inspect RUN [FILE]`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from recurra.tasks.registry import check_run

if TYPE_CHECKING:
    from recurra.insight import Inspection

__all__ = ["command"]

_STYLES = {"good": "green", "note": "cyan", "warning": "yellow", "severe": "red"}


@click.command(name="inspect")
@click.argument("run", metavar="RUN")
@click.argument("file", required=False, metavar="[FILE]", type=click.Path(path_type=Path))
@click.option("--rows", default=32, show_default=True, help="windows, spread over the data")
@click.option(
    "--steps",
    default=100,
    show_default=True,
    help="steps of each window; items of four times as many stay whole",
)
@click.option("--out", metavar="PAGE", help="write this page instead of RUN's report.html")
@click.option(
    "--try", "tries", is_flag=True, help="train briefly with each remedy and show which helps"
)
@click.option(
    "--try-steps",
    type=click.IntRange(min=1),
    help="with --try: training steps of each; left out, a quarter of the run's, 100 to 1,000",
)
@click.option(
    "--try-seeds", type=click.IntRange(min=1), help="with --try: trainings of each; left out, 2"
)
def command(
    run: str,
    file: Path | None,
    rows: int,
    steps: int,
    out: str | None,
    tries: bool,
    try_steps: int | None,
    try_seeds: int | None,
) -> None:
    """Show how gradients flow in time through the model of RUN, what is wrong and what helps.

    The data are FILE or, without one, those that the training held out. Pictures go to RUN's
    report.html.
    """
    if not tries and (try_steps is not None or try_seeds is not None):
        raise click.UsageError("--try-steps and --try-seeds need --try.")
    check_run(run, file)

    from recurra.cli.terminal import noted
    from recurra.tasks.registry import load

    with noted():
        model = load(run)
        found, page = model.inspect(file, rows=rows, steps=steps, out=out)
    _show(run, found)
    click.echo(f"\nPictures: {page}")
    if not tries:
        return
    from recurra.compare import remedies_of

    if remedies_of(found.verdicts, model.config):
        _try(run, found, try_steps, try_seeds or 2)
    else:
        click.echo("\nNothing to try: no verdict recommends a change of settings.")


def _try(run: str, found: "Inspection", steps: int | None, seeds: int) -> None:
    """Train with each remedy, and show what it does."""
    from recurra.cli.terminal import noted, output, show_table
    from recurra.compare import trials_table, try_remedies

    click.echo("\nTrying remedies:", err=True)
    with noted():
        trials = try_remedies(
            run,
            found.verdicts,
            steps=steps,
            seeds=seeds,
            said=lambda what: click.echo(f"  {what}", err=True),
        )
    output().print(
        f"\nRemedies, each trained for {trials.steps} steps with {len(trials.seeds)} seeds, by "
        f"{trials.metric.name} on held-out data:",
        markup=False,
    )
    show_table(trials_table(trials))
    for trial in trials.trials:
        if trial.error:
            click.echo(f"{trial.remedy}: {trial.error}")


def _show(run: str, found: "Inspection") -> None:
    from recurra.cli.terminal import output, show_table
    from recurra.reports import COLUMNS, TextTable, layer_row

    console = output()
    rows = [layer_row(layer) for layer in found.layers]
    console.print(f"\nLayers of {run}", markup=False)
    columns = COLUMNS[:-1]
    show_table(TextTable(columns, [row[:-1] for row in rows], text_columns=len(columns)))
    console.print("Share of values near their limits:")
    for row in rows:
        console.print(f"  {row[0]}: {row[-1] or 'no gate'}")
    if found.clipped is not None:
        console.print(f"\n{100 * found.clipped:.1f} % of the training steps were clipped.")
    console.print()
    for verdict in found.verdicts:
        console.print(f"{verdict.severity}: {verdict.layer}", style=_STYLES[verdict.severity])
        console.print(f"  {verdict.text}")
        if verdict.severity == "note":
            continue
        if verdict.confidence != "high":
            console.print(f"  confidence: {verdict.confidence}")
        if verdict.remedy:
            console.print(f"  remedy: {verdict.remedy}")
