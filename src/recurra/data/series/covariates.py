"""Covariates as numbers: standardised, one-hot, and with an indicator of what is missing."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from recurra.data.tables.columns import Columns
from recurra.data.tables.table import Codes, Table
from recurra.errors import DataError

__all__ = ["Encoding", "Schema", "encode", "encode_all", "encode_values", "fit_encodings"]

Floats = np.ndarray[Any, np.dtype[np.float32]]
_MOST_CATEGORIES = 1000


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """How one covariate becomes columns of numbers.

    Attributes:
        categories: one column each, in this order; None for a number, (value - mean) / sd.
        indicator: whether one more column says where it is missing.
    """

    name: str
    mean: float = 0.0
    sd: float = 1.0
    categories: tuple[str, ...] | None = None
    indicator: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What the columns are called."""
        if self.categories is None:
            own: tuple[str, ...] = (self.name,)
        else:
            own = tuple(f"{self.name}={category}" for category in self.categories)
        return (*own, f"{self.name} is missing") if self.indicator else own

    @property
    def width(self) -> int:
        """How many columns there are."""
        return len(self.names)

    @property
    def absent(self) -> Floats:
        """The columns (width,) of a missing value."""
        row = np.zeros(self.width, dtype=np.float32)
        if self.indicator:
            row[-1] = 1
        return row


@dataclass(frozen=True, kw_only=True)
class Schema:
    """What a model has to know of its training table to read another one alike."""

    columns: Columns
    frequency: str
    past: tuple[Encoding, ...] = ()
    future: tuple[Encoding, ...] = ()
    static: tuple[Encoding, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As values that JSON has."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Schema":
        """The schema that `to_json` gave these values for."""
        kinds = {kind: _encodings(values[kind]) for kind in ("past", "future", "static")}
        return cls(columns=Columns(**values["columns"]), frequency=values["frequency"], **kinds)


def _encodings(values: list[dict[str, Any]]) -> tuple[Encoding, ...]:
    def one(value: dict[str, Any]) -> Encoding:
        categories = value["categories"]
        return Encoding(
            **{**value, "categories": None if categories is None else tuple(categories)}
        )

    return tuple(one(value) for value in values)


def fit_encodings(
    table: Table, names: tuple[str, ...], rows: Codes | None = None
) -> tuple[Encoding, ...]:
    """An encoding for each column, from these rows of a table, or from all."""
    return tuple(_fit(table, name, slice(None) if rows is None else rows) for name in names)


def _fit(table: Table, name: str, rows: Any) -> Encoding:
    if table.is_text(name):
        values, codes = table.codes(name)
        codes = codes[rows]
        seen = sorted({str(values[code]) for code in np.unique(codes) if code >= 0})
        if len(seen) > _MOST_CATEGORIES:
            raise DataError(
                f"{table.name}: column {name!r} has {len(seen):,} different texts, and at most "
                f"{_MOST_CATEGORIES:,} become covariates; join rare ones, or leave it out."
            )
        return Encoding(name=name, categories=tuple(seen), indicator=bool((codes < 0).any()))
    numbers = _finite(table, name)[rows]
    known = numbers[~np.isnan(numbers)]
    mean, sd = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
    steady = sd <= 1e-12 * abs(mean)  # a constant's rounding is no spread
    return Encoding(
        name=name, mean=mean, sd=1.0 if steady else sd, indicator=len(known) < len(numbers)
    )


def encode(table: Table, encoding: Encoding, rows: Codes | None = None) -> Floats:
    """The columns (rows, width) of one covariate; DataError names the first row that can't be."""
    places = np.arange(len(table)) if rows is None else rows
    columns = np.tile(encoding.absent, (len(places), 1))
    if encoding.categories is None:
        numbers = _finite(table, encoding.name)[places]
        known = ~np.isnan(numbers)
        columns[known, 0] = (numbers[known] - encoding.mean) / encoding.sd
    else:
        codes = _known_codes(table, encoding, places)
        known = codes >= 0
        columns[np.flatnonzero(known), codes[known]] = 1
    if encoding.indicator:
        columns[known, -1] = 0
    if not encoding.indicator and not known.all():
        place = f"{table.name}: {table.row(places[np.flatnonzero(~known)[0]])}"
        raise DataError(_lacking(place, encoding, "fill it"))
    return columns


def encode_values(
    encoding: Encoding, values: Sequence[Any], called: Callable[[int], str]
) -> Floats:
    """The columns (n, width) of one covariate for values given one by one, None or NaN where they
    are missing.

    called: what messages call the place of a value. Raises DataError for the first that can't be.
    """
    columns = np.tile(encoding.absent, (len(values), 1))
    places = {category: place for place, category in enumerate(encoding.categories or ())}
    for n, value in enumerate(values):
        if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
            if not encoding.indicator:
                raise DataError(_lacking(called(n), encoding, "give it"))
            continue
        if encoding.categories is None:
            columns[n, 0] = (_number(value, encoding, called(n)) - encoding.mean) / encoding.sd
        elif str(value) in places:
            columns[n, places[str(value)]] = 1
        else:
            raise DataError(_unknown(called(n), encoding, value))
        if encoding.indicator:
            columns[n, -1] = 0
    return columns


def _number(value: Any, encoding: Encoding, place: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = float("inf")
    if np.isinf(number):
        raise DataError(
            f"{place}: covariate {encoding.name!r} is {value!r}; give a finite number, or None "
            "where it is missing."
        )
    return number


def encode_all(table: Table, encodings: tuple[Encoding, ...], rows: Codes | None = None) -> Floats:
    """The columns of several covariates side by side."""
    count = len(table) if rows is None else len(rows)
    parts = [encode(table, encoding, rows) for encoding in encodings]
    return np.concatenate([np.zeros((count, 0), dtype=np.float32), *parts], axis=1)


def _finite(table: Table, name: str) -> Any:
    numbers = table.numbers(name)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        row = int(infinite[0])
        raise DataError(
            f"{table.name}: {table.row(row)}: covariate {name!r} is {numbers[row]}; covariates are "
            "finite, or empty where they are missing."
        )
    return numbers


def _known_codes(table: Table, encoding: Encoding, rows: Codes) -> Codes:
    """Which category each row has, -1 where it is missing."""
    if not table.is_text(encoding.name):
        raise DataError(
            f"{table.name}: covariate {encoding.name!r} is numbers, and was text in training "
            f"({_some(encoding)}); give it as then."
        )
    assert encoding.categories is not None
    places = {category: place for place, category in enumerate(encoding.categories)}
    values, codes = table.codes(encoding.name)
    codes = codes[rows]
    table_places = np.array([*(places.get(str(value), -2) for value in values), -1])
    known: Codes = table_places[codes]
    unknown = np.flatnonzero(known == -2)
    if len(unknown):
        row = int(unknown[0])
        place = f"{table.name}: {table.row(rows[row])}"
        raise DataError(_unknown(place, encoding, values[codes[row]]))
    return known


def _lacking(place: str, encoding: Encoding, remedy: str) -> str:
    return (
        f"{place}: covariate {encoding.name!r} is missing, which it never was in training; "
        f"{remedy}."
    )


def _unknown(place: str, encoding: Encoding, value: Any) -> str:
    return (
        f"{place}: covariate {encoding.name!r} is {value!r}, which training had not; it knows "
        f"{_some(encoding)}."
    )


def _some(encoding: Encoding) -> str:
    names = encoding.categories or ()
    return ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
