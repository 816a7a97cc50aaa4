"""Files of CoNLL-U: ten columns, of which a layer of tags may be any but the tree's."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import islice

from recurra.data.texts.tagged_rows import TaggedReading, TaggedRow
from recurra.data.texts.text_file import TextFile
from recurra.errors import ConfigError

__all__ = ["COLUMNS", "conllu_rows", "is_conllu"]

COLUMNS = ("id", "form", "lemma", "upos", "xpos", "feats", "head", "deprel", "deps", "misc")
"""Names in the order of https://universaldependencies.org/format.html."""

_LAYERS = ("upos", "xpos", "feats", "deprel", "lemma", "misc")
_WORD, _RANGE, _EMPTY = (re.compile(form) for form in (r"\d+", r"\d+-\d+", r"\d+\.\d+"))
_HEAD = 200


def is_conllu(file: TextFile) -> bool:
    """Whether nearly all lines that aren't comments have ten columns, the first a number."""
    head = [line.split("\t") for _, line in islice(file.lines(), _HEAD) if line[0] != "#"]
    formed = [cells for cells in head if len(cells) == len(COLUMNS) and cells[0][:1].isdigit()]
    return bool(head) and len(formed) >= 0.9 * len(head)


def conllu_rows(file: TextFile, how: TaggedReading, notes: list[str]) -> Iterator[TaggedRow]:
    """The sentences of a file: forms with upos, or the layers that the reading names.

    Ranges of several words (1-2) and empty nodes (8.1) are no words: they are skipped, and `notes`
    tells how many. Comments `# name = value` become columns. ConfigError for another layer.
    """
    layers = how.layers or ("upos",)
    for layer in layers:
        if layer not in _LAYERS:
            raise ConfigError(
                f"label_column = {layer!r}; of CoNLL-U it is one of {', '.join(_LAYERS)}."
            )
    skipped = {"ranges of several words": 0, "empty nodes": 0}
    for block in _blocks(file):
        yield from _row(file, block, layers if how.labels else (), skipped)
    told = [f"{count:,} {name}" for name, count in skipped.items() if count]
    if told:
        notes.append(f"{file.path}: {' and '.join(told)} are no words of their own: skipped.")


def _blocks(file: TextFile) -> Iterator[list[tuple[int, str]]]:
    block: list[tuple[int, str]] = []
    for number, line in enumerate([*file.content.split("\n"), ""], start=1):
        if line.strip():
            block.append((number, line))
        elif block:
            yield block
            block = []


def _row(
    file: TextFile, block: list[tuple[int, str]], layers: Sequence[str], skipped: dict[str, int]
) -> Iterator[TaggedRow]:
    columns, words = dict[str, str](), list[tuple[int, list[str]]]()
    for number, line in block:
        if line.startswith("#"):
            name, mark, value = line[1:].partition("=")
            columns |= {name.strip(): value.strip()} if mark else {}
            continue
        cells = line.split("\t")
        if problem := file.damage(number, line) or _problem(cells, layers):
            yield TaggedRow([number], problem=problem)
            return
        if _WORD.fullmatch(cells[0]):
            words.append((number, cells))
        else:
            skipped["empty nodes" if _EMPTY.fullmatch(cells[0]) else "ranges of several words"] += 1
    if words:
        tags = {each: [cells[COLUMNS.index(each)] for _, cells in words] for each in layers}
        yield TaggedRow([number for number, _ in words], [c[1] for _, c in words], tags, columns)


def _problem(cells: Sequence[str], layers: Sequence[str]) -> str:
    if len(cells) != len(COLUMNS):
        return f"has {len(cells)} columns, and CoNLL-U has 10, separated by tabs; correct it."
    if not any(form.fullmatch(cells[0]) for form in (_WORD, _RANGE, _EMPTY)):
        return f"its first column is {cells[0]!r}; it is a number, 1-2 or 8.1."
    if "upos" in layers and cells[3] == "_" and _WORD.fullmatch(cells[0]):
        return f"{cells[1]!r} has no upos; give one."
    return ""
