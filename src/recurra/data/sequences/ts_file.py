"""Series of .ts files, the format of sktime and aeon."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from recurra.data.sequences.number_cells import Doubles, numbers, text_lines, to_number
from recurra.data.sequences.series import Series, label_text
from recurra.data.transcripts.item import Item, UnusableItem
from recurra.errors import DataError

__all__ = ["read_ts"]

_BETWEEN_CHANNELS = re.compile(r":(?![^()]*\))")
"""A colon that isn't part of a time of day in a pair (time,value)."""
_PAIR = re.compile(r"\s*\(([^()]*),([^(),]*)\)\s*(?:,|$)")
_IGNORED = ("problemname", "missing")
_BOOLEAN = ("timestamps", "univariate", "equallength")


@dataclass
class _Header:
    """The directives of a file that decide how its lines are read; None where one is absent."""

    flags: dict[str, bool] = field(default_factory=dict)
    channels: int | None = None
    steps: int | None = None
    labelled: bool | None = None
    classes: tuple[str, ...] = ()

    @property
    def timed(self) -> bool:
        return self.flags.get("timestamps", False)


def read_ts(path: Path, notes: list[str]) -> Iterator[Item | UnusableItem]:
    """The series of a file in order, among them those that can't be used; `notes` gets remarks.

    Labels keep their capitals. Raises DataError where the header can't be read, or no series
    follows it.
    """
    lines = text_lines(path)
    header, first = _header(path, lines, notes)
    rows = [(line, text) for line, text in lines[first:] if not text.lstrip().startswith("#")]
    if not rows:
        raise DataError(f"{path}: has no series after @data; is the file cut short?")
    for line, text in rows:
        origin = f"{path}, line {line}"
        try:
            label, series = _series(text.strip(), header)
        except DataError as error:
            yield UnusableItem(origin, f"{origin}: {error}")
        else:
            name = f"{path.name}:{line}"
            yield Item(name, "series", label, format="memory", data=series, origin=origin)


def _header(path: Path, lines: list[tuple[int, str]], notes: list[str]) -> tuple[_Header, int]:
    """The header, and the number of lines until its end."""
    header = _Header()
    for number, (line, text) in enumerate(lines):
        words = text.split()
        key = words[0].lower()
        if key == "@data":
            if header.labelled is None:
                raise DataError(
                    f"{path}: has neither @classLabel nor @targetLabel, so whether lines end with "
                    "a label isn't known; add '@classLabel true' and the labels, or "
                    "'@classLabel false'."
                )
            return header, number + 1
        if key.startswith("#"):
            continue
        if not key.startswith("@"):
            raise DataError(f"{path}, line {line}: {text.strip()[:40]!r} comes before @data.")
        try:
            _directive(header, key[1:], words[1:], f"{path}, line {line}", notes)
        except DataError as error:
            raise DataError(f"{path}, line {line}: {words[0]} {error}") from error
    raise DataError(f"{path}: has no line @data; is it a whole .ts file?")


def _directive(header: _Header, key: str, values: list[str], origin: str, notes: list[str]) -> None:
    if key in ("classlabel", "targetlabel"):
        header.labelled = _flag(values) or bool(header.labelled)
        if key == "classlabel":
            header.classes = tuple(values[1:])
    elif key in ("dimensions", "dimension", "serieslength"):
        count = _count(values)
        if key == "serieslength":
            header.steps = count or None
        else:
            header.channels = count
    elif key in _BOOLEAN:
        header.flags[key] = _flag(values)
    elif key not in _IGNORED:
        notes.append(f"{origin}: @{key} is not known, and ignored.")


def _flag(values: list[str]) -> bool:
    word = values[0].lower() if values else "nothing"
    if word not in ("true", "false"):
        raise DataError(f"is followed by {word}; write true or false.")
    return word == "true"


def _count(values: list[str]) -> int:
    word = values[0] if values else "nothing"
    if not word.isdecimal():
        raise DataError(f"is followed by {word}; write a whole number.")
    return int(word)


def _series(text: str, header: _Header) -> tuple[str | None, Series]:
    fields = _BETWEEN_CHANNELS.split(text)
    label = _label(fields, header) if header.labelled else None
    _check_channels(len(fields), header)
    if header.timed:
        values, times = _timed(fields)
    else:
        values, times = _plain(fields), None
    steps = values.shape[1]
    if header.flags.get("equallength") and header.steps not in (None, steps):
        raise DataError(
            f"has {steps} steps, and @seriesLength is {header.steps}; is the line cut short?"
        )
    return label, Series.of(values.T, times=times)


def _label(fields: list[str], header: _Header) -> str | None:
    """The last field, taken from the list."""
    if len(fields) == 1:
        raise DataError("has no ':' before a label; is the line cut short?")
    label = label_text(fields.pop())
    known = tuple(map(label_text, header.classes))
    if label is not None and "," in label:
        raise DataError(f"ends with values ({label[:40]!r}), not a label; is the line cut short?")
    if label is not None and known and label not in known:
        shown = ", ".join(header.classes[:10]) + (", …" if len(known) > 10 else "")
        raise DataError(f"has the label {label!r}, and @classLabel lists {shown}; add it there.")
    return label


def _check_channels(count: int, header: _Header) -> None:
    if header.channels not in (None, count):
        raise DataError(
            f"has {count} channels, and @dimensions is {header.channels}; is the line cut short?"
        )
    if header.flags.get("univariate") and count != 1:
        raise DataError(f"has {count} channels, and @univariate is true; write false there.")


def _plain(fields: list[str]) -> Doubles:
    """Values (C, T); a channel of ? alone, or of nothing, is missing at all steps."""
    cells = [field.split(",") for field in fields]
    steps = max(map(len, cells))
    rows = []
    for channel, row in enumerate(cells, start=1):
        if len(row) == 1 and row[0].strip() in ("", "?"):
            row = ["?"] * steps
        if len(row) != steps:
            raise DataError(
                f"channel {channel} has {len(row)} steps, and another {steps}; write ? where a "
                "value is missing."
            )
        try:
            rows.append(numbers(row))
        except DataError as error:
            raise DataError(f"channel {channel}: {error}") from error
    return np.stack(rows)


def _timed(fields: list[str]) -> tuple[Doubles, Doubles]:
    """Values (C, T) at all times (T,) that any channel has; dates become seconds since the first.

    Channels without a value at a time miss it there.
    """
    pairs = [dict(_pairs(field, channel)) for channel, field in enumerate(fields, start=1)]
    stamps = sorted({stamp for channel in pairs for stamp in channel})
    if not stamps:
        raise DataError("has no step; write (time,value) for each.")
    values = [[channel.get(stamp, np.nan) for stamp in stamps] for channel in pairs]
    return np.array(values, np.float64), np.array(_from_first(stamps), np.float64)


def _from_first(stamps: list[tuple[bool, float]]) -> list[float]:
    """Times as they are; of dates, seconds since the first."""
    if len({dated for dated, _ in stamps}) > 1:
        raise DataError("has times that are numbers and others that are dates; use one of both.")
    dated, first = stamps[0]
    return [time - first if dated else time for _, time in stamps]


def _pairs(field: str, channel: int) -> Iterator[tuple[tuple[bool, float], float]]:
    field, place, seen = field.strip(), 0, set()
    if field in ("", "?"):
        return
    while place < len(field):
        match = _PAIR.match(field, place)
        if match is None:
            raise DataError(
                f"channel {channel}: {field[place : place + 40]!r} is not (time,value); is the "
                "line cut short?"
            )
        stamp, value = _stamp(match[1].strip(), channel), to_number(match[2])
        if value is None:
            raise DataError(f"channel {channel}: {match[2]!r} is not a number.")
        if stamp in seen:
            raise DataError(f"channel {channel} has the time {match[1]} twice; keep one.")
        seen.add(stamp)
        yield stamp, value
        place = match.end()


def _stamp(text: str, channel: int) -> tuple[bool, float]:
    """Whether a time is a date, and the number or the seconds since 1970."""
    number = to_number(text)
    if number is not None and np.isfinite(number):
        return False, number
    try:
        date = datetime.fromisoformat(text)
    except ValueError:
        raise DataError(
            f"channel {channel}: the time {text!r} is neither a number nor a date; write "
            "2024-01-31 13:00:00."
        ) from None
    return True, (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp()
