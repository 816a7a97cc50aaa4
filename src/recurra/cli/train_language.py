"""`recurra train language`."""

import dataclasses
import sys
from typing import Any

import click

from recurra.cli.failures import exit_code
from recurra.cli.options import Field, Sectioned, given, options_for
from recurra.config.network import RemedyConfig
from recurra.config.toml import read_settings
from recurra.config.training import TrainingConfig
from recurra.tasks.language.config import LanguageConfig, language_config

__all__ = ["command"]


def _sections() -> dict[str, list[Field]]:
    """The settings by what they are of; the files are arguments."""
    sections: dict[str, list[Field]] = {"Data and model": [], _REMEDIES: [], "Training": []}
    general, remedies = (
        {field.name for field in dataclasses.fields(config)}
        for config in (TrainingConfig, RemedyConfig)
    )
    for field in dataclasses.fields(LanguageConfig):
        if field.name in general:
            sections["Training"].append(field)
        elif field.name in remedies:
            sections[_REMEDIES].append(field)
        elif field.name != "files":
            sections["Data and model"].append(field)
    return sections


_REMEDIES = "Remedies in the recurrent layers"
_SECTIONS = _sections()


@click.command(
    name="language",
    cls=Sectioned,
    sections={title: [field.name for field in fields] for title, fields in _SECTIONS.items()},
)
@click.argument("files", nargs=-1, metavar="[FILE...]")
@click.option("--out", required=True, metavar="RUN", help="directory of the run")
@click.option("--config", metavar="FILE.toml", help="settings from a file; options here win")
@click.option("--resume", is_flag=True, help="go on with the run from its last checkpoint")
@click.option("--overwrite", is_flag=True, help="replace the run that is there")
@options_for(LanguageConfig, [field for fields in _SECTIONS.values() for field in fields])
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
    from recurra.cli.report import (
        show_evaluation,
        show_interrupted,
        show_next,
        show_text,
        show_training,
    )
    from recurra.tasks.language import LanguageModel

    model = LanguageModel(**settings)
    result = model.fit(files, out=out, resume=resume, overwrite=overwrite, progress=True)
    if result.stopped == "interrupted":
        show_interrupted(result, out)
        sys.exit(exit_code(result))
    show_training(result)
    if model.validation is not None:
        show_evaluation("Validation", model.validation)
    click.echo("\nA sample:\n")
    show_text(model.sample())
    show_next(out)
