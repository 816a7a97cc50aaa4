"""Pronouncing dictionaries as CMUdict has them: a word and its phones in each line."""

import re
from collections.abc import Iterator

from recurra.data.pairs.text_pair import PairRow
from recurra.data.texts.text_file import TextFile

__all__ = ["dictionary_rows"]

_VARIANT = re.compile(r"(?<=.)\(\d+\)$")


def dictionary_rows(file: TextFile) -> Iterator[PairRow]:
    """A row for each entry; `word(2)` is a variant of `word`.

    Comments, lines that begin with ";;;" and what follows " #", are left out.
    """
    for number, line in file.lines():
        if line.startswith(";;;"):
            continue
        place = f"{file.path}, line {number}"
        word, *phones = re.split(r"\s#", line)[0].split()
        if damage := file.damage(number, line):
            yield PairRow(place, problem=damage, reason="is not UTF-8")
        elif not phones:
            yield PairRow(place, problem=f"{word!r} has no pronunciation.")
        else:
            yield PairRow(place, _VARIANT.sub("", word), [" ".join(phones)])
