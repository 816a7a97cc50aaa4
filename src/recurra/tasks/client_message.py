"""A message of a client, whose fields are checked one by one: what may come from anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["ClientMessage"]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_ALWAYS = ("type", "id")
_SHOWN = 40


class ClientMessage:
    """The fields of a JSON object with a `type`; each method gives one, or its default.

    Raises DataError, in a sentence that names the field and the place, for what can't be.

    >>> message = ClientMessage({"type": "text", "text": "To be", "length": 3})
    >>> message.kind, message.text("text"), message.count("length", 200, 1, 10)
    ('text', 'To be', 3)
    """

    def __init__(self, fields: Mapping[str, Any]) -> None:
        kind = fields.get("type")
        if not isinstance(kind, str):
            raise DataError(f"A message's type is {_shown(kind)}; give a text.")
        self.kind: str = kind
        self._fields = fields

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def only(self, *names: str) -> None:
        """Refuse fields of other names."""
        for name in self._fields:
            if name not in names and name not in _ALWAYS:
                known = ", ".join(names) or "none"
                raise DataError(
                    f"{self.kind} has a field {_shown(name)} that isn't known; its fields here "
                    f"are: {known}."
                )

    def text(self, name: str, default: str | None = None) -> str:
        """A text, without lone surrogates."""
        value = self._value(name, default)
        if not isinstance(value, str):
            raise self._wrong(name, value, "give a text")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"{name} has a lone surrogate at character {error.start + 1}; give valid Unicode."
            ) from error
        return value

    def count(self, name: str, default: int | None, least: int, most: int) -> int:
        """A whole number between bounds."""
        value = self._value(name, default)
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole or not least <= value <= most:
            raise self._wrong(name, value, f"give a whole number from {least:,} to {most:,}")
        return int(value)

    def number(self, name: str, default: float | None, least: float, most: float) -> float:
        """A number between bounds."""
        value = self._value(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(name, value, f"give a number from {least:g} to {most:g}")
        if not least <= value <= most:
            raise self._wrong(name, value, f"give a number from {least:g} to {most:g}")
        return float(value)

    def flag(self, name: str) -> bool:
        """True or false, false where it isn't there."""
        value = self._value(name, False)
        if not isinstance(value, bool):
            raise self._wrong(name, value, "give true or false")
        return value

    def numbers(self, name: str, *, missing: bool = False) -> Floats:
        """Numbers (n,); null, NaN here, only where some may be `missing`."""
        value = self._value(name, None)
        if isinstance(value, np.ndarray):  # a binary message's
            return _finite_samples(name, value)
        if not isinstance(value, list):
            raise self._wrong(name, value, "give a list of numbers")
        return np.array([_number(f"{name}[{n}]", x, missing) for n, x in enumerate(value)], float)

    def rows(self, name: str, width: int, *, missing: bool = False) -> Floats:
        """Rows of `width` numbers (n, width); of width 1 plain numbers, too."""
        value = self._value(name, None)
        if not isinstance(value, list):
            raise self._wrong(name, value, "give a list of rows")
        found = np.empty((len(value), width))
        for n, row in enumerate(value):
            cells = [row] if width == 1 and not isinstance(row, list) else row
            if not isinstance(cells, list) or len(cells) != width:
                raise DataError(
                    f"{name}[{n}] is {_shown(row)}; give a list of {width} numbers in each row."
                )
            for k, cell in enumerate(cells):
                found[n, k] = _number(f"{name}[{n}][{k}]", cell, missing)
        return found

    def _value(self, name: str, default: Any) -> Any:
        if name in self._fields:
            return self._fields[name]
        if default is None:
            raise DataError(f"{self.kind} needs {name}, which isn't there.")
        return default

    def _wrong(self, name: str, value: Any, remedy: str) -> DataError:
        return DataError(f"{name} is {_shown(value)}; {remedy}.")


def _number(place: str, value: Any, missing: bool) -> float:
    if value is None and missing:
        return np.nan
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        more = ", or null where it is missing" if missing else ""
        raise DataError(f"{place} is {_shown(value)}; give a number{more}.")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not np.isfinite(number) or abs(number) > _LARGEST:
        raise DataError(f"{place} is {_shown(value)}; give a finite number of 32 bits.")
    return number


_LARGEST = float(np.finfo(np.float32).max)


def _finite_samples(name: str, value: Floats) -> Floats:
    finite = np.isfinite(value)
    if not finite.all():
        place = int(finite.argmin())
        raise DataError(f"{name}[{place}] is {value[place]}; give a finite number of 32 bits.")
    return value


def _shown(value: Any) -> str:
    """A value in a sentence, cut where it is long."""
    if isinstance(value, (list, dict)):
        return f"a {'list' if isinstance(value, list) else 'object'} of {len(value):,}"
    if isinstance(value, int) and abs(value) >= 1 << 64:
        return "an immense number"
    text = "null" if value is None else repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
