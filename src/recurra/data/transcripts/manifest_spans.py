"""Rows of a manifest that are parts of recordings: from one second to another."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from recurra.data.transcripts.item import Item
from recurra.data.transcripts.manifest_rows import plain_name
from recurra.errors import DataError

__all__ = ["SpanColumns", "recording_name", "span_columns", "span_of", "spanned"]

_STARTS = ("start", "begin", "onset", "start_time", "start_seconds")
_ENDS = ("end", "stop", "end_time", "end_seconds")
"""Usual names of the columns; `offset` is the end beside an onset, and else the start."""


class SpanColumns(NamedTuple):
    """The columns of a part's first second, and of its last one or of its length."""

    start: str
    end: str | None
    duration: str | None


def span_columns(columns: Iterable[str]) -> SpanColumns | None:
    """The columns that say which part of its recording a row is; None where none do.

    >>> span_columns(["path", "Start", "end", "label"])
    SpanColumns(start='Start', end='end', duration=None)
    >>> span_columns(["audio_filepath", "offset", "duration", "text"])
    SpanColumns(start='offset', end=None, duration='duration')
    >>> span_columns(["path", "duration"])
    """
    named = {plain_name(column): column for column in columns}
    start = next((named[name] for name in _STARTS if name in named), None)
    end = next((named[name] for name in _ENDS if name in named), None)
    if "offset" in named and start is None:
        start = named["offset"]
    elif "offset" in named and end is None:
        end = named["offset"]
    duration = named.get("duration") if end is None else None
    if start is None or (end is None and duration is None):
        return None
    return SpanColumns(start, end, duration)


def span_of(
    cells: Mapping[str, str], columns: SpanColumns | None, origin: str
) -> tuple[float, float] | None:
    """The seconds from and to of a row; None where its cells are empty.

    DataError for what is no number, and for a part that is empty or begins before its recording.
    """
    if columns is None:
        return None
    used = [name for name in columns if name is not None]
    written = [cells.get(name, "").strip() for name in used]
    if not any(written):
        return None
    shown = ", ".join(f"{name} = {cell!r}" for name, cell in zip(used, written, strict=True))
    try:
        start, second = map(float, written)
    except ValueError as error:
        raise DataError(
            f"{origin}: {shown}; give both in seconds, or neither for the whole recording."
        ) from error
    end = second if columns.duration is None else start + second
    if not (0 <= start < end < math.inf):
        raise DataError(f"{origin}: {shown} is no part of a recording; give seconds, from and to.")
    return start, end


def spanned(item: Item, span: tuple[float, float]) -> Item:
    """The part of a recording from one second to another, named by them."""
    return dataclasses.replace(item, name=f"{item.name}{_suffix(span)}", span=span)


def recording_name(item: Item) -> str:
    """The name of the recording that an item is of, or a part of."""
    return item.name if item.span is None else item.name.removesuffix(_suffix(item.span))


def _suffix(span: tuple[float, float]) -> str:
    return f", {span[0]:g} to {span[1]:g} s"
