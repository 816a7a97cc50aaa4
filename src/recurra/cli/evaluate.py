"""`recurra evaluate RUN [FILE...]`, with the options that the run's task has."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from recurra.cli.config_options import Sectioned, given, option_of
from recurra.config.task_config import EvaluateOptions
from recurra.data import check_exists
from recurra.tasks.registry import check_run, config_of

__all__ = ["command"]


class RunCommand(Sectioned):
    """A command whose options depend on the task of the run that it is given."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own = [param for param in self.params if param.name not in self._titles]
        options = _options_of(args)
        self._titles = {field.name: "Options of the run's task" for field in options}
        self.params: list[click.Parameter] = [
            *own,
            *(option_of(field, hint) for field, hint in options.items()),
        ]
        return super().parse_args(ctx, args)


@click.command(name="evaluate", cls=RunCommand, sections={})
@click.argument("run", metavar="RUN")
@click.argument("files", nargs=-1, metavar="[FILE...]", type=click.Path(path_type=Path))
@click.option(
    "--exported",
    metavar="KIND",
    help="measure the model as `recurra export` writes it, beside the run: onnx, c, html or torch",
)
@click.option(
    "--weights",
    type=click.Choice(["float32", "int16", "int8"]),
    help="exported with weights of this format [float32]",
)
@click.option("--json", "as_json", is_flag=True, help="the numbers as one line of JSON")
def command(
    run: str,
    files: tuple[Path, ...],
    exported: str | None,
    weights: Any,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure how well the model of RUN does on FILE, or on the data that its training held out.

    Two parallel files are those of a run of translation.

    `recurra evaluate RUN --help` lists the options of the run's task.
    """
    check_run(run)
    for file in files:
        check_exists(file)

    from recurra.cli.terminal import noted, show_evaluation
    from recurra.tasks.registry import load

    with noted():
        model = load(run)
        data = list(files) if len(files) > 1 else next(iter(files), None)
        if exported is None:
            if weights:
                raise click.UsageError("--weights are of an exported model: give --exported, too.")
            evaluation = model.evaluate(data, **given(options))
        else:
            from recurra.deploy.export import evaluate_exported

            form: Any = weights or "float32"
            both = evaluate_exported(model, exported, data, weights=form, **given(options))
            evaluation = both.evaluation
    named = ", ".join(map(str, files))
    if as_json:
        click.echo(json.dumps({"file": named or run, **evaluation.to_json()}))
    else:
        show_evaluation(named or f"The data of {run}", evaluation)


def _options_of(args: list[str]) -> dict[Any, Any]:
    """The fields of the evaluation's options, with their types, of the first argument that is a
    run; none where none is, which is an error of its own later.
    """
    import typing

    for word in args:
        try:
            task = json.loads((Path(word) / "config.json").read_bytes())["task"]
            options: type[EvaluateOptions] = config_of(task).evaluation
        except (OSError, ValueError, KeyError, TypeError):
            continue
        hints = typing.get_type_hints(options)
        return {field: hints[field.name] for field in dataclasses.fields(options)}
    return {}
