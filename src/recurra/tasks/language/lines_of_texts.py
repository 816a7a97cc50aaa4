"""Texts of other tasks, labelled or not, as lines of one text for a language model."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recurra.data.text import Text, TextSource
from recurra.data.texts.labelled_texts import read_texts
from recurra.data.texts.tokeniser import Tokeniser
from recurra.errors import DataError
from recurra.tasks.language.config import LanguageConfig

__all__ = ["lines_of_texts", "tokeniser_of"]


def tokeniser_of(config: LanguageConfig) -> Tokeniser | None:
    """What divides texts as other tasks divide them; None where files are read as they are."""
    if not config.texts:
        return None
    return Tokeniser("words" if config.level == "word" else "characters", config.lower)


def lines_of_texts(data: Any, config: LanguageConfig, *, where: str | None) -> Text:
    """A line for each text of files, folders, data frames or lists, in an order of the seed's.

    In a list a `str` that names no file is a text. Files may have the texts of a class side by
    side, hence the order. Raises DataError where a text can't be read, or there are texts beside
    files.
    """
    lines, sources = list[str](), list[TextSource]()
    for source in _sources(data):
        named = Path(source) if isinstance(source, (str, os.PathLike)) else source
        found = read_texts(
            named,
            labels=False,
            text_column=config.text_column,
            where=where,
            encoding=config.encoding,
        )
        own = [" ".join(str(item.data).split()) for item in found]
        path = str(named.absolute()) if isinstance(named, Path) else None
        sources.append(TextSource(path, _digest(own)))
        lines += own
    random.Random(config.seed).shuffle(lines)
    return Text("".join(f"{line}\n" for line in lines), tuple(sources))


def _sources(data: Any) -> list[Any]:
    """The sources of a list, or one alone; texts in memory are one together.

    Raises DataError for texts beside files, since such a text may be the wrong name of a file.
    """
    if not isinstance(data, (list, tuple)):
        return [data]
    texts = [each for each in data if _is_text(each)]
    if texts and len(texts) < len(data):
        raise DataError(
            f"Files and texts in memory were given together ({str(texts[0])[:40]!r} names no "
            "file); give one of the two."
        )
    return [texts] if len(texts) == len(data) else list(data)


def _is_text(each: Any) -> bool:
    """Whether it is a text in memory, perhaps with its label, rather than a source of texts."""
    return isinstance(each, tuple) or (isinstance(each, str) and not os.path.exists(each))


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogatepass")).hexdigest()
