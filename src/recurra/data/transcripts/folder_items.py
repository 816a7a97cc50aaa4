"""Items of a folder: recordings and images with their texts in files beside them."""

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from recurra.data.transcripts.item import SUFFIXES, Item, UnusableItem, recognise_file
from recurra.data.transcripts.manifest_items import ManifestReading, manifest_items
from recurra.data.transcripts.manifest_rows import (
    JSON_SUFFIXES,
    has_strokes,
    manifest_suffix,
    read_utf8,
)
from recurra.errors import DataError

__all__ = ["file_item", "folder_files", "folder_items", "text_beside"]

_TEXT_ENDINGS = (".gt.txt", ".txt")
_ENDINGS = tuple(ending for endings in SUFFIXES.values() for ending in endings)


def folder_items(
    folder: Path, *, texts: bool, classes: bool = False
) -> Iterator[Item | UnusableItem]:
    """The files of known endings below a folder, by name, with the texts beside them.

    With `classes` a file without one has the name of the folder it lies in, below this one.

    JSON lines that hold strokes are items, too, a line each; other manifests are not read.

    Hidden files and folders are left out, and pictures of pages: those with a PAGE or ALTO file of
    the same name. A text `name.gt.txt` without a picture is an item that can't be used.
    """
    files = list(folder_files(folder))
    pages = {file.with_suffix("") for file in files if file.suffix.lower() == ".xml"}
    used: set[Path] = set()
    for file in files:
        if manifest_suffix(file) in JSON_SUFFIXES and has_strokes(file):
            yield from manifest_items(file, ManifestReading(texts))
            continue
        picture = file.suffix.lower() != ".xml" and file.with_suffix("") in pages
        if not file.name.lower().endswith(_ENDINGS) or picture:
            continue
        inside = file.relative_to(folder)
        item = _item(file, inside, texts, classes)
        used.add(text_beside(file) or file)
        yield item
    for file in files:
        if texts and file.name.endswith(".gt.txt") and file not in used:
            yield UnusableItem(str(file), f"{file}: has no picture or recording beside it.")


def _item(file: Path, inside: Path, texts: bool, classes: bool) -> Item | UnusableItem:
    by_folder = classes and len(inside.parts) > 1 and text_beside(file) is None
    item = file_item(file, str(inside), texts=texts and not by_folder)
    return replace(item, text=inside.parts[0]) if by_folder and isinstance(item, Item) else item


def folder_files(folder: Path) -> Iterator[Path]:
    """All files below a folder in the order of their names, but for hidden ones."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place, name) for name in sorted(files) if not name.startswith("."))


def file_item(file: Path, name: str, *, texts: bool) -> Item | UnusableItem:
    """The item of a file, with the text beside it; files of several lines have theirs inside."""
    try:
        kind, form = recognise_file(file)
        beside = text_beside(file) if texts and form == "file" else None
        if texts and form == "file" and beside is None:
            raise DataError(f"{file}: has no transcript beside it ({_candidates(file)[0].name}).")
        text = None if beside is None else read_utf8(beside)
    except DataError as error:
        return UnusableItem(str(file), str(error))
    return Item(name, kind, text, file, form, origin=str(file))


def text_beside(file: Path) -> Path | None:
    """The transcript of a file: name.txt or name.gt.txt, where name may end at any of its dots."""
    return next((path for path in _candidates(file) if os.path.isfile(path)), None)


def _candidates(file: Path) -> list[Path]:
    """kraken and tesseract write line.bin.png with line.gt.txt."""
    first = file.name.partition(".")[0]
    stems = dict.fromkeys((file.stem, file.name, first) if first else (file.stem, file.name))
    image = file.name.lower().endswith(SUFFIXES["image"])
    endings = _TEXT_ENDINGS if image else _TEXT_ENDINGS[::-1]
    return [file.with_name(stem + ending) for stem in stems for ending in endings]
