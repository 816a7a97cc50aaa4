"""Encodings of covariates as numbers: standardised, one-hot, an indicator of missing values."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.data.tables.table import DataTable, Floats, Ints
from recurra.errors import DataError

__all__ = ["Encoding", "Features", "encode", "encode_all", "encode_values", "fit_encodings"]

Features = np.ndarray[Any, np.dtype[np.float32]]
_MOST_CATEGORIES = 1000


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """The rule by which one covariate becomes columns of numbers.

    Attributes:
        categories: one column each, in this order; None for a number, (value - mean) / sd.
        indicator: adds a column that is 1 where the covariate is missing.
    """

    name: str
    mean: float = 0.0
    sd: float = 1.0
    categories: tuple[str, ...] | None = None
    indicator: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        if self.categories is None:
            own: tuple[str, ...] = (self.name,)
        else:
            own = tuple(f"{self.name}={category}" for category in self.categories)
        return (*own, f"{self.name} is missing") if self.indicator else own

    @property
    def width(self) -> int:
        """The number of columns."""
        return len(self.names)

    @property
    def absent(self) -> Features:
        """The columns (width,) of a missing value."""
        row = np.zeros(self.width, dtype=np.float32)
        if self.indicator:
            row[-1] = 1
        return row


def fit_encodings(
    table: DataTable, names: tuple[str, ...], rows: Ints | None = None
) -> tuple[Encoding, ...]:
    """An encoding for each column, from these rows of a table, or from all."""
    return tuple(_fit(table, name, slice(None) if rows is None else rows) for name in names)


def _fit(table: DataTable, name: str, rows: Any) -> Encoding:
    if table.is_text(name):
        values, codes = table.codes(name)
        codes = codes[rows]
        texts = sorted({str(values[code]) for code in np.unique(codes) if code >= 0})
        if len(texts) > _MOST_CATEGORIES:
            raise DataError(
                f"{table.name}: column {name!r} has {len(texts):,} different texts, and at most "
                f"{_MOST_CATEGORIES:,} become covariates; join rare ones, or leave it out."
            )
        return Encoding(name=name, categories=tuple(texts), indicator=bool((codes < 0).any()))
    numbers = _finite(table, name)[rows]
    present = numbers[~np.isnan(numbers)]
    mean, sd = (float(present.mean()), float(present.std())) if len(present) else (0.0, 0.0)
    steady = sd <= 1e-12 * abs(mean)  # the rounding of a constant is not spread
    return Encoding(
        name=name, mean=mean, sd=1.0 if steady else sd, indicator=len(present) < len(numbers)
    )


def encode_all(
    table: DataTable, encodings: tuple[Encoding, ...], rows: Ints | None = None
) -> Features:
    """The columns of several covariates side by side."""
    count = len(table) if rows is None else len(rows)
    parts = [encode(table, encoding, rows) for encoding in encodings]
    return np.concatenate([np.zeros((count, 0), dtype=np.float32), *parts], axis=1)


def encode(table: DataTable, encoding: Encoding, rows: Ints | None = None) -> Features:
    """The columns (rows, width) of one covariate; DataError names the first row that can't be."""
    chosen = np.arange(len(table)) if rows is None else rows

    def place(n: int) -> str:
        return f"{table.name}: {table.row(chosen[n])}"

    if encoding.categories is None:
        values: Any = _finite(table, encoding.name)[chosen]
    else:
        values = _category_codes(table, encoding, chosen, place)
    return _columns(encoding, values, place, "fill it")


def encode_values(
    encoding: Encoding, values: Sequence[Any], place: Callable[[int], str]
) -> Features:
    """The columns (n, width) of one covariate for single values, None or NaN where missing.

    place: the place of a value, as messages call it. Raises DataError for the first value that is
    not a finite number, or not one of the categories.
    """
    missing = [v is None or (isinstance(v, float | np.floating) and np.isnan(v)) for v in values]
    if encoding.categories is None:
        numbers = [
            np.nan if absent else _number(value, encoding, place(n))
            for n, (value, absent) in enumerate(zip(values, missing, strict=True))
        ]
        return _columns(encoding, np.array(numbers, dtype=np.float64), place, "give it")
    codes = {category: code for code, category in enumerate(encoding.categories)}
    for n, (value, absent) in enumerate(zip(values, missing, strict=True)):
        if not absent and str(value) not in codes:
            raise DataError(_unknown_category(place(n), encoding, value))
    own = [-1 if a else codes[str(value)] for value, a in zip(values, missing, strict=True)]
    return _columns(encoding, np.array(own, dtype=np.int64), place, "give it")


def _columns(encoding: Encoding, values: Any, place: Callable[[int], str], remedy: str) -> Features:
    """The columns of numbers (n,), NaN where missing, or of the codes of categories, -1 there."""
    columns = np.tile(encoding.absent, (len(values), 1))
    if encoding.categories is None:
        present = ~np.isnan(values)
        columns[present, 0] = (values[present] - encoding.mean) / encoding.sd
    else:
        present = values >= 0
        columns[np.flatnonzero(present), values[present]] = 1
    if encoding.indicator:
        columns[present, -1] = 0
    elif not present.all():
        raise DataError(
            f"{place(int(np.flatnonzero(~present)[0]))}: covariate {encoding.name!r} is missing, "
            f"which it never was in training; {remedy}."
        )
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


def _finite(table: DataTable, name: str) -> Floats:
    numbers = table.numbers(name)
    infinite = np.flatnonzero(np.isinf(numbers))
    if len(infinite):
        row = int(infinite[0])
        raise DataError(
            f"{table.name}: {table.row(row)}: covariate {name!r} is {numbers[row]}; covariates are "
            "finite, or empty where they are missing."
        )
    return numbers


def _category_codes(
    table: DataTable, encoding: Encoding, rows: Ints, place: Callable[[int], str]
) -> Ints:
    """The category of each row, -1 where it is missing."""
    if not table.is_text(encoding.name):
        raise DataError(
            f"{table.name}: covariate {encoding.name!r} is numbers, and was text in training "
            f"({_first_categories(encoding)}); give it as then."
        )
    assert encoding.categories is not None
    codes = {category: code for code, category in enumerate(encoding.categories)}
    values, own_codes = table.codes(encoding.name)
    own_codes = own_codes[rows]
    translation = np.array([*(codes.get(str(value), -2) for value in values), -1])
    translated: Ints = translation[own_codes]
    unknown = np.flatnonzero(translated == -2)
    if len(unknown):
        n = int(unknown[0])
        raise DataError(_unknown_category(place(n), encoding, values[own_codes[n]]))
    return translated


def _unknown_category(place: str, encoding: Encoding, value: Any) -> str:
    return (
        f"{place}: covariate {encoding.name!r} is {value!r}, which training did not have; it had "
        f"{_first_categories(encoding)}."
    )


def _first_categories(encoding: Encoding) -> str:
    names = encoding.categories or ()
    return ", ".join(names[:8]) + (f", ... ({len(names)} in all)" if len(names) > 8 else "")
