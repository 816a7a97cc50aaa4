"""Ink from InkML files (W3C Recommendation of 20 September 2011)."""

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np

from recurra.data import check_exists
from recurra.data.ink.ink import COLUMNS, Ink, Points, ink_of
from recurra.data.ink.inkml_trace import decode_trace
from recurra.errors import DataError

__all__ = ["InkMLItem", "read_inkml"]

MAX_BYTES = 64 << 20
"""The largest file that is read; it is held in memory as a whole."""

_LABELS = {"truth", "transcription", "label"}
"""The types of annotations that hold an item's text."""

_ID = "{http://www.w3.org/XML/1998/namespace}id"

_CHANNELS = {"X": "x", "Y": "y", "F": "pressure", "T": "time"}


class InkMLItem(NamedTuple):
    """An item of an InkML file: its ink, and its text where an annotation gives one."""

    ink: Ink
    label: str | None


def read_inkml(path: str | Path) -> list[InkMLItem]:
    """The items of an InkML file, in the order of the file.

    An element with an annotation of type truth, transcription or label is one item with all the
    traces in it: the whole file, else its outermost traceGroups and traceViews that have one. What
    has no label in or around it is one item for each outermost traceGroup, and one for the other
    traces together. Channels X and Y are read in the order of the traceFormat (by default X Y), F
    as pressure and T as time; others are passed over, and so are traces of type penUp.

    Raises:
        DataError: the file is missing, larger than 64 MiB, not XML or not InkML, declares a
            document type (entities could be anything), or a trace can't be used, which is named.
    """
    path = Path(path)
    root = _parsed(path)
    try:
        if _tag(root) != "ink":
            raise DataError(f"the root is <{_tag(root)}>; InkML has <ink>.")
        reader = _Reader()
        reader.visit(root, _Scope())
        items = [item for item in _items(root, reader) if item is not None]
        if not items:
            raise DataError("holds no trace with points; is it the right file?")
    except RecursionError as error:
        raise DataError(f"{path}: elements are nested too deeply.") from error
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return items


class _WithoutTypes(ET.TreeBuilder):
    """Builds a tree of elements, and refuses a document type at its start."""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise DataError(
            f"declares the document type {name!r}, whose entities may be harmful; take the "
            "<!DOCTYPE ...> out, InkML needs none."
        )


def _parsed(path: Path) -> ET.Element:
    check_exists(path)
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise DataError(f"is {size:,} bytes, and {MAX_BYTES:,} are allowed; split it.")
        return ET.XML(path.read_bytes(), ET.XMLParser(target=_WithoutTypes()))
    except (ET.ParseError, ValueError, LookupError) as error:
        remedy = "" if isinstance(error, DataError) else "is not XML: "
        raise DataError(f"{path}: {remedy}{error}") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}).") from error


def _tag(element: ET.Element) -> str:
    return str(element.tag).rpartition("}")[2]


@dataclass(frozen=True)
class _Scope:
    """The channels in force, and whether traces are only defined here, to be shown elsewhere."""

    channels: tuple[str, ...] = ("X", "Y")
    regular: int = 2
    hidden: bool = False


@dataclass
class _Reader:
    """Decodes every trace of a file once, in document order."""

    formats: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)
    by_id: dict[str, ET.Element] = field(default_factory=dict)
    strokes: dict[ET.Element, tuple[tuple[str, ...], Points]] = field(default_factory=dict)
    hidden: set[ET.Element] = field(default_factory=set)
    count: int = 0

    def visit(self, element: ET.Element, scope: _Scope) -> _Scope:
        """Take in an element; gives the scope of the elements after it."""
        kind = _tag(element)
        if name := element.get(_ID) or element.get("id"):
            self.by_id[name] = element
        if kind == "trace":
            self._trace(element, self._referred(element, scope))
            return scope
        inner = self._referred(element, scope)
        if kind == "definitions":
            inner = _Scope(inner.channels, inner.regular, hidden=True)
        if kind == "traceFormat":
            inner = self._format(element, inner)
        for child in element:
            inner = self.visit(child, inner)
        if name and kind in ("traceFormat", "context", "inkSource"):
            self.formats[name] = inner.channels, inner.regular
        carries_on = kind in ("traceFormat", "context", "inkSource")
        return _Scope(inner.channels, inner.regular, scope.hidden) if carries_on else scope

    def _referred(self, element: ET.Element, scope: _Scope) -> _Scope:
        for key in ("contextRef", "inkSourceRef", "traceFormatRef"):
            name = element.get(key, "").rpartition("#")[2]
            if name in self.formats:
                channels, regular = self.formats[name]
                scope = _Scope(channels, regular, scope.hidden)
        return scope

    def _format(self, element: ET.Element, scope: _Scope) -> _Scope:
        regular = [c.get("name", "") for c in element if _tag(c) == "channel"]
        groups = [group for group in element if _tag(group) == "intermittentChannels"]
        others = [c.get("name", "") for group in groups for c in group]
        if not {"X", "Y"} <= {*regular}:
            raise DataError(
                f"a traceFormat has the channels {', '.join(regular) or 'none'}; X and Y must be "
                "among them."
            )
        return _Scope((*regular, *others), len(regular), scope.hidden)

    def _trace(self, element: ET.Element, scope: _Scope) -> None:
        self.count += 1
        if element.get("type", "penDown") == "penUp":
            return
        name = element.get(_ID) or element.get("id") or str(self.count)
        try:
            values = decode_trace("".join(element.itertext()), len(scope.channels), scope.regular)
        except DataError as error:
            raise DataError(f"trace {name}: {error}") from error
        known = {_CHANNELS[c]: i for i, c in enumerate(scope.channels) if c in _CHANNELS}
        usable = {c for c, i in known.items() if not np.isnan(values[:, i]).any()}
        columns = _best(usable | {"x", "y"})
        points = values[:, [known[c] for c in columns]]
        prior = self._prior(element)
        if prior is not None:
            self.strokes[prior] = _joined(self.strokes[prior], (columns, points))
            self.by_id[name] = prior
            return
        self.strokes[element] = columns, points
        if scope.hidden:
            self.hidden.add(element)

    def _prior(self, element: ET.Element) -> ET.Element | None:
        """The trace that this one continues without a pen-up."""
        if element.get("continuation") not in ("middle", "end"):
            return None
        prior = self.by_id.get(element.get("priorRef", "").rpartition("#")[2])
        return prior if prior in self.strokes else None


_Stroke = tuple[tuple[str, ...], Points]


def _joined(first: _Stroke, second: _Stroke) -> _Stroke:
    columns = first[0] if len(first[0]) <= len(second[0]) else second[0]
    parts = [_of_columns(stroke, columns) for stroke in (first, second)]
    return columns, np.concatenate(parts)


def _items(root: ET.Element, reader: _Reader) -> Iterator[InkMLItem | None]:
    if (label := _label(root)) is not None:
        yield _item([t for t in reader.strokes if t not in reader.hidden], label, reader)
        return
    taken: set[ET.Element] = set()
    for element in root:
        if _tag(element) in ("traceGroup", "traceView"):
            for part, label in _parts(element):
                traces = [t for t in _traces(part, reader) if t not in taken]
                taken |= {*traces}
                yield _item(traces, label, reader)
    yield _item([t for t in reader.strokes if t not in taken | reader.hidden], None, reader)


def _label(element: ET.Element) -> str | None:
    texts = (a.text for a in element if _tag(a) == "annotation" and a.get("type") in _LABELS)
    return next((text.strip() for text in texts if text is not None), None)


def _parts(element: ET.Element) -> Iterator[tuple[ET.Element, str | None]]:
    """The outermost labelled elements in this one, or itself where none is labelled."""
    label = _label(element)
    groups = [child for child in element if _tag(child) in ("traceGroup", "traceView")]
    labelled = any(_label(e) is not None for child in groups for e in child.iter())
    if label is not None or not labelled:
        yield element, label
        return
    for child in groups:
        yield from _parts(child)


def _traces(element: ET.Element, reader: _Reader) -> Iterator[ET.Element]:
    """The traces in an element, and those that its traceViews refer to."""
    for inner in element.iter():
        if inner in reader.strokes:
            yield inner
        name = inner.get("traceDataRef", "").rpartition("#")[2]
        if name in reader.by_id and reader.by_id[name] is not element:
            yield from (t for t in reader.by_id[name].iter() if t in reader.strokes)


def _item(traces: list[ET.Element], label: str | None, reader: _Reader) -> InkMLItem | None:
    strokes = [reader.strokes[trace] for trace in dict.fromkeys(traces)]
    if not any(len(points) for _, points in strokes):
        return None
    shared = {"x", "y"}.union(*(names for names, _ in strokes))
    shared = shared.intersection(*(names for names, points in strokes if len(points)))
    columns = _best(shared)
    parts = [_of_columns(stroke, columns) for stroke in strokes if len(stroke[1])]
    return InkMLItem(ink_of(parts, columns), label)


def _best(present: set[str]) -> tuple[str, ...]:
    """The most columns that are all present."""
    return next(columns for columns in reversed(COLUMNS) if {*columns} <= present)


def _of_columns(stroke: _Stroke, columns: tuple[str, ...]) -> Points:
    names, points = stroke
    return points[:, [names.index(column) for column in columns]]
