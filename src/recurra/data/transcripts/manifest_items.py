"""Items of a manifest: paths resolved and held to its folder, texts, kinds."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recurra.data.transcripts.chosen_rows import ColumnCondition, matching_rows
from recurra.data.transcripts.item import Item, UnusableItem, recognise_file
from recurra.data.transcripts.manifest_rows import (
    PATH_COLUMNS,
    TEXT_COLUMNS,
    BadRow,
    ManifestRow,
    find_column,
    read_rows,
)
from recurra.data.transcripts.manifest_spans import SpanColumns, span_columns, span_of, spanned
from recurra.errors import DataError

__all__ = ["ManifestReading", "manifest_items"]

_SUBFOLDERS = 20
"""Folders that are searched for a file that a manifest names without its folder."""


@dataclass(frozen=True)
class ManifestReading:
    """How a manifest is read: see `read_items`, whose arguments these are."""

    texts: bool = True
    where: tuple[ColumnCondition, ...] = ()
    root: Path | None = None
    outside: bool = False
    path_column: str | None = None
    text_column: str | None = None
    text_names: Sequence[str] = TEXT_COLUMNS
    classes: bool = False

    @property
    def role(self) -> str:
        """What a text is."""
        return "label" if self.classes else "text"


@dataclass(frozen=True)
class _Layout:
    """The folder that paths are relative to, and the columns of path, text and part."""

    manifest: Path
    folder: Path
    path_column: str | None
    text_column: str | None
    spans: SpanColumns | None
    subfolders: tuple[str, ...]


def manifest_items(path: Path, how: ManifestReading) -> Iterator[Item | UnusableItem]:
    """The items of a manifest's chosen rows, in order, among them those that can't be used.

    Raises DataError where the manifest itself can't be read, or lacks a column.
    """
    rows = read_rows(path)
    good = [row for row in rows if isinstance(row, ManifestRow)]
    layout = _layout(path, good, how)
    if how.where and good:
        chosen = matching_rows([row.cells for row in good], how.where, str(path))
        wanted = {good[number].line for number in chosen}
        rows = [row for row in rows if isinstance(row, BadRow) or row.line in wanted]
    for row in rows:
        yield _item(row, layout, how)


def _layout(path: Path, rows: Sequence[ManifestRow], how: ManifestReading) -> _Layout:
    columns = dict.fromkeys(name for row in rows for name in row.cells)
    folder = path.parent if how.root is None else path.parent / how.root
    if how.root is not None and not folder.is_dir():
        raise DataError(f"{folder}: is not a folder, and root = {how.root} names it.")
    ink = any(row.strokes for row in rows)
    file = find_column(path, columns, PATH_COLUMNS, "path", how.path_column)
    text = find_column(path, columns, how.text_names, how.role, how.text_column)
    if text is None and how.classes:
        text = find_column(path, columns, TEXT_COLUMNS, how.role, None)
    if rows and file is None and not ink:
        raise DataError(_missing(path, list(columns), "path", PATH_COLUMNS))
    if text is None and how.texts and not all(_has_texts_inside(row, file) for row in rows):
        raise DataError(_missing(path, list(columns), how.role, how.text_names))
    return _Layout(path, folder, file, text, span_columns(columns), _subfolders(folder))


def _has_texts_inside(row: ManifestRow, file: str | None) -> bool:
    return not row.strokes and row.cells.get(file or "", "").lower().endswith((".xml", ".inkml"))


def _missing(path: Path, columns: Sequence[str], role: str, known: Sequence[str]) -> str:
    shown = ", ".join(map(repr, columns[:10])) + (", …" if len(columns) > 10 else "")
    return (
        f"{path}: no column has the {role} (known names: {', '.join(known)}); it has {shown}; say "
        f"which it is ({role}_column = NAME), or name it so in the header."
    )


def _item(row: ManifestRow | BadRow, layout: _Layout, how: ManifestReading) -> Item | UnusableItem:
    origin = f"{layout.manifest}, line {row.line}"
    if isinstance(row, BadRow):
        return UnusableItem(origin, f"{origin}: {row.message}")
    roles = (layout.path_column, layout.text_column)
    text = None if layout.text_column is None else row.cells.get(layout.text_column, "")
    columns = {name: value for name, value in row.cells.items() if name not in roles}
    if row.strokes:
        name = columns.get("id") or f"{layout.manifest.name}:{row.line}"
        file = layout.manifest
        return Item(name, "ink", text, file, "strokes", row.line, None, columns, origin)
    written = row.cells.get(layout.path_column or "", "").strip()
    try:
        path = _resolved(written, layout, how, origin)
        kind, form = recognise_file(path)
        span = span_of(row.cells, layout.spans, origin) if kind == "sound" else None
    except DataError as error:
        return UnusableItem(origin, f"{origin}: {str(error).removeprefix(f'{origin}: ')}")
    whole = Item(written, kind, text, path, form, columns=columns, origin=origin)
    return whole if span is None else spanned(whole, span)


def _resolved(written: str, layout: _Layout, how: ManifestReading, origin: str) -> Path:
    """The path, which must exist and, unless `outside`, lie in the folder as it is written."""
    if not written:
        raise DataError(f"{origin}: the path is empty.")
    folder = os.path.abspath(layout.folder)
    path = Path(os.path.normpath(os.path.join(folder, written)))
    if not how.outside and not path.is_relative_to(folder):
        raise DataError(
            f"{origin}: {written}: leaves the folder ({layout.folder}); move the file there, or "
            "allow it with outside = true."
        )
    if not os.path.exists(path):  # pathlib raises for names too long
        hint = _hint(written, layout, how)
        raise DataError(f"{origin}: {written}: no such file ({layout.folder} is the folder{hint}).")
    return path


def _hint(written: str, layout: _Layout, how: ManifestReading) -> str:
    """The folder below that has a file of that name, as the root to give; or slashes to turn."""
    if "\\" in written and os.path.exists(layout.folder / written.replace("\\", "/")):
        return "; write / for each \\"
    for sub in layout.subfolders:
        if os.path.exists(layout.folder / sub / written):
            return f"; {sub} has it: root = {Path(how.root or '', sub)}"
    return ""


def _subfolders(folder: Path) -> tuple[str, ...]:
    with os.scandir(folder) as entries:
        return tuple(sorted(e.name for e in entries if e.is_dir())[:_SUBFOLDERS])
