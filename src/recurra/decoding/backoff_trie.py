"""The n-grams of a back-off model as flat arrays, and the lookups in them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["BackoffTrie", "link_suffixes"]

Ints = np.ndarray[Any, np.dtype[np.int64]]
Floats = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class BackoffTrie:
    """N nodes, level by level, each level by parent and then by symbol.

    Node 0 is the empty context, nodes 1 to V are the V symbols in order, and the children of node i
    are the nodes `first[i]` to `first[i + 1] - 1`: its context with a symbol (`symbol`) more.
    `log_prob` is that of a node's last symbol after those before it, `backoff` what a symbol that
    isn't among a node's children costs, and `suffix` the node without its first symbol.
    """

    levels: tuple[int, ...]
    symbol: Ints
    first: Ints
    suffix: Ints
    log_prob: Floats
    backoff: Floats

    def child(self, node: int, symbol: int) -> int:
        """The node of a context with one symbol more; 0 where training had no such sequence."""
        low, high = int(self.first[node]), int(self.first[node + 1])
        found = low + int(np.searchsorted(self.symbol[low:high], symbol))
        return found if found < high and self.symbol[found] == symbol else 0

    def advance(self, node: int, symbol: int) -> int:
        """The longest context that matters after a symbol more."""
        while not (longer := self.child(node, symbol)) and node:
            node = int(self.suffix[node])
        while longer and self.first[longer] == self.first[longer + 1] and not self.backoff[longer]:
            longer = int(self.suffix[longer])
        return longer

    def log_prob_of(self, node: int, symbol: int) -> float:
        """The log-probability of a symbol in a context."""
        cost = 0.0
        while not (longer := self.child(node, symbol)) and node:
            cost += float(self.backoff[node])
            node = int(self.suffix[node])
        return cost + float(self.log_prob[longer])

    def row(self, node: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The log-probability of every symbol in a context, (V,)."""
        if not node:
            return self.log_prob[1 : 1 + self.levels[0]].astype(np.float64)
        row = self.row(int(self.suffix[node])) + float(self.backoff[node])
        children = slice(int(self.first[node]), int(self.first[node + 1]))
        row[self.symbol[children]] = self.log_prob[children]
        return row

    def along(self, symbols: Ints, start: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The log-probability of each symbol after those from the last `start` on, (N,)."""
        nodes, begins, keys = symbols + 1, symbols == start, self.keys()
        result = self.log_prob[nodes].astype(np.float64)
        for first in np.cumsum([1, *self.levels[:-1]]).tolist():
            contexts = np.append(0, nodes[:-1])
            contexts[(contexts < first) | begins] = 0  # an n-gram of this level is not there
            nodes = find_children(keys, contexts, symbols, self.levels[0]) * (contexts > 0)
            backed = result + np.where(contexts > 0, self.backoff[contexts], 0)
            result = np.where(nodes > 0, self.log_prob[nodes], backed)
        return result

    def keys(self) -> Ints:
        """Parent * V + symbol of each node but the first; ascending."""
        return keys_of(self.first, self.symbol, self.levels[0])

    def arrays(self) -> dict[str, Any]:
        """The numbers that the trie is built again from."""
        size = np.int16 if self.levels[0] < 2**15 else np.int32
        inner = len(self.symbol) - self.levels[-1]
        return {
            "symbol": self.symbol[1:].astype(size),
            "children": np.diff(self.first)[:inner].astype(size),
            "log_prob": self.log_prob[1:],
            "backoff": self.backoff[:inner],
        }

    @classmethod
    def from_arrays(cls, levels: Sequence[int], arrays: Mapping[str, Any]) -> "BackoffTrie":
        """The trie that gave `levels` and these `arrays()`."""
        symbol = np.append(0, arrays["symbol"]).astype(np.int64)
        leaves = np.zeros(levels[-1], np.int64)
        children = np.append(arrays["children"].astype(np.int64), leaves)
        first = np.append(0, np.cumsum(children)) + 1
        return cls(
            tuple(levels),
            symbol,
            first,
            link_suffixes(levels, first, symbol),
            np.append(np.float32(0), arrays["log_prob"]),
            np.append(arrays["backoff"], leaves.astype(np.float32)),
        )


def keys_of(first: Ints, symbol: Ints, size: int) -> Ints:
    parents = np.repeat(np.arange(len(symbol)), np.diff(first))
    return parents * size + symbol[1:]


def find_children(keys: Ints, nodes: Ints, symbols: Ints, size: int) -> Ints:
    """The child of each node by a symbol; 0 for none."""
    wanted = nodes * size + symbols
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, places + 1, 0)


def link_suffixes(levels: Sequence[int], first: Ints, symbol: Ints) -> Ints:
    """The node of each context without its first symbol, or the longest shorter one there is."""
    size, keys = levels[0], keys_of(first, symbol, levels[0])
    suffix = np.zeros(len(symbol), np.int64)
    start = 1 + size
    for level in levels[1:]:
        nodes = np.arange(start, start + level)
        contexts, open_ = suffix[(keys[nodes - 1]) // size], np.ones(level, bool)
        while open_.any():
            found = find_children(keys, contexts, symbol[nodes], size)
            suffix[nodes[open_]] = found[open_]
            open_ &= (found == 0) & (contexts > 0)
            contexts = np.where(open_, suffix[contexts], contexts)
        start += level
    return suffix
