"""`weft evaluate RUN [FILE]`."""

import json

import click

__all__ = ["command"]


@click.command(name="evaluate")
@click.argument("run", metavar="RUN")
@click.argument("file", required=False, metavar="[FILE]")
@click.option("--json", "as_json", is_flag=True, help="the numbers as one line of JSON")
def command(run: str, file: str | None, as_json: bool) -> None:
    """Measure how well the model of RUN predicts FILE, or without one the run's validation text.

    The text is read as one stream, with the state carried from its first token to its last.
    """
    from weft.cli.report import show_evaluation
    from weft.tasks.language import LanguageModel

    evaluation = LanguageModel.load(run).evaluate(file)
    if as_json:
        click.echo(json.dumps(evaluation))
    else:
        show_evaluation(file or f"Validation text of {run}", evaluation)
