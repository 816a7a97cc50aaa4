"""One recording, piece of ink or image with its text, and the kind that its file shows."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from recurra.errors import DataError

__all__ = [
    "SUFFIXES",
    "Item",
    "ItemFormat",
    "ItemKind",
    "UnusableItem",
    "kind_of_items",
    "recognise_file",
]

ItemKind = Literal["sound", "ink", "image", "series", "text"]
ItemFormat = Literal["file", "strokes", "inkml", "page", "alto", "memory"]

SUFFIXES: Mapping[ItemKind, tuple[str, ...]] = {
    "sound": (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    "ink": (".inkml",),
    "image": (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".xml"),
}
"""Endings of files, in any case. An .xml file is PAGE or ALTO, of whose image lines are cropped."""

_HEAD = 4096
"""Bytes in which the first element of an XML file is looked for."""
_ELEMENTS: dict[bytes, tuple[ItemKind, ItemFormat]] = {
    b"<pcgts": ("image", "page"),
    b"<alto": ("image", "alto"),
    b"<ink": ("ink", "inkml"),
}
_IMAGES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_SOUNDS = (b"fLaC", b"OggS", b"ID3", b"RF64")


@dataclass(frozen=True, eq=False)
class Item:
    """A recording, piece of ink or image of a line, and its text where it is known.

    name: the path as its source has it, or the line of an ink file; unique within a source.
    format: "file" (sound or image), "strokes" (line `line` of the JSON lines file `path`, or
        `data`), "inkml", "page", "alto" (files of lines, each with its own text), or "memory"
        (`data` is the array, or whatever was given).
    columns: the other columns of its row, as texts.
    origin: the place that names it, for messages: "list.csv, line 3".
    span: the seconds of a recording that it is of, from and to; None for the whole of it.
    """

    name: str
    kind: ItemKind
    text: str | None
    path: Path | None = None
    format: ItemFormat = "file"
    line: int | None = None
    data: Any = field(default=None, repr=False)
    columns: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    span: tuple[float, float] | None = None


@dataclass(frozen=True)
class UnusableItem:
    """An item that can't be used: where it is named, why not, and the reason in a few words."""

    origin: str
    message: str
    reason: str = ""


def recognise_file(path: Path) -> tuple[ItemKind, ItemFormat]:
    """The kind and the format of a file by its first bytes, else by its ending.

    DataError where it is missing, a folder, empty, unreadable or none of the kinds.
    """
    head = _head(path)
    return _by_bytes(head) or _by_suffix(path) or _refuse(path)


def kind_of_items(items: Sequence[Item]) -> ItemKind:
    """The one kind that all items have; DataError where there is no item, or kinds are mixed."""
    counts = Counter(item.kind for item in items)
    if not counts:
        raise DataError("There is no item; give a manifest or a folder with at least one.")
    if len(counts) > 1:
        first = {item.kind: item.name for item in reversed(items)}
        shown = ", ".join(f"{n:,} of {kind} ({first[kind]})" for kind, n in counts.most_common())
        raise DataError(
            f"The items are of several kinds: {shown}; a model reads one, so choose the rows of "
            "one kind."
        )
    return next(iter(counts))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file; check the name and the folder.") from error
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a folder; name the file in it.") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error
    except ValueError as error:  # a zero byte in the name
        raise DataError(f"{str(path)!r}: is not a valid file name.") from error
    if not head:
        raise DataError(f"{path}: is empty (0 bytes).")
    return head


def _by_bytes(head: bytes) -> tuple[ItemKind, ItemFormat] | None:
    if head.startswith(_IMAGES):
        return "image", "file"
    if head.startswith(_SOUNDS) or (head[:4] == b"RIFF" and head[8:12] == b"WAVE"):
        return "sound", "file"
    text = head.replace(b"\0", b"").lower()  # UTF-16, too, shows the names of its elements
    text = re.sub(rb"<!--.*?-->", b"", text, flags=re.DOTALL)
    if not text.lstrip(b"\xef\xbb\xbf\xff\xfe \r\n\t").startswith(b"<"):
        return None
    places = {text.find(element): element for element in _ELEMENTS if element in text}
    places |= _prefixed(text)
    return _ELEMENTS[places[min(places)]] if places else None


def _prefixed(text: bytes) -> dict[int, bytes]:
    """Elements that have a prefix of a namespace: <inkml:ink>."""
    found = {element: text.find(b":" + element[1:] + b" ") for element in _ELEMENTS}
    return {place: element for element, place in found.items() if place > 0}


def _by_suffix(path: Path) -> tuple[ItemKind, ItemFormat] | None:
    name = path.name.lower()
    if name.endswith(".xml"):  # its first element would have said what it is
        return None
    for kind, endings in SUFFIXES.items():
        if name.endswith(endings):
            return kind, "inkml" if kind == "ink" else "file"
    return None


def _refuse(path: Path) -> tuple[ItemKind, ItemFormat]:
    known = "; ".join(f"{kind}: {' '.join(endings)}" for kind, endings in SUFFIXES.items())
    raise DataError(
        f"{path}: neither its content nor its ending is of a known kind ({known}; .xml is PAGE or "
        "ALTO, and ink may be the rows of a manifest); convert it."
    )
