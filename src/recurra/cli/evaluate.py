"""`recurra evaluate RUN [FILE]`."""

import json
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from recurra.tasks.forecast import Forecaster
    from recurra.tasks.forecast.evaluation.backtest import Backtest

__all__ = ["command"]

COUNT = click.IntRange(min=1)


@click.command(name="evaluate")
@click.argument("run", metavar="RUN")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--windows", type=COUNT, help="forecasts: judge so many of each series [1]")
@click.option("--step", type=COUNT, help="forecasts: steps between two windows [the horizon]")
@click.option("--backtest", type=COUNT, help="forecasts: so many, trained anew before them")
@click.option("--refit", is_flag=True, help="forecasts: train anew before each of these")
@click.option("--adapt", type=COUNT, help="forecasts: quantiles follow truths; half-life in steps")
@click.option("--static-data", metavar="TABLE", help="forecasts: static columns of the series")
@click.option("--json", "as_json", is_flag=True, help="the numbers as one line of JSON")
def command(run: str, file: str | None, as_json: bool, **options: Any) -> None:
    """Measure how well the model of RUN predicts FILE.

    A language model reads it as one stream, the state carried from its first token to its last;
    without FILE, the run's validation text. A forecaster forecasts the last windows of each
    series, beside the baselines; without FILE, of the table it was trained on.
    """
    from recurra.training import Run

    if Run.open(run).config.get("task") == "forecast":
        _forecaster(run, file, as_json, **options)
    else:
        _refuse(run, {name: value for name, value in options.items() if value})
        _language_model(run, file, as_json)


def _refuse(run: str, given: dict[str, Any]) -> None:
    if given:
        option = f"--{next(iter(given)).replace('_', '-')}"
        raise click.UsageError(f"{option} is for forecasts, and {run} is of another task.")


def _language_model(run: str, file: str | None, as_json: bool) -> None:
    from recurra.cli.report import show_evaluation
    from recurra.tasks.language import LanguageModel

    evaluation = LanguageModel.load(run).evaluate(file)
    if as_json:
        click.echo(json.dumps(evaluation))
    else:
        show_evaluation(file or f"Validation text of {run}", evaluation)


def _forecaster(
    run: str,
    file: str | None,
    as_json: bool,
    *,
    windows: int | None,
    step: int | None,
    backtest: int | None,
    refit: bool,
    adapt: int | None,
    static_data: str | None,
) -> None:
    if windows is not None and backtest is not None:
        raise click.UsageError("--windows judges the model as it is, --backtest anew; give one.")
    if adapt is not None and backtest is not None:
        raise click.UsageError("--adapt is for --windows, not for --backtest; give one of the two.")
    if refit and backtest is None:
        raise click.UsageError("--refit is for --backtest; give both, or none.")

    from recurra.cli.forecast_report import noted, show_judgement
    from recurra.tasks.forecast import Forecaster
    from recurra.tasks.forecast.store import static_of, table_of

    model = Forecaster.load(run)
    assert model.run is not None
    table = file or table_of(model.run)
    static = static_data or (static_of(model.run) if file is None else None)
    with noted():
        if backtest is not None:
            found = model.backtest(
                table, windows=backtest, step=step, refit=refit, static=static, progress=True
            )
        else:
            found = model.evaluate(
                table, windows=windows or 1, step=step, static=static, adapt=adapt or 0
            )
    told = [] if backtest is not None else _remarks(model, found, windows or 1, step)
    if as_json:
        verdict = found.judgement.verdict("recurra")
        line = {"file": table, **found.judgement.to_json(), "verdict": verdict, "remarks": told}
        click.echo(json.dumps(line))
    else:
        show_judgement(table, found, told)


def _remarks(model: "Forecaster", found: "Backtest", windows: int, step: int | None) -> list[str]:
    from recurra.tasks.forecast.evaluation.holdout import remarks

    assert model.run is not None
    record, step = model.run.config, step or model.config.horizon
    return remarks(model.config, record, found, windows, step)
