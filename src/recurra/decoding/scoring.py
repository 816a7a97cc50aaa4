"""Scorers: what a sequence of tokens is worth apart from the model that emits them.

A scorer is a language model, a lexicon or a list of favoured phrases. A beam search adds its
log-probabilities to its own while hypotheses grow (shallow fusion).
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from recurra.decoding.ngram import END, NGram
from recurra.errors import ConfigError

__all__ = ["Combined", "NGramScorer", "Rows", "Scorer", "State", "check_alphabet", "combined"]

State = Any
"""What a scorer knows of the tokens so far: a value of its own, which is never changed in place."""

Rows = np.ndarray[Any, np.dtype[np.float64]]


class Scorer(ABC):
    """Scores token after token, in nats; a sequence's score is their sum, with that of its end.

    Tokens are numbered as the emitting model has them: 0 is the blank, which is never scored.
    """

    @abstractmethod
    def start(self) -> State:
        """The state before the first token."""

    @abstractmethod
    def score(self, state: State, token: int) -> tuple[float, State]:
        """The log-probability of a token, and the state after it."""

    @abstractmethod
    def finish(self, state: State) -> float:
        """The log-probability that the sequence ends here."""

    def score_many(self, states: Sequence[State], tokens: Sequence[int]) -> Rows:
        """The log-probability of each of the tokens in each of the states, (states, tokens)."""
        rows = [[self.score(state, token)[0] for token in tokens] for state in states]
        return np.array(rows, np.float64).reshape(len(states), len(tokens))


class NGramScorer(Scorer):
    """An n-gram model of characters; token i is the character `alphabet[i - 1]`.

    A character that the model lacks has the probability of its unknown symbol.
    """

    def __init__(self, model: NGram, alphabet: Sequence[str]) -> None:
        check_alphabet(alphabet)
        self._model = model
        self._symbols = np.array([0, *map(model.number, alphabet)])
        self._end = model.number(END)

    def start(self) -> State:
        return self._model.start()

    def score(self, state: State, token: int) -> tuple[float, State]:
        symbol = int(self._symbols[token])
        return float(self._model.row(state)[symbol]), self._model.advance(state, symbol)

    def finish(self, state: State) -> float:
        return float(self._model.row(state)[self._end])

    def score_many(self, states: Sequence[State], tokens: Sequence[int]) -> Rows:
        symbols = self._symbols[np.asarray(tokens)]
        return np.stack([self._model.row(state)[symbols] for state in states])


class Combined(Scorer):
    """A weighted sum of scorers.

    Raises:
        ConfigError: no scorer, or a weight that isn't a finite number of 0 or more.
    """

    def __init__(self, weighted: Sequence[tuple[Scorer, float]]) -> None:
        wrong = [weight for _, weight in weighted if not 0 <= weight < np.inf]
        if wrong or not weighted:
            raise ConfigError(f"Weights of scorers: {wrong}; give one scorer or more, each >= 0.")
        self._weighted = [(scorer, weight) for scorer, weight in weighted if weight]

    def start(self) -> State:
        return tuple(scorer.start() for scorer, _ in self._weighted)

    def score(self, state: State, token: int) -> tuple[float, State]:
        parts = [s.score(each, token) for (s, _), each in zip(self._weighted, state, strict=True)]
        weights = [weight for _, weight in self._weighted]
        total = sum(w * value for w, (value, _) in zip(weights, parts, strict=True))
        return float(total), tuple(after for _, after in parts)

    def finish(self, state: State) -> float:
        pairs = zip(self._weighted, state, strict=True)
        return float(sum(weight * scorer.finish(each) for (scorer, weight), each in pairs))

    def score_many(self, states: Sequence[State], tokens: Sequence[int]) -> Rows:
        total = np.zeros((len(states), len(tokens)))
        for i, (scorer, weight) in enumerate(self._weighted):
            total += weight * scorer.score_many([state[i] for state in states], tokens)
        return total


def combined(*weighted: tuple[Scorer | None, float]) -> Scorer | None:
    """The sum of those scorers that there are; None without any."""
    parts = [(scorer, weight) for scorer, weight in weighted if scorer]
    return Combined(parts) if parts else None


def check_alphabet(alphabet: Sequence[str]) -> None:
    """Raise ConfigError for an alphabet with a character twice or none at all."""
    if not len(alphabet) or len(set(alphabet)) < len(alphabet):
        raise ConfigError(
            f"The alphabet {''.join(alphabet)!r} is empty or has a character twice; give each "
            f"character once, in the order of the tokens 1, 2, ..."
        )
