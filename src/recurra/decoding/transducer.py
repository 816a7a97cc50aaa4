"""Decoding of transducers: greedy, and a beam search that sums over alignments.

Both work through two functions of the model: `predict(tokens (N,), states)` gives the prediction
network's outputs (N, P) after one more token of each sequence, with their N states; `states` is a
sequence of such, in any order, or None at the start, with token 0. `join(frame (E,), outputs)`
gives the log-probabilities (N, K) of the next token, 0 being the blank.

Frames arrive in pieces of any size; how they are cut changes nothing, to the bit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.scoring import Scorer
from recurra.decoding.transducer_prefix import Alignments, Prefix, hypothesis_of
from recurra.errors import ConfigError, DataError

__all__ = ["Join", "Predict", "TransducerBeam", "TransducerGreedy"]

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Places = np.ndarray[Any, np.dtype[np.intp]]
Level = dict[Prefix, Alignments]


class Predict(Protocol):
    """A step of the prediction network; states are the model's own affair."""

    def __call__(
        self, tokens: Tensor, states: Sequence[Any] | None
    ) -> tuple[Tensor, Sequence[Any]]: ...


class Join(Protocol):
    """The joint network at one frame."""

    def __call__(self, frame: Tensor, outputs: Tensor) -> Tensor: ...


class _Search(ABC):
    """Feeds frames one by one to a search, whose prefixes know the prediction network's outputs."""

    def __init__(self, predict: Predict, join: Join, max_symbols: int) -> None:
        if max_symbols < 1:
            raise ConfigError(f"max_symbols = {max_symbols}; give 1 or more symbols for a frame.")
        self._predict, self._join, self.max_symbols = predict, join, max_symbols
        self.frames: int = 0

    @torch.no_grad()
    def feed(self, frames: Tensor) -> None:
        """Take the next frames, (n, E); n may be 0.

        Raises:
            DataError: frames of another shape, or scores that are NaN.
        """
        if frames.dim() != 2:
            raise DataError(f"Frames of shape {tuple(frames.shape)}; give (frames, encoder size).")
        for frame in frames:
            self._take(frame)
            self.frames += 1

    @abstractmethod
    def best(self) -> Hypothesis:
        """The most likely reading of all frames so far."""

    @abstractmethod
    def _take(self, frame: Tensor) -> None: ...

    def _scores(self, frame: Tensor, prefixes: Sequence[Prefix]) -> Matrix:
        """Log-probabilities (N, K) of the next token after each prefix."""
        self._make_outputs([p for p in prefixes if p.output is None], frame.device)
        outputs = torch.stack([p.output for p in prefixes if p.output is not None])
        scores: Matrix = self._join(frame, outputs).double().cpu().numpy()
        if np.isnan(scores).any():
            raise DataError(
                f"Frame {self.frames} has log-probabilities that are NaN; the model may have "
                "diverged, or its input isn't finite."
            )
        return scores

    def _make_outputs(self, prefixes: Sequence[Prefix], device: torch.device) -> None:
        if not prefixes:
            return
        before = [p.before.state for p in prefixes if p.before is not None]
        tokens = torch.tensor([p.token for p in prefixes], device=device)
        outputs, states = self._predict(tokens, before or None)
        for prefix, output, state in zip(prefixes, outputs, states, strict=True):
            prefix.output, prefix.state = output, state


class TransducerGreedy(_Search):
    """Takes the most likely token at each step: one path, whose log-probability is its score.

    Args:
        predict, join: the model's functions, as this file describes them.
        max_symbols: after so many symbols in one frame the blank is taken.

    Example:
        >>> predict = lambda tokens, states: (tokens[:, None] * 1.0, [None] * len(tokens))
        >>> join = lambda frame, outputs: torch.log_softmax(frame - outputs * 9, -1)
        >>> search = TransducerGreedy(predict, join, max_symbols=1)
        >>> search.feed(torch.tensor([[0.0, 3.0], [2.0, 0.0]]))
        >>> search.best().tokens, search.best().spans
        ((1,), ((0, 0),))
    """

    def __init__(self, predict: Predict, join: Join, *, max_symbols: int = 10) -> None:
        super().__init__(predict, join, max_symbols)
        self._prefix = Prefix(None, 0, 0.0, None)
        self._path = Alignments(0.0, 0.0, None, 0)

    def best(self) -> Hypothesis:
        """The path so far."""
        return hypothesis_of(self._prefix, self._path, self._path.total)

    def finish(self) -> list[Hypothesis]:
        """The path, alone."""
        return [self.best()]

    def _take(self, frame: Tensor) -> None:
        while True:
            (scores,) = self._scores(frame, [self._prefix])
            token = int(scores.argmax()) if self._path.in_frame < self.max_symbols else 0
            if token == 0:
                self._path = self._path.extended(float(scores[0]))
                return
            self._path = self._path.emitted(float(scores[token]), float(scores[0]), self.frames)
            following = Prefix(self._prefix, token, 0.0, None)
            self._make_outputs([following], frame.device)
            self._prefix.release()
            self._prefix = following


class TransducerBeam(_Search):
    """Keeps the `beam` best prefixes after each frame, each with the sum over its alignments.

    Args:
        predict, join: the model's functions, as this file describes them.
        beam: prefixes kept after a frame, and of each length within it.
        max_symbols: after so many symbols in one frame only the blank follows.
        scorer: a language model; each token and the end add `weight` times its log-probability.
        weight: that of the scorer.
        bonus: added for each token, in nats.
        token_limit: only so many most likely tokens of a prefix are given to the scorer; None: all.

    Within a frame prefixes are continued in the order of their lengths (a breadth-first form of the
    search in A. Graves, arXiv:1211.3711). When it is a prefix's turn, all that can lead to it in
    this frame has come: its own alignments up to the frame before, and a symbol after the prefix
    that is shorter by one. So nothing is counted twice or late, in whatever order scores come, and
    with a beam that holds all prefixes the sums are exact. A small beam loses only what went
    through prefixes it dropped; prefixes of one length share a call of the model.

    Spans and confidences are those of the best alignment: the frame of each symbol, and its
    probability among symbols there, the blank aside.
    """

    def __init__(
        self,
        predict: Predict,
        join: Join,
        *,
        beam: int = 8,
        max_symbols: int = 10,
        scorer: Scorer | None = None,
        weight: float = 0.0,
        bonus: float = 0.0,
        token_limit: int | None = None,
    ) -> None:
        super().__init__(predict, join, max_symbols)
        if beam < 1:
            raise ConfigError(f"beam = {beam}; give 1 or more prefixes.")
        if token_limit is not None and token_limit < 1:
            raise ConfigError(f"token_limit = {token_limit}; give 1 or more tokens, or None.")
        self.beam = beam
        self.scorer, self.weight, self.bonus = scorer, weight, bonus
        self.token_limit = token_limit
        root = Prefix(None, 0, 0.0, scorer.start() if scorer else None)
        self._kept = {root: Alignments(0.0, 0.0, None, 0)}

    def best(self) -> Hypothesis:
        """The most likely prefix of all frames so far; more may follow it."""
        prefix, alignments = next(iter(self._kept.items()))
        return hypothesis_of(prefix, alignments, self._rank(prefix, alignments))

    def finish(self) -> list[Hypothesis]:
        """All readings that are kept, the best first, with the scorer's probability of the end."""
        found = []
        for prefix, alignments in self._kept.items():
            end = self.scorer.finish(prefix.scored) if self.scorer else 0.0
            score = self._rank(prefix, alignments) + self.weight * end
            found.append(hypothesis_of(prefix, alignments, score, end))
        return sorted(found, key=lambda h: -h.score)

    def _rank(self, prefix: Prefix, alignments: Alignments) -> float:
        return alignments.total + self.weight * prefix.language + self.bonus * prefix.length

    def _take(self, frame: Tensor) -> None:
        waiting: dict[int, Level] = {}
        for prefix, alignments in self._kept.items():
            waiting.setdefault(prefix.length, {})[prefix] = alignments
        ended: Level = {}
        while waiting:
            length = min(waiting)
            level = self._best_of(waiting.pop(length), self._floor(ended))
            if not level:
                continue
            scores = self._scores(frame, list(level))
            for (prefix, alignments), row in zip(level.items(), scores, strict=True):
                ended[prefix] = alignments.extended(float(row[0]))
            if following := self._continued(level, scores, waiting.pop(length + 1, {})):
                waiting[length + 1] = following
        self._kept = self._best_of(ended)
        for prefix in ended.keys() - self._kept.keys():
            prefix.release()

    def _best_of(self, level: Level, floor: float = -np.inf) -> Level:
        """The `beam` best, the best first; none below `floor`."""
        ranks = {prefix: self._rank(prefix, a) for prefix, a in level.items()}
        best = sorted(level, key=lambda prefix: -ranks[prefix])[: self.beam]
        return {prefix: level[prefix] for prefix in best if ranks[prefix] >= floor}

    def _floor(self, ended: Level) -> float:
        """The rank that a prefix must have to be kept after this frame: blanks only lower it."""
        if len(ended) < self.beam:
            return -np.inf
        return sorted(self._rank(prefix, a) for prefix, a in ended.items())[-self.beam]

    def _continued(self, level: Level, scores: Matrix, following: Level) -> Level:
        """`following`, the prefixes one longer, with what goes there from `level` in this frame."""
        prefixes = list(level)
        is_open = np.array([a.in_frame < self.max_symbols for a in level.values()])
        pairs = self._promising(level, np.where(is_open[:, None], scores, -np.inf))
        rows = {prefix: row for row, prefix in enumerate(prefixes) if is_open[row]}
        pairs += [(rows[p.before], p.token) for p in following if p.before in rows]
        for row, token in dict.fromkeys(pairs):
            prefix = self._continuation(prefixes[row], token)
            score, blank = float(scores[row, token]), float(scores[row, 0])
            arriving = level[prefixes[row]].emitted(score, blank, self.frames)
            following[prefix] = arriving.joined(following.get(prefix))
        return following

    def _promising(self, level: Level, scores: Matrix) -> list[tuple[int, int]]:
        """The `beam` best continuations of all prefixes: the row of each, and its token."""
        ranks = scores + np.array([[self._rank(prefix, a)] for prefix, a in level.items()])
        ranks[:, 0] = -np.inf
        if self.scorer is not None:
            for row, prefix in enumerate(level):
                tokens = _largest(ranks[row], self.token_limit)
                language = [self._language(prefix, int(token))[0] for token in tokens]
                fused = ranks[row, tokens] + self.weight * np.array(language)
                ranks[row] = -np.inf
                ranks[row, tokens] = fused
        rows, tokens = np.unravel_index(_largest(ranks.ravel(), self.beam), ranks.shape)
        return list(zip(rows.tolist(), tokens.tolist(), strict=True))

    def _language(self, prefix: Prefix, token: int) -> tuple[float, Any]:
        """The scorer's log-probability of a token after a prefix, and its state then."""
        if self.scorer is None:
            return 0.0, None
        if token not in prefix.scores:
            prefix.scores[token] = self.scorer.score(prefix.scored, token)
        return prefix.scores[token]

    def _continuation(self, prefix: Prefix, token: int) -> Prefix:
        following = prefix.continuations.get(token)
        if following is None:
            score, scored = self._language(prefix, token)
            following = Prefix(prefix, token, prefix.language + score, scored)
            prefix.continuations[token] = following
        return following


def _largest(values: Matrix, count: int | None) -> Places:
    """Where the `count` largest lie, in any order; none that is -inf."""
    if count is not None and count < len(values):
        places = np.argpartition(-values, count - 1)[:count]
    else:
        places = np.arange(len(values))
    return places[values[places] > -np.inf]
