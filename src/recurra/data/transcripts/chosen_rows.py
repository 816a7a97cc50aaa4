"""Rows chosen by their columns, and a part of the items that is held out."""

import difflib
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recurra.data.transcripts.item import Item
from recurra.errors import ConfigError, DataError

__all__ = [
    "ColumnCondition",
    "HeldOutItems",
    "choose_items",
    "hold_out",
    "hold_out_of_classes",
    "parse_where",
]

_SHOWN = 10
FEW_TEXTS = 0.2
"""With fewer different texts than this share of the items, as of ten digits or a list of commands,
equal texts are on both sides: else a word would be missing in training."""


@dataclass(frozen=True)
class ColumnCondition:
    """A column has one of these values, or, where `negated`, none of them."""

    column: str
    values: tuple[str, ...]
    negated: bool = False

    def holds(self, cells: Mapping[str, str]) -> bool:
        """Whether a row meets it; a row that lacks the column has "" there."""
        return (cells.get(self.column, "") in self.values) != self.negated


def parse_where(
    where: str | Mapping[str, object],
) -> tuple[ColumnCondition, ...]:
    """Conditions that must all hold, from a text or a mapping; ConfigError for any other.

    A text is `column=value`, `column!=value`, several values separated by commas, several
    conditions by semicolons; a mapping has columns, or columns with "!" at the end, and values or
    lists of them, which may hold any characters. Values are compared as texts.

    >>> parse_where("split=train,valid; fold!=0")[1]
    ColumnCondition(column='fold', values=('0',), negated=True)
    >>> parse_where({"fold!": [0, 1]})
    (ColumnCondition(column='fold', values=('0', '1'), negated=True),)
    """
    if not isinstance(where, str):
        pairs = [(name, _values(value)) for name, value in where.items()]
    else:
        parts = [part.partition("=") for part in where.split(";") if part.strip()]
        if not parts or not all(mark and name.strip(" !") for name, mark, _ in parts):
            raise ConfigError(
                f"{where!r} chooses no rows; write column=value, such as split=train, or "
                "speaker!=ann,bob for all others; several conditions are separated by semicolons."
            )
        pairs = [(name, tuple(v.strip() for v in values.split(","))) for name, _, values in parts]
    return tuple(
        ColumnCondition(name.strip().removesuffix("!").strip(), values, name.strip().endswith("!"))
        for name, values in pairs
    )


def _values(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list | tuple) else (str(value),)


def choose_items(items: Sequence[Item], where: str | Mapping[str, object]) -> list[Item]:
    """The items whose columns meet `where`, in order; DataError where none does."""
    rows = [item.columns for item in items]
    origin = items[0].origin.partition(",")[0] if items else "The data"
    return [items[n] for n in matching_rows(rows, parse_where(where), origin)]


def matching_rows(
    rows: Sequence[Mapping[str, str]], conditions: Sequence[ColumnCondition], origin: str
) -> list[int]:
    """The indices of rows that meet all conditions.

    DataError, naming `origin`, where a column or a value is missing, or no row is left.
    """
    for condition in conditions:
        _check_condition(rows, condition, origin)
    found = [n for n, cells in enumerate(rows) if all(each.holds(cells) for each in conditions)]
    if not found:
        raise DataError(f"{origin}: no row meets all of {_written(conditions)}; choose others.")
    return found


def _check_condition(
    rows: Sequence[Mapping[str, str]], condition: ColumnCondition, origin: str
) -> None:
    columns = dict.fromkeys(name for cells in rows for name in cells)
    if condition.column not in columns:
        near = difflib.get_close_matches(condition.column, columns, 1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        has = f"it has {_listed(list(columns))}" if columns else "its items have no columns"
        raise DataError(f"{origin}: no column {condition.column!r} to choose by; {has}.{hint}")
    values = Counter(cells.get(condition.column, "") for cells in rows)
    for value in condition.values:
        if value not in values:
            shown = _listed([each for each, _ in values.most_common()])
            raise DataError(
                f"{origin}: no row has {value!r} in column {condition.column!r}; there are {shown}."
            )


def _written(conditions: Sequence[ColumnCondition]) -> str:
    marks = ("=", "!=")
    return "; ".join(f"{c.column}{marks[c.negated]}{','.join(c.values)}" for c in conditions)


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:_SHOWN]))
    return f"{shown}, … ({len(names):,} in all)" if len(names) > _SHOWN else shown


@dataclass(frozen=True, eq=False)
class HeldOutItems:
    """Items for training, those held out, and what stays together: a column, "text" or "item"."""

    train: list[Item]
    held: list[Item]
    by: str


def hold_out(
    items: Sequence[Item], share: float, seed: int = 0, *, by: str | None = None
) -> HeldOutItems:
    """Hold out about `share` of the items, the same ones for the same items and seed.

    by: a column, such as speaker or writer, none of whose values is then on both sides. Without
        one, items of equal text stay together, so that what is held out is new; where fewer than a
        fifth of the texts differ (digits, commands) each item goes where it falls.

    Groups are taken in the order of the SHA-256 of seed and group as long as they fit into the
    share; where none fits, the smallest is. Both sides keep the order of `items`.

    Raises:
        ConfigError: `share` isn't between 0 and 1.
        DataError: there are fewer than two groups, or an item lacks the column.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share = {share:g} to hold out; it is between 0 and 1.")
    by = by or _natural_groups(items)
    groups: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        groups.setdefault(_group(item, by), []).append(number)
    if len(groups) < 2:
        what = {"text": "texts", "item": "items"}.get(by, f"values of column {by!r}")
        raise DataError(
            f"Nothing can be held out: it takes two or more different {what}, and there "
            f"{'is 1 of 1 sample' if len(items) == 1 else 'is 1' if groups else 'are none'}."
        )
    wanted = min(max(1, round(share * len(items))), len(items) - 1)
    held = _drawn(groups, wanted, seed)
    return HeldOutItems(
        [item for n, item in enumerate(items) if n not in held],
        [item for n, item in enumerate(items) if n in held],
        by,
    )


def hold_out_of_classes(items: Sequence[Item], share: float, seed: int = 0) -> HeldOutItems:
    """Hold out about `share` of the items of each class, which is an item's text.

    Which ones the SHA-256 of seed and item decides. Each class keeps an item at least to train on,
    and one with few items has its chance of one held out.

    Raises:
        ConfigError: `share` isn't between 0 and 1.
        DataError: there are fewer than two items.
    """
    if not 0 < share < 1:
        raise ConfigError(f"share = {share:g} to hold out; it is between 0 and 1.")
    if len(items) < 2:
        few = "one sample" if items else "no sample"
        raise DataError(f"Nothing can be held out of {few}; give two or more.")
    classes: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        classes.setdefault(item.text or "", []).append(number)
    held: set[int] = set()
    for name, numbers in classes.items():
        keys = {n: _key(seed, f"{items[n].name}\0{n}") for n in numbers}
        order = sorted(numbers, key=lambda n: keys[n])
        begin = int.from_bytes(_key(seed, name)[:4], "big") / 2**32
        count = min(int(share * len(numbers) + begin), len(numbers) - 1)
        held.update(order[:count])
    if not held:
        held = {max(classes.values(), key=lambda numbers: len(numbers))[-1]}
    return HeldOutItems(
        [item for n, item in enumerate(items) if n not in held],
        [item for n, item in enumerate(items) if n in held],
        "item",
    )


def _key(seed: int, name: str) -> bytes:
    return hashlib.sha256(f"{seed}\0{name}".encode("utf-8", "surrogatepass")).digest()


def _natural_groups(items: Sequence[Item]) -> str:
    different = len({item.text for item in items})
    return "text" if different > 1 and different >= FEW_TEXTS * len(items) else "item"


def _group(item: Item, by: str) -> str:
    if by == "item":
        return item.name
    if by == "text":
        return item.text or ""
    if not item.columns.get(by):
        raise DataError(f"{item.origin or item.name}: has nothing in column {by!r} to hold out by.")
    return item.columns[by]


def _drawn(groups: Mapping[str, list[int]], wanted: int, seed: int) -> set[int]:
    order = sorted(groups, key=lambda group: _key(seed, group))
    held: set[int] = set()
    for group in order:
        if len(held) + len(groups[group]) <= wanted:
            held.update(groups[group])
    return held or set(groups[min(order, key=lambda group: len(groups[group]))])
