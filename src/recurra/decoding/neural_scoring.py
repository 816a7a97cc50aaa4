"""A recurrent language model as a scorer, through one function that steps it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recurra.decoding.scoring import Rows, Scorer, State
from recurra.errors import ConfigError

__all__ = ["NeuralScorer", "Step"]

Step = Callable[[Sequence[int], Sequence[Any]], tuple[Any, Sequence[Any]]]
"""Takes n symbols and the n states before them; gives log-probabilities (n, V) and n new states.

It stacks the states into one batch and takes the result apart; states are values that it doesn't
change in place.
"""


@dataclass(eq=False)
class _Prefix:
    """A sequence of tokens: its last symbol, the state before that, and what came of both."""

    symbol: int
    before: Any
    row: Rows | None = None
    after: Any = None


class NeuralScorer(Scorer):
    """A language model that is stepped in batches, once for each different prefix.

    Args:
        step: the model, as `Step` describes.
        symbols: the model's symbol for each token but the blank: `symbols[i - 1]` for token i.
        start: the symbol and the state before the first token.
        end: the symbol that ends a sequence; None where the model has none: an end costs nothing.
    """

    def __init__(
        self, step: Step, symbols: Sequence[int], start: tuple[int, Any], end: int | None = None
    ) -> None:
        if not len(symbols) or min(symbols) < 0:
            raise ConfigError("symbols: give the number of the model's symbol for every token.")
        self._step = step
        self._symbols = np.array([0, *symbols])
        self._end = end
        self._first = _Prefix(*start)

    def start(self) -> State:
        return self._first

    def score(self, state: State, token: int) -> tuple[float, State]:
        symbol = int(self._symbols[token])
        return float(self._rows([state])[0][symbol]), _Prefix(symbol, state.after)

    def finish(self, state: State) -> float:
        return 0.0 if self._end is None else float(self._rows([state])[0][self._end])

    def score_many(self, states: Sequence[State], tokens: Sequence[int]) -> Rows:
        return np.stack(self._rows(states))[:, self._symbols[np.asarray(tokens)]]

    def _rows(self, states: Sequence[_Prefix]) -> list[Rows]:
        """The log-probabilities after each prefix; those not yet known are computed in one step."""
        fresh = list({id(state): state for state in states if state.row is None}.values())
        if fresh:
            symbols, before = [each.symbol for each in fresh], [each.before for each in fresh]
            rows, after = self._step(symbols, before)
            values = np.asarray(rows, np.float64)
            for state, row, following in zip(fresh, values, after, strict=True):
                state.row, state.after, state.before = row, following, None
        return [state.row for state in states if state.row is not None]
