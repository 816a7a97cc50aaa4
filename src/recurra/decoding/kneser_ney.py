"""Interpolated modified Kneser-Ney estimation of n-gram models.

After Chen & Goodman (1998), "An empirical study of smoothing techniques for language modeling":
three discounts an order (for counts of 1, 2, and 3 or more) from the counts of counts of that
order; orders below the highest count the different symbols before an n-gram (n-grams at the start
of a sequence, which have none, keep their own counts); the order of single symbols is interpolated
with the uniform distribution over all symbols but the start, the unknown one included.

Small data: where an order lacks n-grams of a count of 1, 2, 3 or 4, or the formulas give a discount
that isn't above 0 and at most its count, that order's discounts are 0.5, 1 and 1.5.
"""

from typing import Any, NamedTuple

import numpy as np

from recurra.decoding.backoff_trie import BackoffTrie, Ints

__all__ = ["discounts", "estimate"]

Vector = np.ndarray[Any, np.dtype[np.float64]]

_SMALL_DATA = (0.5, 1.0, 1.5)


class _Level(NamedTuple):
    """The n-grams of one order, how often each comes, and whether it begins with the start."""

    parent: Ints
    symbol: Ints
    suffix: Ints
    times: Ints
    at_start: Any


def estimate(sequences: list[Ints], order: int, size: int, start: int) -> BackoffTrie:
    """The model of sequences of symbols 0 to `size` - 1, each from `start` to an end symbol."""
    levels = _adjusted(_count(sequences, order, size, start), start, size)
    log_probs, backoffs = [np.zeros(1)], []
    lower, offset = np.full(1, 1 / (size - 1)), 0  # of the level below: probabilities, first node
    for level in levels:
        contexts = level.parent - offset
        amounts = np.append(0.0, discounts(level.times))[np.minimum(level.times, 3)]
        totals = np.bincount(contexts, level.times, len(lower) if offset or size else 1)
        freed = np.bincount(contexts, amounts, len(totals))
        left = np.where(totals > 0, freed / np.maximum(totals, 1), 1.0)
        below = lower[level.suffix - offset] if offset else lower[level.suffix]
        lower = (level.times - amounts) / np.maximum(totals, 1)[contexts] + left[contexts] * below
        if not offset:
            lower[start] = 0.0
        backoffs.append(left)
        log_probs.append(lower)
        offset += len(left)
    return _trie(levels, log_probs, backoffs)


def discounts(counts: Ints) -> Vector:
    """The amounts taken from counts of 1, 2, and 3 or more, (3,), for n-grams of these counts."""
    n1, n2, n3, n4 = (int((counts == n).sum()) for n in (1, 2, 3, 4))
    if not n1 or not n2 or not n3 or not n4:
        return np.array(_SMALL_DATA)
    y = n1 / (n1 + 2 * n2)
    found = np.array([1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])
    sound = (found > 0).all() and (found <= [1, 2, 3]).all()
    return found if sound else np.array(_SMALL_DATA)


def _count(sequences: list[Ints], order: int, size: int, start: int) -> list[_Level]:
    """The n-grams of each order and how often they come."""
    text = np.concatenate(sequences)
    owner = np.repeat(np.arange(len(sequences)), [len(sequence) for sequence in sequences])
    nodes = text + 1  # of the n-gram that begins at each position
    whole = np.arange(size)
    raw = np.bincount(text, minlength=size)
    levels = [_Level(0 * whole, whole, 0 * whole, raw, whole == start)]
    offset = 1 + size
    for length in range(2, order + 1):
        last = np.arange(length - 1, len(text))
        begin = last - length + 1
        inside = owner[begin] == owner[last]
        begin, last = begin[inside], last[inside]
        keys, where, index, counts = np.unique(nodes[begin] * size + text[last], True, True, True)
        suffix = nodes[begin[where] + 1]
        at_start = text[begin[where]] == start
        levels.append(_Level(keys // size, keys % size, suffix, counts, at_start))
        nodes = np.zeros(len(text), np.int64)
        nodes[begin] = offset + index
        offset += len(keys)
    return levels


def _adjusted(levels: list[_Level], start: int, size: int) -> list[_Level]:
    """The levels with the counts that Kneser-Ney smooths."""
    result, first = [], 1
    for level, above in zip(levels, [*levels[1:], None], strict=True):
        count = level.times
        if above is not None:
            continued = np.bincount(above.suffix - first, minlength=len(count))
            count = np.where(level.at_start, count, continued)
        if first == 1:
            count = np.where(np.arange(size) == start, 0, count)
        result.append(level._replace(times=count))
        first += len(count)
    return result


def _trie(levels: list[_Level], log_probs: list[Vector], backoffs: list[Vector]) -> BackoffTrie:
    parents, symbols, suffixes = (np.concatenate([level[i] for level in levels]) for i in range(3))
    count = len(symbols) + 1
    with np.errstate(divide="ignore"):
        logs = np.log(np.concatenate([np.ones(1), *log_probs[1:]])).astype(np.float32)
        inner = np.log(np.concatenate(backoffs)).astype(np.float32)
    return BackoffTrie(
        tuple(len(level.symbol) for level in levels),
        np.append(0, symbols),
        1 + np.append(np.searchsorted(parents, np.arange(count)), count - 1),
        np.append(0, suffixes),
        logs,
        np.append(inner, np.zeros(count - len(inner), np.float32)),
    )
