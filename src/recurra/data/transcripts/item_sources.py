"""Items from manifests, folders, single files, and lists in memory."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from recurra.data.text_form import TextForm
from recurra.data.transcripts.bad_items import BadItems, usable
from recurra.data.transcripts.chosen_rows import parse_where
from recurra.data.transcripts.folder_items import file_item, folder_items
from recurra.data.transcripts.item import Item, ItemKind, UnusableItem
from recurra.data.transcripts.manifest_items import ManifestReading, manifest_items
from recurra.data.transcripts.manifest_rows import (
    MANIFEST_SUFFIXES,
    TEXT_COLUMNS,
    manifest_suffix,
)
from recurra.data.transcripts.manifest_spans import spanned
from recurra.errors import DataError

__all__ = ["digest_items", "read_items"]

ItemSource = Any
"""A path of a manifest, folder or file, or a list of those and of pairs (path or array, text)."""


def read_items(
    source: ItemSource,
    *,
    texts: bool = True,
    where: str | Mapping[str, object] | None = None,
    root: str | os.PathLike[str] | None = None,
    outside: bool = False,
    path_column: str | None = None,
    text_column: str | None = None,
    text_names: Sequence[str] = TEXT_COLUMNS,
    classes: bool = False,
    kind: ItemKind | None = None,
    form: TextForm | None = None,
    bad: BadItems | None = None,
) -> list[Item]:
    """The items of a source, in order; sound, ink and images are recognised, not yet read.

    source: a manifest (.csv, .tsv, .jsonl, .ndjson, also .gz), a folder (name.wav + name.txt,
        name.png + name.gt.txt), a file (sound, image, InkML, PAGE, ALTO), or a list of those and
        of pairs (path, text) or (array, text), or arrays if not `texts`. A folder that has a file
        called manifest.* with such an ending is that manifest.
    texts: every item needs a text that isn't empty; else it may be None.
    where: the rows to read, as `parse_where` has it: "split=train".
    root: the folder that a manifest's paths are relative to, itself relative to the manifest's.
    outside: allow paths that leave that folder by .. or as absolute ones; links are followed.
    path_column, text_column: names of a manifest's columns where they aren't usual ones.
    text_names: the usual names of the column of texts.
    classes: texts are the names of classes: of a file in a folder without one, the folder's name.
    kind: the kind that all items must have; needed for arrays.
    form: the form that texts are brought to; without one, only their white space is.
    bad: collects single items that can't be used (a missing file, an empty text, a path twice).

    Raises:
        DataError: a whole source can't be read; without `bad`, for the first item that can't be
            used; with it, for more of them than its share; or nothing is left.
    """
    conditions = parse_where(where) if where else ()
    place = None if root is None else Path(root)
    how = ManifestReading(
        texts, conditions, place, outside, path_column, text_column, text_names, classes
    )
    found = [_checked(each, how, kind, form) for each in _read(source, how, kind)]
    found = _without_duplicates(found)
    items = usable(found, bad)
    if not items:
        raise DataError(f"{_called(source)}: has no item; {_REMEDY}")
    return items


_REMEDY = (
    "give a manifest with columns path and text, or a folder of name.wav + name.txt or "
    "name.png + name.gt.txt."
)


def digest_items(items: Iterable[Item]) -> str:
    """The SHA-256 of names, texts, parts and all bytes of the items' files or arrays, in order.

    It stays the same where the folder is moved, or other rows are added to the manifest. DataError
    where a file can't be read.
    """
    total, known = hashlib.sha256(), dict[Path, bytes]()
    for item in items:
        if item.path is not None and item.path not in known:
            known[item.path] = _file_digest(item.path)
        content = _data_digest(item.data) if item.path is None else known[item.path]
        span = () if item.span is None else (repr(item.span),)
        for part in (item.name, repr(item.text), *span):
            data = part.encode("utf-8", "surrogatepass")
            total.update(len(data).to_bytes(8, "little") + data)
        total.update(content)
    return total.hexdigest()


def _file_digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def _data_digest(data: Any) -> bytes:
    if isinstance(data, np.ndarray):
        described = f"{data.dtype.str} {data.shape} ".encode()
        return hashlib.sha256(described + np.ascontiguousarray(data).tobytes()).digest()
    return hashlib.sha256(repr(data).encode("utf-8", "surrogatepass")).digest()


def _read(
    source: ItemSource, how: ManifestReading, kind: ItemKind | None
) -> Iterator[Item | UnusableItem]:
    if isinstance(source, str | os.PathLike):
        yield from _read_path(Path(source), how)
        return
    if not isinstance(source, Iterable) or isinstance(source, np.ndarray | bytes | Mapping):
        raise DataError(
            f"{_called(source)} is not a source of items; give a path, or a list of paths and of "
            "pairs (path or array, text)."
        )
    for number, each in enumerate(source):
        if isinstance(each, Item):
            yield each
        elif isinstance(each, str | os.PathLike):
            yield from _read_path(Path(each), how)
        else:
            pair = (each, None) if isinstance(each, np.ndarray) and not how.texts else each
            yield _pair_item(number, pair, kind)


def _read_path(path: Path, how: ManifestReading) -> Iterator[Item | UnusableItem]:
    if not os.path.exists(path):
        raise DataError(f"{path}: no such file or folder; check the name and the folder.")
    path = _manifest_in(path) if path.is_dir() else path
    if manifest_suffix(path):
        yield from manifest_items(path, how)
        return
    if how.where:
        raise DataError(f"{path}: is not a manifest, so it has no columns to choose rows by.")
    if path.is_dir():
        yield from folder_items(path, texts=how.texts, classes=how.classes)
    else:
        yield file_item(path, path.name, texts=how.texts)


def _manifest_in(folder: Path) -> Path:
    endings = [s + packed for s in MANIFEST_SUFFIXES for packed in ("", ".gz")]
    found = [path for ending in endings if (path := folder / f"manifest{ending}").is_file()]
    if len(found) > 1:
        raise DataError(f"{folder}: has {' and '.join(p.name for p in found)}; name one of them.")
    return found[0] if found else folder


def _pair_item(number: int, pair: Any, kind: ItemKind | None) -> Item | UnusableItem:
    origin = f"item {number}"
    if not isinstance(pair, tuple | list) or len(pair) != 2 or not _is_text(pair[1]):
        raise DataError(
            f"{origin} (from 0) is {_called(pair)}; give a path, or a pair of a path or an array "
            "and its text."
        )
    data, text = pair
    if isinstance(data, str | os.PathLike):
        found = file_item(Path(data), str(data), texts=False)
        return replace(found, text=text, origin=origin) if isinstance(found, Item) else found
    if kind is None:
        raise DataError(
            f"{origin} (from 0) is {_called(data)}, which doesn't say what it is; give kind = "
            "sound, ink or image."
        )
    return Item(origin, kind, text, format="memory", data=data, origin=origin)


def _is_text(text: Any) -> bool:
    return text is None or isinstance(text, str)


def _called(source: Any) -> str:
    if isinstance(source, str | os.PathLike):
        return str(source)
    return f"an object of type {type(source).__name__}"


def _checked(
    item: Item | UnusableItem, how: ManifestReading, kind: ItemKind | None, form: TextForm | None
) -> Item | UnusableItem:
    """The item with its text in form, unless it is of another kind or lacks a text."""
    if isinstance(item, UnusableItem):
        return item
    where = item.origin if item.name in item.origin else f"{item.origin}: {item.name}"
    what = "label" if how.classes else "transcript"
    if kind is not None and item.kind != kind:
        message = f"{where}: is of kind {item.kind}, and {kind} is wanted."
        return UnusableItem(item.origin, message, f"is of kind {item.kind}")
    if item.format in ("inkml", "page", "alto") and not (item.text or "").strip():
        return replace(item, text=None)
    if item.text is None:
        return UnusableItem(item.origin, f"{where}: has no {what}.") if how.texts else item
    text = " ".join(item.text.split()) if form is None else form.apply(item.text)
    if how.texts and not text:
        rest = f" in the form of the texts ({item.text.strip()!r})" if item.text.strip() else ""
        return UnusableItem(item.origin, f"{where}: has an empty {what}{rest}.")
    return replace(item, text=text)


def _without_duplicates(items: Iterable[Item | UnusableItem]) -> list[Item | UnusableItem]:
    """Refuse what is listed twice; files of one name in several folders get their whole paths."""
    first: dict[tuple[str, int | None, tuple[float, float] | None], str] = {}
    names: set[str] = set()
    kept: list[Item | UnusableItem] = []
    for item in items:
        if isinstance(item, Item) and item.path is not None:
            place = (os.path.abspath(item.path), item.line, item.span)
            if (before := first.get(place)) is not None:
                message = f"{item.origin}: {item.name}: is listed before ({before})."
                kept.append(UnusableItem(item.origin, message, "is listed before"))
                continue
            first[place] = item.origin
            if item.name in names:
                whole = str(item.path) + (f":{item.line}" if item.line else "")
                item = replace(item, name=whole)
                item = item if item.span is None else spanned(item, item.span)
        if isinstance(item, Item):
            names.add(item.name)
        kept.append(item)
    return kept
