"""`weft train language`."""

import dataclasses
import sys
from collections.abc import Iterator
from typing import Any

import click

from weft.cli.configuration import read_settings
from weft.cli.failures import INTERRUPTED
from weft.cli.options import Field, given, options_for
from weft.tasks.language.config import LanguageConfig, language_config
from weft.training.config import TrainingConfig

__all__ = ["command"]


def _fields() -> Iterator[Field]:
    """The task's own settings, then those of any training; the files are arguments."""
    general = {field.name for field in dataclasses.fields(TrainingConfig)}
    fields = sorted(dataclasses.fields(LanguageConfig), key=lambda field: field.name in general)
    return (field for field in fields if field.name != "files")


@click.command(name="language")
@click.argument("files", nargs=-1, metavar="[FILE...]")
@click.option("--out", required=True, metavar="RUN", help="directory of the run")
@click.option("--config", metavar="FILE.toml", help="settings from a file; options here win")
@click.option("--resume", is_flag=True, help="go on with the run from its last checkpoint")
@click.option("--overwrite", is_flag=True, help="replace the run that is there")
@options_for(LanguageConfig, _fields())
def command(
    files: tuple[str, ...],
    out: str,
    config: str | None,
    resume: bool,
    overwrite: bool,
    **options: Any,
) -> None:
    """Train a model of text by character, byte or word.

    Without a FILE it learns Python's own documentation. Every setting below is also a key of the
    file of --config, with _ for -; a setting whose default is none is taken away again by none.
    """
    settings = read_settings(config, given(options), language_config)

    # torch takes a second to load: not before what was asked for is known to make sense.
    from weft.cli.report import (
        show_evaluation,
        show_interrupted,
        show_next,
        show_text,
        show_training,
    )
    from weft.tasks.language import LanguageModel

    model = LanguageModel(**settings)
    result = model.fit(files, out=out, resume=resume, overwrite=overwrite, progress=True)
    if result.stopped == "interrupted":
        show_interrupted(result, out)
        sys.exit(INTERRUPTED)
    show_training(result)
    if model.validation is not None:
        show_evaluation("Validation", model.validation)
    click.echo("\nA sample:\n")
    show_text(model.sample())
    show_next(out)
