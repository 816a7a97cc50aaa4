"""Series of text files with one a row: its label, then its values, as the UCR archive has them."""

import re
from collections.abc import Iterator
from pathlib import Path

from recurra.data.sequences.number_cells import numbers, text_lines, to_number, without_blank_end
from recurra.data.sequences.series import Series, label_text
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.errors import DataError

__all__ = ["holds_ucr_rows", "read_ucr_rows"]

_LABELS = ("label", "class", "target", "y", "activity", "class_label", "classlabel")
_NAMED_STEP = re.compile(r"\D*\d+$")
"""A name of a step in a header: 0, t1, att12."""


def holds_ucr_rows(path: Path) -> bool:
    """Whether a file's first line shows rows of a label and values, not a table with a header.

    A header that has the label first and then counts the steps (label,t1,t2,…) is one of such rows
    as well. DataError where the file can't be read.
    """
    lines = text_lines(path)
    first = _split(path, lines[0][1])
    if _is_header(first):
        return True
    return len(first) > 1 and all(to_number(cell) is not None for cell in first[1:])


def read_ucr_rows(path: Path) -> Iterator[Item | UnusableItem]:
    """The series of a file in order, among them those that can't be used.

    Cells are separated by tabs (.tsv), commas, or blanks. Values missing at the end are how
    shorter series are padded. DataError where the file can't be read, or has no row.
    """
    lines = text_lines(path)
    rows = lines[1:] if _is_header(_split(path, lines[0][1])) else lines
    if not rows:
        raise DataError(f"{path}: has a header and no rows; give one line for each sequence.")
    for line, text in rows:
        origin = f"{path}, line {line}"
        label, *cells = _split(path, text)
        try:
            if not cells:
                raise DataError("has a label and no values; write label and values in each line.")
            series = Series.of(without_blank_end(numbers(cells)[None]).T)
        except DataError as error:
            yield UnusableItem(origin, f"{origin}: {error}")
            continue
        name, text_of_label = f"{path.name}:{line}", label_text(_whole(label.strip().strip('"')))
        yield Item(name, "series", text_of_label, format="memory", data=series, origin=origin)


def _whole(label: str) -> str | float:
    """A label such as 1.0000000e+00 as the number that it stands for."""
    number = to_number(label)
    return number if number is not None and re.fullmatch(r"[-+\d.eE]+", label) else label


def _is_header(cells: list[str]) -> bool:
    names = [cell.strip().lower() for cell in cells]
    return (
        len(names) > 1
        and names[0] in _LABELS
        and all(map(_NAMED_STEP.match, names[1:]))
        and len({re.sub(r"\d+$", "", name) for name in names[1:]}) == 1
    )


def _split(path: Path, text: str) -> list[str]:
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    text = text.strip(" \r\n")
    if "\t" in text and suffix != ".csv":
        return text.split("\t")
    return text.split(",") if "," in text or suffix == ".csv" else text.split()
