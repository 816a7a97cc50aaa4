"""Decoding of transducers: what searches share, and the greedy one.

They work through two functions of the model: `predict(tokens (N,), states)` gives the prediction
network's outputs (N, P) after one more token of each sequence, with their N states; `states` is a
sequence of such, of earlier calls in any order, or None at the start, with token 0.
`join(frame (E,), outputs)` gives the log-probabilities (N, K) of the next token, 0 being the blank.

Frames arrive in pieces of any size; how they are cut changes nothing, to the bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from recurra.decoding.ctc import BLANK, Matrix
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.transducer_history import Alignments, History, hypothesis_of
from recurra.errors import ConfigError, DataError

__all__ = ["Join", "Predict", "TransducerGreedy", "TransducerSearch"]


class Predict(Protocol):
    """A step of the prediction network; states are the model's own affair."""

    def __call__(
        self, tokens: Tensor, states: Sequence[Any] | None
    ) -> tuple[Tensor, Sequence[Any]]: ...


class Join(Protocol):
    """The joint network at one frame."""

    def __call__(self, frame: Tensor, outputs: Tensor) -> Tensor: ...


class TransducerSearch(ABC):
    """Feeds frames one by one to a search, whose histories hold the model's outputs."""

    def __init__(self, predict: Predict, join: Join, max_symbols: int) -> None:
        if max_symbols < 1:
            raise ConfigError(f"max_symbols = {max_symbols}; give 1 or more symbols for a frame.")
        self._predict, self._join, self._max_symbols = predict, join, max_symbols
        self.reset()

    def reset(self) -> None:
        """Begins a new sequence; all frames so far are forgotten."""
        self._frames = 0
        self._start()

    @torch.no_grad()
    def feed(self, frames: Tensor) -> None:
        """Takes the encoder's next frames, (n, E); n may be 0.

        Raises:
            DataError: frames of another shape, scores that are NaN, or frames after which no
                hypothesis has a probability.
        """
        if frames.dim() != 2:
            raise DataError(f"Frames of shape {tuple(frames.shape)}; give (frames, encoder size).")
        for frame in frames:
            self._take(frame)
            self._frames += 1

    @abstractmethod
    def best(self, times: bool = False) -> Hypothesis:
        """The best hypothesis so far; with spans and confidences if asked."""

    @abstractmethod
    def finish(self, n: int = 1, times: bool = True) -> list[Hypothesis]:
        """The n best hypotheses of the whole sequence, at least one, best first."""

    @abstractmethod
    def _start(self) -> None: ...

    @abstractmethod
    def _take(self, frame: Tensor) -> None: ...

    def _scores(self, frame: Tensor, histories: Sequence[History]) -> Matrix:
        """Log-probabilities (N, K) of the next token after each history."""
        self._make_outputs([h for h in histories if h.output is None], frame.device)
        outputs = torch.stack([h.output for h in histories if h.output is not None])
        scores: Matrix = self._join(frame, outputs).double().cpu().numpy()
        if np.isnan(scores).any():
            raise DataError(
                f"Frame {self._frames} has log-probabilities that are NaN; the model may have "
                "diverged, or its input isn't finite."
            )
        return scores

    def _make_outputs(self, histories: Sequence[History], device: torch.device) -> None:
        if not histories:
            return
        before = [h.before.state for h in histories if h.before is not None]
        tokens = torch.tensor([h.token for h in histories], device=device)
        outputs, states = self._predict(tokens, before or None)
        for history, output, state in zip(histories, outputs, states, strict=True):
            history.output, history.state = output, state


class TransducerGreedy(TransducerSearch):
    """Takes the most likely token at each step: one path, whose log-probability is its score.

    Of equal tokens the one with the lowest number is taken.

    Args:
        predict, join: the model's functions, as this file describes them.
        max_symbols: after so many symbols in one frame the blank is taken.

    Raises:
        ConfigError: `max_symbols` below 1.

    Example:
        >>> predict = lambda tokens, states: (tokens[:, None] * 1.0, [None] * len(tokens))
        >>> join = lambda frame, outputs: torch.log_softmax(frame - outputs * 9, -1)
        >>> search = TransducerGreedy(predict, join, max_symbols=1)
        >>> search.feed(torch.tensor([[0.0, 3.0], [2.0, 0.0]]))
        >>> search.finish()[0].tokens, search.finish()[0].spans
        ((1,), ((0, 0),))
    """

    def __init__(self, predict: Predict, join: Join, *, max_symbols: int = 10) -> None:
        super().__init__(predict, join, max_symbols)

    def best(self, times: bool = False) -> Hypothesis:
        """The path so far."""
        return hypothesis_of(self._history, self._path, self._path.total, 0.0, times=times)

    def finish(self, n: int = 1, times: bool = True) -> list[Hypothesis]:
        """The path, alone, whatever n."""
        return [self.best(times)]

    def _start(self) -> None:
        self._history = History(None, BLANK, 0.0, None)
        self._path = Alignments(0.0, 0.0, None, 0)

    def _take(self, frame: Tensor) -> None:
        while True:
            (scores,) = self._scores(frame, [self._history])
            token = int(scores.argmax()) if self._path.in_frame < self._max_symbols else BLANK
            if token == BLANK:
                self._path = self._path.extended(float(scores[BLANK]))
                return
            self._path = self._path.emitted(
                float(scores[token]), float(scores[BLANK]), self._frames
            )
            following = History(self._history, token, 0.0, None)
            self._make_outputs([following], frame.device)
            self._history.release()
            self._history = following
