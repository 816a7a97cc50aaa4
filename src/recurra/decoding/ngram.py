"""N-gram language models of characters or words."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from recurra.decoding.backoff_trie import BackoffTrie
from recurra.decoding.kneser_ney import estimate
from recurra.errors import ConfigError, DataError

__all__ = ["END", "START", "UNKNOWN", "NGram"]

UNKNOWN, START, END = "<unk>", "<s>", "</s>"

_REMEMBERED = 2_000_000
"""Probabilities in the rows that are remembered: 16 MB."""


class NGram:
    """An n-gram model over `symbols`: UNKNOWN, START and END, then characters or words.

    A state is the number of a context: `start()`, `advance(state, symbol)`. All log-probabilities
    are natural; those of all symbols but START (which has -inf) sum to 1 in every context.

    Example:
        >>> model = NGram.train(["no", "nono", "on"], order=3)
        >>> model.log_prob("n", "o") > model.log_prob("n", "n")
        True
    """

    def __init__(self, symbols: Sequence[str], trie: BackoffTrie) -> None:
        self.symbols: tuple[str, ...] = tuple(symbols)
        self.trie = trie
        self._numbers = {symbol: i for i, symbol in enumerate(self.symbols)}
        self._rows: dict[int, np.ndarray[Any, np.dtype[np.float64]]] = {}

    @classmethod
    def train(
        cls,
        sequences: Iterable[Sequence[str]],
        order: int,
        *,
        vocabulary: Iterable[str] = (),
        min_count: int = 1,
    ) -> "NGram":
        """Estimate a model by interpolated modified Kneser-Ney, as `kneser_ney` describes.

        A sequence is a string, of characters, or a list of words. Symbols that occur fewer than
        `min_count` times, and UNKNOWN itself, count as UNKNOWN; those of `vocabulary` are kept and
        have a probability even where they never occur.

        Raises:
            ConfigError: an order below 1.
            DataError: no sequence, or one with START or END in it.
        """
        if order < 1:
            raise ConfigError(f"order = {order}; give 1 or more, 4 to 8 for characters.")
        kept = [list(sequence) for sequence in sequences]
        if not kept:
            raise DataError("No sequence to train an n-gram model on; give at least one.")
        counts = Counter(symbol for sequence in kept for symbol in sequence)
        if wrong := {START, END} & counts.keys():
            raise DataError(f"{min(wrong)} is a mark of the model and can't be in a sequence.")
        known = {symbol for symbol, count in counts.items() if count >= min_count}
        known = (known | set(vocabulary)) - {UNKNOWN, START, END}
        symbols = [UNKNOWN, START, END, *sorted(known)]
        numbers = {symbol: i for i, symbol in enumerate(symbols)}
        rows = [np.array([1, *(numbers.get(s, 0) for s in row), 2], np.int64) for row in kept]
        return cls(symbols, estimate(rows, order, len(symbols), start=1))

    @property
    def order(self) -> int:
        return len(self.trie.levels)

    def number(self, symbol: str) -> int:
        """The number of a symbol; that of UNKNOWN for one that the model lacks."""
        return self._numbers.get(symbol, 0)

    def knows(self, symbol: str) -> bool:
        """Whether the model has seen this symbol."""
        return symbol in self._numbers and symbol != UNKNOWN

    def start(self) -> int:
        """The state at the beginning of a sequence."""
        return self.trie.advance(0, self._numbers[START])

    def advance(self, state: int, symbol: int) -> int:
        """The state after a symbol, given by its number."""
        return self.trie.advance(state, symbol)

    def row(self, state: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The log-probabilities of all symbols in a state, (V,); not to be written to."""
        row = self._rows.get(state)
        if row is None:
            if (1 + len(self._rows)) * len(self.symbols) > _REMEMBERED:
                self._rows.clear()
            row = self._rows[state] = self.trie.row(state)
        return row

    def log_prob(self, context: Sequence[str], symbol: str) -> float:
        """The log-probability of a symbol after a context, which may begin with START."""
        state = 0
        for each in context:
            state = self.trie.advance(state, self.number(each))
        return self.trie.log_prob_of(state, self.number(symbol))

    def entropy(self, sequences: Iterable[Sequence[str]]) -> float:
        """Mean -log p of the symbols and ends of sequences, in nats; e to its power: perplexity.

        Raises:
            DataError: no sequence.
        """
        rows = [[1, *map(self.number, sequence), 2] for sequence in sequences]
        if not rows:
            raise DataError("No sequence to measure the n-gram model on; give at least one.")
        symbols = np.concatenate([np.array(row, np.int64) for row in rows])
        return float(-self.trie.along(symbols, 1)[symbols != 1].mean())

    def to_arrays(self) -> tuple[dict[str, Any], str]:
        """The model as a few arrays and a line of JSON; about 10 bytes an n-gram."""
        facts = {"levels": list(self.trie.levels), "symbols": list(self.symbols)}
        return self.trie.arrays(), json.dumps(facts, ensure_ascii=False)

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Any], facts: str) -> "NGram":
        """The model that gave these `to_arrays()`, to the bit.

        Raises:
            DataError: arrays that don't belong to these facts.
        """
        try:
            values = json.loads(facts)
            trie = BackoffTrie.from_arrays(values["levels"], arrays)
            sizes = {len(trie.symbol), len(trie.log_prob), len(trie.backoff), int(trie.first[-1])}
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise DataError("These arrays aren't those of an n-gram model.") from error
        if sizes != {1 + sum(values["levels"])} or len(values["symbols"]) != values["levels"][0]:
            raise DataError("The arrays of the n-gram model don't fit its list of symbols.")
        return cls(values["symbols"], trie)
