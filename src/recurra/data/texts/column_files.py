"""Files of a token in each line, with its tags in further columns: CoNLL, and tables."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from recurra.data.texts.tagged_rows import (
    DEFAULT_LAYER,
    TAG_NAMES,
    TaggedReading,
    TaggedRow,
    column_place,
    layer_places,
    token_place,
)
from recurra.data.texts.text_file import TextFile
from recurra.data.texts.text_tables import TEXT_COLUMNS
from recurra.data.transcripts.manifest_rows import plain_name, table_records
from recurra.errors import DataError

__all__ = ["are_columns", "column_rows"]

ID_NAMES = (
    *("sentence_id", "sent_id", "sentence", "sentence_#", "sentence_number", "sentence_idx"),
    *("sequence_id", "sid", "id"),
)
"""Names of columns that say which sentence a token is of, the first of them wins."""

_MOST = 0.9
_LONG = 300
"""A sentence of so many tokens in a file of no other may be a file without blank lines."""

Record = tuple[int, list[str]]
"""A line and its cells, none of a blank one."""


@dataclass(frozen=True)
class _Roles:
    """Places of columns: of tokens, of tags by layer, and of the sentence's name; their names."""

    names: Sequence[str]
    token: int
    tags: Mapping[str, int]
    sentence: int | None = None


def are_columns(file: TextFile, suffix: str) -> bool:
    """Whether lines are tokens with columns, rather than texts.

    They are where a header names tokens, or as many cells stand in nearly all lines and these have
    tabs, one cell, or blank lines between sentences; and not where a header names texts.
    """
    records = _records(file, suffix)
    if _header(records, TaggedReading()) is not None:
        return True
    first = next(cells for _, cells in records if cells)
    if suffix in (".csv", ".tsv") and {*map(plain_name, first)} & {*TEXT_COLUMNS}:
        return False
    words = [cells for _, cells in records if cells and not cells[0].startswith("#")]
    widths = Counter(map(len, words or [first]))
    width, count = widths.most_common(1)[0]
    is_separated = any(not cells for _, cells in records[:-1])
    is_apart = suffix != ".csv" and (width == 1 or _separator(file) == "\t")
    return count >= _MOST * widths.total() and (is_separated or is_apart)


def column_rows(
    file: TextFile, suffix: str, how: TaggedReading, notes: list[str]
) -> Iterator[TaggedRow]:
    """The sentences of a file: .csv has commas, others have tabs in nearly all lines, or blanks.

    A blank line ends a sentence, or a column says which one a row is of. Lines of `-DOCSTART-`, and
    those before a sentence that begin with # and have another number of cells, are left out.
    Without a header the first column is the token and the last the tag, where the reading names
    none; `notes` tells it of more than two.
    DataError where a column is missing.
    """
    records = _records(file, suffix)
    header = _header(records, how)
    if header is not None:
        records = records[records.index(header) + 1 :]
    width = Counter(len(cells) for _, cells in records if cells).most_common(1)
    if not width:
        raise DataError(f"{file.path}: has no token below its header.")
    names = header[1] if header else [str(n + 1) for n in range(width[0][0])]
    sentences = _by_blank_lines(records, len(names), suffix)
    roles = _roles(file.path, names, header is not None, sentences, how, notes)
    if roles.sentence is not None:
        sentences = _by_sentence([each for own in sentences for each in own], roles)
    if len(sentences) == 1 and len(sentences[0]) > _LONG:
        notes.append(
            f"{file.path}: has neither a blank line nor a column of sentences; it was read as one "
            f"sequence of {len(sentences[0]):,} tokens (id_column names such a column)."
        )
    for sentence in sentences:
        yield _row(file, sentence, roles)


def _records(file: TextFile, suffix: str) -> list[Record]:
    lines = list(enumerate(file.content.rstrip("\n").split("\n"), start=1))
    if suffix == ".csv":
        return [
            (line, cells if any(cell.strip() for cell in cells) else [])
            for line, cells in table_records(file.path, suffix, file.content.rstrip("\n"))
        ]
    if _separator(file) == "\t":
        return [(n, line.rstrip("\r").split("\t") if line.strip() else []) for n, line in lines]
    return [
        (n, re.split(r"[ \t]+", line.strip(" \t")) if line.strip() else []) for n, line in lines
    ]


def _separator(file: TextFile) -> str:
    lines = [line for _, line in file.lines()]
    return "\t" if sum("\t" in line for line in lines) >= _MOST * len(lines) else " "


def _header(records: Sequence[Record], how: TaggedReading) -> Record | None:
    """The first line with cells, if it names a column of tokens and another, or a given one."""
    first = next((record for record in records if record[1]), (0, [""]))
    cells = [cell.strip() for cell in first[1]]
    if len(set(cells)) < len(cells) or "" in cells:
        return None
    given = (*how.layers, how.token_column, how.sentence_column)
    named = {name for name in given if name and not name.lstrip("-").isdigit()}
    plain = [plain_name(cell) for cell in cells]
    has_token = token_place(Path(), cells, TaggedReading()) is not None
    others = any(name in (*TAG_NAMES, *ID_NAMES) for name in plain)
    if {*cells} & named or (has_token and others):
        return first[0], cells
    return None


def _by_blank_lines(records: Sequence[Record], width: int, suffix: str) -> list[list[Record]]:
    found: list[list[Record]] = [[]]
    for line, cells in records:
        if not cells:
            found.append([])
        elif found[-1] or not _is_apart(cells, width, suffix):
            found[-1].append((line, cells))
    return [sentence for sentence in found if sentence]


def _is_apart(cells: Sequence[str], width: int, suffix: str) -> bool:
    """Whether a line before a sentence is none of it: -DOCSTART-, or a comment."""
    if cells[0].startswith("-DOCSTART-"):
        return True
    return cells[0].startswith("#") and len(cells) != width and suffix != ".csv"


def _roles(
    path: Path,
    names: Sequence[str],
    has_header: bool,
    sentences: Sequence[Sequence[Record]],
    how: TaggedReading,
    notes: list[str],
) -> _Roles:
    sentence = _sentence_place(path, names, has_header, sentences, how, notes)
    token = token_place(path, names, how)
    if token is None:
        is_counted = not has_header and _are_counted(sentences, len(names), how)
        token = int(is_counted or sentence == 0)
    roles = _Roles(names, token, layer_places(path, names, how) if how.labels else {}, sentence)
    if how.labels and not roles.tags:
        return replace(roles, tags=_recognised(path, roles, has_header, sentences, notes))
    return roles


def _recognised(
    path: Path,
    roles: _Roles,
    has_header: bool,
    sentences: Sequence[Sequence[Record]],
    notes: list[str],
) -> dict[str, int]:
    """The layer that is the last column, of those with usual names where there is a header."""
    names, token = roles.names, roles.token
    usual = [n for n, name in enumerate(names) if plain_name(name) in TAG_NAMES or not has_header]
    free = [place for place in usual if place not in (token, roles.sentence)]
    places = [place for place in free if place > token or has_header]
    if not places:
        raise DataError(
            f"{path}: no column has the tags; it has {', '.join(map(repr, names))}; say which it "
            "is (label_column = NAME), or give a token and its tag in each line, separated by a "
            "tab."
        )
    others = [place for place in places[:-1] if _varies(sentences, place)]
    if others:
        every = ",".join(names[place] for place in (*others, places[-1]))
        called = [repr(names[n]) if has_header else f"column {n + 1}" for n in (token, places[-1])]
        notes.append(
            f"{path}: {called[0]} was read as the token and {called[1]} as its tag; others are "
            f"ignored (label_column = {every} reads all)."
        )
    return {names[places[-1]] if has_header else DEFAULT_LAYER: places[-1]}


def _varies(sentences: Sequence[Sequence[Record]], place: int) -> bool:
    """Whether a column has several values; one of "_" alone tells nothing."""
    return len({cells[place] for own in sentences for _, cells in own if len(cells) > place}) > 1


def _are_counted(sentences: Sequence[Sequence[Record]], width: int, how: TaggedReading) -> bool:
    """Whether the first column counts the tokens of each sentence from 1 on."""
    if width < 2 + how.labels:
        return False
    counted = sum(
        [cells[0] for _, cells in sentence] == [str(n + 1) for n in range(len(sentence))]
        for sentence in sentences
    )
    return counted >= _MOST * len(sentences)


def _sentence_place(
    path: Path,
    names: Sequence[str],
    has_header: bool,
    sentences: Sequence[Sequence[Record]],
    how: TaggedReading,
    notes: list[str],
) -> int | None:
    """The column that names sentences: the one given, or one of a usual name, whose cells come
    several times or are left out in some rows; None where blank lines end sentences.
    """
    if how.sentence_column is not None:
        try:
            return column_place(path, how.sentence_column, names)
        except DataError:
            if len(sentences) == 1:
                raise
        notes.append(f"{path}: has no column {how.sentence_column!r}; blank lines end sentences.")
    if not has_header:
        return None
    plain = [plain_name(name) for name in names]
    for name in (known for known in ID_NAMES if known in plain):
        place = plain.index(name)
        cells = [cells[place] for own in sentences for _, cells in own if len(cells) > place]
        if len(set(cells)) < len(cells):
            return place
    return None


def _by_sentence(records: Sequence[Record], roles: _Roles) -> list[list[Record]]:
    """Records of each name; one without a name is of the sentence before it."""
    place, name = roles.sentence or 0, ""
    found: dict[str, list[Record]] = {}
    for line, cells in records:
        if len(cells) == len(roles.names):
            name = cells[place].strip() or name
        found.setdefault(name, []).append((line, cells))
    return list(found.values())


def _row(file: TextFile, sentence: Sequence[Record], roles: _Roles) -> TaggedRow:
    lines = [line for line, _ in sentence]
    for line, cells in sentence:
        if problem := _problem(file, line, cells, roles):
            rest = "" if len(sentence) == 1 else f" Its sentence begins in line {lines[0]}."
            return TaggedRow([line], problem=problem + rest)
    columns = [list(column) for column in zip(*(cells for _, cells in sentence), strict=True)]
    taken = {roles.token, *roles.tags.values()}
    return TaggedRow(
        lines,
        columns[roles.token],
        {layer: columns[place] for layer, place in roles.tags.items()},
        {name: columns[n][0] for n, name in enumerate(roles.names) if n not in taken},
    )


def _problem(file: TextFile, line: int, cells: Sequence[str], roles: _Roles) -> str:
    if damage := file.damage(line, *cells):
        return damage
    if len(cells) != len(roles.names):
        counted = f"{len(cells)} column{'s' * (len(cells) != 1)}"
        return f"has {counted}, and most lines have {len(roles.names)}; correct it."
    for layer, place in roles.tags.items():
        if not cells[place].strip():
            return f"{cells[roles.token]!r} has no tag ({layer}); give one."
    return ""
