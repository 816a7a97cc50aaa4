"""`recurra forecast RUN [FILE]`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from recurra.tasks.registry import check_run

if TYPE_CHECKING:
    from recurra.tasks.forecast import Forecaster

__all__ = ["command"]

COUNT = click.IntRange(min=1)


@click.command(name="forecast")
@click.argument("run", metavar="RUN")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("-o", "--out", metavar="TABLE", help="write the table there: .csv or .parquet")
@click.option("--plot", metavar="PICTURE", help="draw it there: .png or .svg")
@click.option("--series", multiple=True, help="draw this series; may be given again")
@click.option("--future-data", metavar="TABLE", help="the columns known ahead, for the next steps")
@click.option("--static-data", metavar="TABLE", help="static columns of the series in FILE")
@click.option(
    "--horizon",
    type=COUNT,
    help="steps to forecast [as trained]",
)
@click.option(
    "--samples",
    type=COUNT,
    help="so many sample paths a series instead",
)
@click.option("--anomalies", is_flag=True, help="score how surprising each observation was")
@click.option(
    "--last",
    type=COUNT,
    help="score so many of each series [all]",
)
@click.option("--seed", type=int, help="of what is sampled [0]")
def command(
    run: str,
    file: str | None,
    out: str | None,
    plot: str | None,
    series: tuple[str, ...],
    anomalies: bool,
    last: int | None,
    **options: Any,
) -> None:
    """Forecast what comes after the training table of RUN, or after FILE, without training.

    \b
    recurra forecast runs/sales -o forecast.csv --plot forecast.png

    With --anomalies it scores the observations themselves, each by a forecast made just before.
    Without -o the head of the table is shown.
    """
    _check(anomalies, last, series, plot, options)
    check_run(run, file)

    from recurra.cli.terminal import noted
    from recurra.tasks.forecast.frames import check_output

    for path, suffixes in ((out, (".csv", ".parquet")), (plot, (".png", ".svg"))):
        if path is not None:
            check_output(path, suffixes)

    from recurra.tasks.forecast import Forecaster

    with noted():
        model = Forecaster.load(run)
        _check_seed(model, options)
        if anomalies:
            _anomalies(model, file, out, plot, series, last, options)
        else:
            _forecasts(model, file, out, plot, series, options)


def _check(
    anomalies: bool,
    last: int | None,
    series: tuple[str, ...],
    plot: str | None,
    options: dict[str, Any],
) -> None:
    """Refuse options that would do nothing."""
    idle = [name for name in ("horizon", "samples", "future_data") if options[name] is not None]
    if anomalies and idle:
        raise click.UsageError(f"--anomalies looks back; leave out --{idle[0].replace('_', '-')}.")
    if last is not None and not anomalies:
        raise click.UsageError("--last is for --anomalies; give both, or none.")
    if series and plot is None:
        raise click.UsageError("--series says what to draw; give --plot as well.")


def _check_seed(model: "Forecaster", options: dict[str, Any]) -> None:
    """Refuse a seed of nothing; 0 where none is given."""
    draws = options["samples"] is not None or model.config.model == "autoregressive"
    if options["seed"] is None:
        options["seed"] = 0
    elif not draws:
        raise click.UsageError(
            f"The {model.config.model} model draws nothing; leave out --seed, or give --samples."
        )


def _forecasts(
    model: "Forecaster",
    file: str | None,
    out: str | None,
    plot: str | None,
    series: tuple[str, ...],
    options: dict[str, Any],
) -> None:
    how = {
        "future": options["future_data"],
        "static": options["static_data"],
        "horizon": options["horizon"],
        "seed": options["seed"],
    }
    if how["future"] is not None and not model.config.future:
        raise click.UsageError("The model reads no column ahead; leave out --future-data.")
    paths = options["samples"]
    if paths is None:
        click.echo(f"The column recurra is {model.config.point_in_words}.", err=True)
    figure = None if plot is None else model.plot(file, series=series, **how)
    found = model.predict(file, **how) if paths is None else model.sample(file, paths=paths, **how)
    _tell(found, out, "forecasts")
    _draw(figure, plot)


def _anomalies(
    model: "Forecaster",
    file: str | None,
    out: str | None,
    plot: str | None,
    series: tuple[str, ...],
    last: int | None,
    options: dict[str, Any],
) -> None:
    from recurra.tasks.forecast.figures import anomaly_figure

    found = model.anomalies(file, last=last, static=options["static_data"], seed=options["seed"])
    figure = None if plot is None else anomaly_figure(found, model.config, series)
    _tell(found, out, "scores")
    _draw(figure, plot)


def _tell(found: Any, out: str | None, what: str) -> None:
    from recurra.cli.forecast_report import show_head
    from recurra.tasks.forecast.frames import write_table

    if out is None:
        show_head(found, highest=what == "scores")
        return
    write_table(found, out)
    click.echo(f"{len(found):,} {what} of {found.iloc[:, 0].nunique():,} series: {out}")


def _draw(figure: Any, path: str | None) -> None:
    if path is None:
        return
    from recurra.plots import image
    from recurra.tasks.forecast.frames import write_output

    write_output(path, image(figure, Path(path).suffix.lower()))
    click.echo(f"Picture: {path}")
