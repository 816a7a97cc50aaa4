"""What config.json of a run holds, and what a run that goes on must have kept."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recurra import __version__
from recurra.config.training import EXTENDABLE
from recurra.data.text import Source
from recurra.data.vocabulary import Vocabulary
from recurra.errors import ConfigError, RunError
from recurra.tasks.language.config import LanguageConfig, language_config
from recurra.tasks.language.corpus import Texts

__all__ = ["check_cell", "check_texts", "continued", "read_record", "write_record"]

TASK = "language"
_PLACES = ("files", "valid")  # compared by content, so that data may have moved


def write_record(
    config: LanguageConfig, texts: Texts, vocabulary: Vocabulary, digest: str
) -> dict[str, Any]:
    """Everything needed to build the model, to read the data again and to know them."""
    return {
        "task": TASK,
        "recurra": __version__,
        "settings": dataclasses.asdict(_absolute(config)),
        "cell_digest": digest,
        **{name: [dataclasses.asdict(s) for s in sources] for name, sources in _sources(texts)},
        "vocabulary": vocabulary.tokens(),
    }


def read_record(record: Mapping[str, Any], where: Path) -> LanguageConfig:
    """The configuration in a run's record; RunError where the run is of another task."""
    if record.get("task") != TASK:
        raise RunError(f"{where} is a run of task {record.get('task')!r}, not of {TASK!r}.")
    return language_config(record["settings"])


def continued(config: LanguageConfig, given: Mapping[str, Any]) -> LanguageConfig:
    """A run's configuration with what was given anew; ConfigError for what can't be changed."""
    anew = dataclasses.asdict(language_config(given))
    for name in given:
        old = getattr(config, name)
        if name not in (*EXTENDABLE, *_PLACES) and anew[name] != old:
            raise ConfigError(
                f"{name} = {anew[name]!r} was given, and the run has {name} = {old!r}; a run that "
                f"goes on may be given {', '.join(EXTENDABLE)} anew: leave {name} out."
            )
    changes = {name: anew[name] for name in given if name in (*EXTENDABLE, *_PLACES)}
    return _absolute(dataclasses.replace(config, **changes))


def check_texts(record: Mapping[str, Any], texts: Texts) -> None:
    """Raise RunError, naming the file, where the data are not those the run was trained on."""
    for name, sources in _sources(texts):
        known = [source["sha256"] for source in record[name]]
        if len(known) != len(sources):
            raise RunError(
                f"The run's {name} are {len(known)} files, and {len(sources)} were given; give the "
                f"same, or leave them out."
            )
        for sha256, source in zip(known, sources, strict=True):
            if sha256 != source.sha256:
                raise RunError(
                    f"{source.path} is not what the run was trained with (another SHA-256); "
                    f"restore it, or train a new run."
                )


def check_cell(record: Mapping[str, Any], cell: str, digest: str) -> None:
    """Raise RunError, naming the cell, where its equations are not those of the training."""
    if record["cell_digest"] != digest:
        raise RunError(
            f"The equations of cell {cell} have changed since this run was trained; restore them, "
            f"or train a new run."
        )


def _absolute(config: LanguageConfig) -> LanguageConfig:
    files = tuple(str(Path(name).absolute()) for name in config.files)
    valid = str(Path(config.valid).absolute()) if config.valid else None
    return dataclasses.replace(config, files=files, valid=valid)


def _sources(texts: Texts) -> list[tuple[str, tuple[Source, ...]]]:
    valid = texts.valid.sources if texts.valid else ()
    return [("training files", texts.train.sources), ("validation files", valid)]
