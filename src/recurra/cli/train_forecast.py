"""`recurra train forecast`."""

import dataclasses
import sys
from collections.abc import Mapping
from typing import Any

import click

from recurra.cli.failures import exit_code
from recurra.cli.options import Field, Sectioned, given, options_for
from recurra.config.toml import read_settings
from recurra.config.training import TrainingConfig
from recurra.errors import ConfigError
from recurra.tasks.forecast.config import ForecastConfig, forecast_config

__all__ = ["command"]

_DATA = ("horizon", "freq", "id", "time", "target", "past", "future", "static", "layout")
_OUTPUT = ("intervals", "quantiles", "samples", "holdback", "final_steps", "calibrate")


def _sections() -> dict[str, list[Field]]:
    """The settings by what they are of; `window` has no meaning here."""
    titles = ("Data", "Model", "Forecasts", "Training")
    sections: dict[str, list[Field]] = {title: [] for title in titles}
    general = {field.name for field in dataclasses.fields(TrainingConfig)}
    for field in dataclasses.fields(ForecastConfig):
        if field.name in general:
            title = "Training"
        elif field.name in _DATA:
            title = "Data"
        else:
            title = "Forecasts" if field.name in _OUTPUT else "Model"
        if field.name != "window":
            sections[title].append(field)
    return sections


_SECTIONS = _sections()


@click.command(
    name="forecast",
    cls=Sectioned,
    sections={title: [field.name for field in fields] for title, fields in _SECTIONS.items()},
)
@click.argument("file", required=False, metavar="FILE")
@click.option("--out", required=True, metavar="RUN", help="directory of the run")
@click.option("--static-data", metavar="FILE", help="a second table: static columns by series")
@click.option("--config", metavar="FILE.toml", help="settings from a file; options here win")
@click.option("--resume", is_flag=True, help="go on with the run, with its table and settings")
@click.option("--overwrite", is_flag=True, help="replace the run that is there")
@options_for(ForecastConfig, [field for fields in _SECTIONS.values() for field in fields])
def command(
    file: str | None,
    out: str,
    static_data: str | None,
    config: str | None,
    resume: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Train a forecaster on a table of series: .csv, .tsv, .csv.gz or .parquet.

    \b
    recurra train forecast sales.csv --horizon 28 --freq D --out runs/sales

    FILE has a row for each series and stamp, in the columns unique_id, ds and y unless --id,
    --time and --target say otherwise; --layout tells of other forms. Every setting below is also
    a key of the file of --config, with _ for -.
    """
    if file is None and not resume:
        raise click.UsageError("FILE is missing: name the table to train on.")
    begun = _begun(out) if resume else {}
    settings = {
        **begun.get("settings", {}),
        **read_settings(
            config, given(options), lambda s: forecast_config({**begun.get("settings", {}), **s})
        ),
    }

    # torch takes a second to load: not before what was asked for is known to make sense.
    from recurra.cli.forecast_report import noted, show_judgement, show_next, show_trained
    from recurra.cli.report import show_interrupted
    from recurra.tasks.forecast import Forecaster
    from recurra.tasks.forecast.facts import HELD_BACK

    model = Forecaster(**settings)
    table = file or begun.get("data")
    static = static_data or begun.get("static data")
    with noted():
        model.fit(table, static=static, out=out, resume=resume, overwrite=overwrite, progress=True)
    if model.results[-1].stopped == "interrupted":
        show_interrupted(model.results[-1], out, "forecast")
        sys.exit(exit_code(model.results[-1]))
    show_trained(out, model.results, model.config.seed)
    if model.held_back is not None:
        show_judgement("The held-back part", model.held_back, [HELD_BACK])
    show_next(out, ahead=bool(model.config.future))


def _begun(out: str) -> Mapping[str, Any]:
    """What the run that is to go on was begun with."""
    from recurra.training import Run

    record = Run.open(out).config
    if record.get("task") != "forecast":
        raise ConfigError(f"{out} is a run of task {record.get('task')!r}, not of a forecaster.")
    return record
