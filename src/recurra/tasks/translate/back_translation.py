"""Sources for texts that have none, drawn by a run of the other direction."""

from __future__ import annotations

import os

from recurra.data.pairs.source_texts import read_sources
from recurra.data.pairs.text_pair import TextPair
from recurra.errors import ConfigError, DataError

__all__ = ["drawn_pairs"]


def drawn_pairs(
    texts: str | os.PathLike[str], run: str | os.PathLike[str], seed: int
) -> list[TextPair]:
    """A pair of each text of a file, as the target, with a source that a run draws for it.

    The same seed draws the same. Empty lines have no pair, and neither has a text for which
    nothing is drawn.

    Raises:
        DataError: the file can't be read, or has no text.
        ConfigError: the run isn't one of translation.
        RunError: the run can't be read.
    """
    from recurra.tasks.registry import load
    from recurra.tasks.translate.translator import Translator

    model = load(run)
    if not isinstance(model, Translator):
        raise ConfigError(
            f"backwards = {os.fspath(run)!r} is a run of {model.task.name()}; name one that "
            "translates targets into sources."
        )
    pairs = [
        TextPair(own[0].text, (one.text,), one.origin)
        for one, own in model.drawn(read_sources(texts), seed=seed)
        if own and own[0].text
    ]
    if not pairs:
        raise DataError(f"{os.fspath(texts)}: no line has a text that a source was drawn for.")
    return pairs
