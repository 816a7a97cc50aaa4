"""Files whose lines belong together: the source in one, a target in each of the others."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from recurra.data.pairs.text_pair import PairRow
from recurra.data.texts.text_file import TextFile, read_text_file
from recurra.errors import ConfigError, DataError

__all__ = ["file_encodings", "parallel_rows"]

_SHOWN = 60


def parallel_rows(
    paths: Sequence[Path], encodings: Sequence[str], notes: list[str]
) -> Iterator[PairRow]:
    """A row for each line of the source file, `paths[0]`; lines that are empty in all are noted.

    Lines end with LF, or with CR LF; only in a file without any LF does a CR end one. No other
    character does, such as U+2028. Empty lines at a file's end don't count.

    Raises DataError where the files differ in their numbers of lines, with the place.
    """
    files = [read_text_file(p, e, lone_cr=False) for p, e in zip(paths, encodings, strict=True)]
    columns = [_lines(file) for file in files]
    for file, column in zip(files[1:], columns[1:], strict=True):
        _check_counts(files[0].path, columns[0], file.path, column)
    empty = []
    for number, texts in enumerate(zip(*columns, strict=True), start=1):
        if not any(text.strip() for text in texts):
            empty.append(number)
            continue
        yield _row(files, number, texts)
    if empty:
        shown = ", ".join(f"{number:,}" for number in empty[:5]) + (", …" if empty[5:] else "")
        count = "1 line is" if len(empty) == 1 else f"{len(empty):,} lines are"
        notes.append(f"{paths[0]}: {count} empty in all files and left out (line {shown}).")


def file_encodings(encoding: str, count: int) -> list[str]:
    """An encoding for each of `count` files, from one name or one for each: "utf-8,latin-1".

    >>> file_encodings("utf-8, latin-1", 2)
    ['utf-8', 'latin-1']
    """
    names = [name.strip() for name in encoding.split(",")]
    if len(names) not in (1, count):
        raise ConfigError(
            f"encoding = {encoding!r} has {len(names)} names, and there "
            f"{'is 1 file' if count == 1 else f'are {count} files'}; give one for all, or one "
            "for each."
        )
    return names * count if len(names) == 1 else names


def _lines(file: TextFile) -> list[str]:
    lines = file.content.split("\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _row(files: Sequence[TextFile], number: int, texts: Sequence[str]) -> PairRow:
    for file, text in zip(files, texts, strict=True):
        if damage := file.damage(number, text):
            return PairRow(_place(file.path, number), problem=damage, reason="is not UTF-8")
    place = _place(files[0].path, number)
    source, first = texts[:2]
    if source.strip() and first.strip():
        return PairRow(place, source, texts[1:])
    empty, other = (files[1], files[0]) if source.strip() else (files[0], files[1])
    problem = f"is empty, and the line of {other.path} is {_cut(source.strip() or first.strip())}."
    return PairRow(_place(empty.path, number), problem=problem, reason="is empty on one side")


def _place(path: Path, number: int) -> str:
    return f"{path}, line {number}"


def _check_counts(path: Path, lines: Sequence[str], other: Path, others: Sequence[str]) -> None:
    if len(lines) == len(others):
        return
    counts = {path: len(lines), other: len(others)}
    longer, shorter = sorted(counts, key=lambda each: -counts[each])
    common = min(counts.values())
    extra = (lines if longer == path else others)[common]
    last = f"{_cut(lines[common - 1])} and {_cut(others[common - 1])}"
    raise DataError(
        f"{longer}: has {counts[longer]:,} lines, {counts[longer] - common:,} more than {shorter} "
        f"({common:,}); the lines of both belong together. The last line that both have, line "
        f"{common:,}, is {last}; line {common + 1:,} of {longer} is {_cut(extra)}. If these two "
        "belong together, leave out what follows; else a line is missing or doubled before."
    )


def _cut(text: str) -> str:
    text = text.strip()
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
