"""Labels of texts, one or several, as files and lists in memory give them."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.errors import DataError

__all__ = ["label_of", "label_values", "labels_of", "several_labels"]

_EXACT = 2**53
"""Below it all whole numbers are different as floats."""


def label_of(value: Any) -> str:
    """A label as text: a text without the white space around it, a number, true or false.

    None and NaN are "", a missing label; 3.0 is "3", as a column of whole numbers with gaps has it.
    DataError for another type.

    >>> label_of(" spam "), label_of(3.0), label_of(True), label_of(None)
    ('spam', '3', 'true', '')
    """
    value = value.item() if hasattr(value, "item") and not hasattr(value, "__len__") else value
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return str(int(value))
    if isinstance(value, int | float):
        return str(value)
    raise DataError(f"its label is of type {type(value).__name__}; give a text or a number.")


def several_labels(value: Any, separator: str | None) -> str:
    """Several labels as a JSON list in one text, in order, each once; "" where they are missing.

    value: a list; a text with `separator` between labels, or a JSON list; or one label. A list
    without labels says that none applies, and is not missing.

    >>> several_labels("a | b|a", "|"), several_labels('["x", 1]', None), several_labels([], None)
    ('["a", "b"]', '["x", "1"]', '[]')
    """
    parts = value
    if isinstance(value, str):
        parts = _json_list(value)
        if parts is None:
            parts = value.split(separator) if separator else [value]
            parts = [part for part in parts if part.strip()]
            if not parts:
                return ""
    elif not isinstance(value, list | tuple | set | frozenset):
        return json.dumps([label], ensure_ascii=False) if (label := label_of(value)) else ""
    ordered = sorted(parts, key=str) if isinstance(parts, set | frozenset) else parts
    labels = list(dict.fromkeys(map(label_of, ordered)))
    if "" in labels:
        raise DataError("one of its labels is empty; leave it out of the list.")
    return json.dumps(labels, ensure_ascii=False)


def labels_of(text: str) -> tuple[str, ...]:
    """The labels that `several_labels` put into one text.

    >>> labels_of('["a", "b"]')
    ('a', 'b')
    """
    return tuple(json.loads(text))


def label_values(names: Sequence[str]) -> np.ndarray[Any, Any]:
    """Labels (K,) as values: whole numbers where all are written as such, else the texts.

    >>> label_values(["9", "10"]).tolist(), label_values(["9", "010"]).tolist()
    ([9, 10], ['9', '010'])
    """
    if all(name.lstrip("-").isdecimal() and str(int(name)) == name for name in names):
        return np.array([int(name) for name in names])
    return np.array(names, object)


def _json_list(text: str) -> Sequence[Any] | None:
    """The list that a text is, None where it is none."""
    if not text.lstrip().startswith("["):
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None
