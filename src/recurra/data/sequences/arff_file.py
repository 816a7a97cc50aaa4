r"""Series of .arff files, Weka's format, as the UCR and UEA archives use it.

An attribute is a step of the one channel, or, of a relational attribute, a step of every channel:
each line of its cell, the lines parted by \n, is a channel.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from recurra.data.sequences.number_cells import Doubles, numbers, text_lines, without_blank_end
from recurra.data.sequences.series import Series, label_text
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.errors import DataError

__all__ = ["read_arff"]

_QUOTED = r"'[^'\\]*(?:\\.[^'\\]*)*'|\"[^\"\\]*(?:\\.[^\"\\]*)*\""
_CELL = re.compile(rf"\s*({_QUOTED}|[^,'\"]*)\s*(,|$)")
_ATTRIBUTE = re.compile(rf"@attribute\s+({_QUOTED}|[^\s{{]+)\s*(.*)", re.IGNORECASE)
_NUMERIC = ("numeric", "real", "integer")
_LABELS = ("label", "class", "target", "y", "activity", "classlabel", "targetlabel", "class_label")


@dataclass(frozen=True)
class _Attribute:
    """A name and a type in lower case: "nominal", "relational", or as it is written."""

    name: str
    type: str
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Relation:
    """The attributes of a row; the place of the label, None without one; steps where relational."""

    attributes: tuple[_Attribute, ...]
    label: int | None
    relational: bool


def read_arff(
    path: Path, notes: list[str], label_column: str | None = None
) -> Iterator[Item | UnusableItem]:
    """The series of a file in order, among them those that can't be used; `notes` gets remarks.

    The label is `label_column`, else the last attribute where it has classes or is called class,
    target or the like. Steps missing at the end are how shorter series are padded. Raises
    DataError where the header can't be read, or no row follows it.
    """
    lines = text_lines(path)
    attributes, first = _header(path, lines, notes)
    layout = _layout(path, attributes, label_column)
    rows = [(line, text) for line, text in lines[first:] if not text.lstrip().startswith("%")]
    if not rows:
        raise DataError(f"{path}: has no rows after @data; is the file cut short?")
    for line, text in rows:
        origin = f"{path}, line {line}"
        try:
            label, series = _series(text.strip(), layout)
        except DataError as error:
            yield UnusableItem(origin, f"{origin}: {error}")
        else:
            name = f"{path.name}:{line}"
            yield Item(name, "series", label, format="memory", data=series, origin=origin)


def _header(
    path: Path, lines: Sequence[tuple[int, str]], notes: list[str]
) -> tuple[list[_Attribute], int]:
    """The attributes, those of a relational one left out, and the number of lines until @data."""
    attributes: list[_Attribute] = []
    inside: str | None = None
    for number, (line, text) in enumerate(lines):
        text, origin = text.strip(), f"{path}, line {line}"
        word = text.split()[0].lower()
        if word == "@data":
            if inside is not None:
                raise DataError(f"{path}: has no @end of the relational attribute {inside!r}.")
            return attributes, number + 1
        if word == "@end":
            inside = None
        elif word == "@attribute":
            attribute = _attribute(text, origin)
            if inside is None:
                attributes.append(attribute)
            if attribute.type == "relational":
                inside = attribute.name
        elif word.startswith("@") and word != "@relation":
            notes.append(f"{origin}: {word} is not known, and ignored.")
        elif not word.startswith(("%", "@")):
            raise DataError(f"{origin}: {text[:40]!r} comes before @data.")
    raise DataError(f"{path}: has no line @data; is it a whole .arff file?")


def _attribute(text: str, origin: str) -> _Attribute:
    match = _ATTRIBUTE.match(text)
    if match is None or not match[2]:
        raise DataError(f"{origin}: {text[:60]!r} has no type; write @attribute NAME TYPE.")
    name, kind = _unquoted(match[1]), match[2].strip()
    if kind.startswith("{"):
        inner = kind.rpartition("}")[0][1:] if "}" in kind else kind[1:]
        return _Attribute(name, "nominal", tuple(cell.strip() for cell in _cells(inner)))
    return _Attribute(name, kind.split()[0].lower())


def _layout(path: Path, attributes: Sequence[_Attribute], label_column: str | None) -> _Relation:
    names = [attribute.name for attribute in attributes]
    label = _label_place(attributes)
    if label_column is not None:
        if label_column not in names:
            raise DataError(
                f"{path}: no attribute {label_column!r} (label); it has {', '.join(names[-5:])} at "
                "its end."
            )
        label = names.index(label_column)
    others = [attribute for place, attribute in enumerate(attributes) if place != label]
    relational = any(attribute.type == "relational" for attribute in others)
    if relational and len(others) != 1:
        raise DataError(
            f"{path}: has {len(others)} attributes beside the label, one of them relational; a "
            "series is one relational attribute alone."
        )
    wrong = [a for a in others if a.type not in _NUMERIC and not relational]
    if wrong or not others:
        shown = f"{wrong[0].name!r} is {wrong[0].type}" if wrong else "there is none"
        raise DataError(
            f"{path}: the attributes beside the label are the numbers of a series, and {shown}; "
            "drop it, or say which is the label (label_column = NAME)."
        )
    return _Relation(tuple(attributes), label, relational)


def _label_place(attributes: Sequence[_Attribute]) -> int | None:
    last = len(attributes) - 1
    if last < 0:
        return None
    kind, name = attributes[last].type, attributes[last].name.lower()
    return last if kind in ("nominal", "string") or name in _LABELS else None


def _series(text: str, layout: _Relation) -> tuple[str | None, Series]:
    if text.startswith("{"):
        raise DataError("is a sparse row {place value, …}; write all values.")
    cells, count = _cells(text), len(layout.attributes)
    if len(cells) == count + 1 and cells[-1].strip().startswith("{"):
        cells.pop()  # the weight of the row
    if len(cells) != count:
        raise DataError(
            f"has {len(cells)} cells, and the header {count} attributes; is the line cut short?"
        )
    label = None
    if layout.label is not None:
        label = label_text(cells.pop(layout.label))
        _check_class(label, layout.attributes[layout.label])
    values = _channels(cells[0]) if layout.relational else numbers(cells)[None]
    return label, Series.of(without_blank_end(values).T)


def _check_class(label: str | None, attribute: _Attribute) -> None:
    known = tuple(map(label_text, attribute.classes))
    if label is not None and known and label not in known:
        shown = ", ".join(attribute.classes[:10]) + (", …" if len(known) > 10 else "")
        raise DataError(f"has the label {label!r}, and {attribute.name!r} lists {shown}.")


def _channels(cell: str) -> Doubles:
    """Values (C, T) of a relational cell."""
    lines = [line.split(",") for line in re.split(r"\\n|\n", cell) if line.strip()]
    if not lines:
        raise DataError("its relational cell is empty.")
    rows = []
    for channel, line in enumerate(lines, start=1):
        if len(line) != len(lines[0]):
            raise DataError(
                f"channel {channel} has {len(line)} steps, and the first {len(lines[0])}; write ? "
                "where a value is missing."
            )
        try:
            rows.append(numbers(line))
        except DataError as error:
            raise DataError(f"channel {channel}: {error}") from error
    return np.stack(rows)


def _cells(text: str) -> list[str]:
    """Cells between commas, without their quotation marks."""
    if "'" not in text and '"' not in text:
        return text.split(",")
    cells, place = [], 0
    while True:
        match = _CELL.match(text, place)
        if match is None:
            raise DataError(
                f"{text[place : place + 40]!r} has a quotation mark that isn't closed, or text "
                "beside it; is the line cut short?"
            )
        cells.append(_unquoted(match[1].strip()))
        place = match.end()
        if not match[2]:
            return cells


def _unquoted(cell: str) -> str:
    r"""A cell without quotation marks around it; \' is a mark, and \n stays for `_channels`."""
    if len(cell) > 1 and cell[0] == cell[-1] and cell[0] in "'\"":
        return re.sub(r"\\(['\"\\%])", r"\1", cell[1:-1])
    return cell
