"""Files of a labelled text in each line, and which kind of them a file is, by its content."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal

from recurra.data.texts.text_file import TextFile, TextRow
from recurra.errors import DataError

__all__ = ["LINE_LAYOUTS", "LabelPart", "label_cell", "line_rows", "recognise_lines"]

LabelPart = Literal["coarse", "fine", "whole"]

_FASTTEXT = "__label__"
_TREC = re.compile(r"([^\W\d_]\w*):(\w+)\s+(?=\S)")
_HEAD = 1000
"""Lines that a file is recognised by."""
_MOST = 0.9
"""The share of these that must have the form: single lines may be damaged."""
_FEW = 0.1
"""Labels that are whole numbers are as few as this share of the lines, or two."""


def recognise_lines(file: TextFile, *, labels: bool) -> str:
    """The layout of a file: "fasttext", "tab", "trec", "first_word", or "lines", without labels.

    DataError where labels are wanted and not recognised.
    """
    head = [line for _, line in islice(file.lines(), _HEAD)]
    if _share(head, lambda line: line.startswith(_FASTTEXT)):
        return "fasttext"
    if _share(head, lambda line: "\t" in line):
        return "tab"
    if _share(head, lambda line: _TREC.match(line) is not None):
        return "trec"
    numbered = [line for line in head if re.match(r"-?\d+\s+\S", line)]
    different = {line.split()[0] for line in numbered}
    if len(numbered) >= _MOST * len(head) and len(different) <= max(2, _FEW * len(head)):
        return "first_word"
    if not labels:
        return "lines"
    raise DataError(
        f"{file.path}: its labels aren't recognised; name the layout: tab (label, tab, text), "
        "fasttext (__label__x text), trec (LABEL:fine text) or first_word (label text), or give a "
        ".csv, .tsv or .jsonl file with columns text and label."
    )


def line_rows(
    file: TextFile, layout: str, *, part: LabelPart = "coarse", several: bool = False
) -> Iterator[TextRow]:
    """The rows of a file of one of `LINE_LAYOUTS`, among them those that can't be used."""
    for number, line in file.lines():
        if layout == "trec":
            yield _trec_row(file, number, line, part)
        elif layout == "fasttext":
            yield _fasttext_row(file, number, line, several)
        else:
            yield _SIMPLE[layout](file, number, line)


def label_cell(rows: Sequence[Sequence[str]]) -> int | None:
    """Which of two cells of rows without a header is the label; None where that isn't clear.

    Its values repeat: there are at most half as many as rows, fewer than there are texts, and that
    of the first row, which might be a header, comes again.

    >>> label_cell([("good", "a"), ("good", "b"), ("bad", "c"), ("bad", "d")])
    0
    """
    pairs = [row for row in rows if len(row) == 2]
    if len(pairs) < _MOST * len(rows) or not pairs or len(rows[0]) != 2:
        return None
    counts = [Counter(row[cell].strip() for row in pairs) for cell in (0, 1)]
    cell = int(len(counts[1]) < len(counts[0]))
    labels, texts = counts[cell], counts[1 - cell]
    repeats = len(labels) < len(texts) and 2 * len(labels) <= len(pairs)
    return cell if repeats and labels[rows[0][cell].strip()] > 1 else None


def _share(lines: Sequence[str], has_form: Callable[[str], bool]) -> bool:
    return sum(map(has_form, lines)) >= _MOST * len(lines)


def _tab_row(file: TextFile, number: int, line: str) -> TextRow:
    label, tab, text = line.partition("\t")
    if not tab:
        return file.row(number, line, problem=f"has no tab; write {_WRITTEN['tab']}.")
    return file.row(number, text, label)


def _first_word_row(file: TextFile, number: int, line: str) -> TextRow:
    label, *text = line.split(None, 1)
    return file.row(number, text[0] if text else "", label)


def _trec_row(file: TextFile, number: int, line: str, part: LabelPart) -> TextRow:
    found = re.match(r"\s*(\w+):(\w+)(?:\s+|$)", line)
    if found is None:
        return file.row(number, line, problem=f"has no label; write {_WRITTEN['trec']}.")
    coarse, fine = found.groups()
    label = {"coarse": coarse, "fine": fine, "whole": f"{coarse}:{fine}"}[part]
    return file.row(number, line[found.end() :], label)


def _fasttext_row(file: TextFile, number: int, line: str, several: bool) -> TextRow:
    labels, rest = [], line.lstrip()
    while rest.startswith(_FASTTEXT):
        label, *more = rest.split(None, 1)
        labels.append(label.removeprefix(_FASTTEXT))
        rest = more[0] if more else ""
    if len(labels) > 1 and not several:
        return file.row(
            number, line, problem=f"has {len(labels)} labels; allow several, or leave one."
        )
    if not labels:
        return file.row(number, line, problem=f"has no label; write {_WRITTEN['fasttext']}.")
    return file.row(number, rest, labels if several else labels[0])


_WRITTEN: Mapping[str, str] = {
    "tab": "label, tab, text",
    "trec": "LABEL:fine text",
    "fasttext": f"{_FASTTEXT}x text",
}
_SIMPLE: Mapping[str, Callable[[TextFile, int, str], TextRow]] = {
    "tab": _tab_row,
    "first_word": _first_word_row,
    "lines": lambda file, number, line: file.row(number, line),
}
LINE_LAYOUTS = ("tab", "fasttext", "trec", "first_word", "lines")
