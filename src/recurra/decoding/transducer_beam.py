"""Beam search of transducers, which sums over alignments.

Within a frame histories are continued in the order of their lengths, a breadth-first form of
the search in A. Graves, arXiv:1211.3711. When it is a history's turn, all that leads to it in
this frame has come: its own alignments up to the frame before, and one symbol after the history
that is shorter by one. So nothing is counted twice or too late, whatever order scores come in,
and without pruning the sums are exact. A small beam loses only what went through histories that
it dropped. Histories of one length share a call of the model.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from torch import Tensor

from recurra.decoding.ctc import BLANK, Matrix
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.scoring import Scorer
from recurra.decoding.transducer import Join, Predict, TransducerSearch
from recurra.decoding.transducer_history import Alignments, History, hypothesis_of
from recurra.errors import ConfigError, DataError

__all__ = ["TransducerBeam"]

Places = np.ndarray[Any, np.dtype[np.intp]]
Level = dict[History, Alignments]


class TransducerBeam(TransducerSearch):
    """Keeps the best histories after each frame, each with the sum over its alignments.

    Hypotheses are ranked by acoustic + `alpha` * language + `beta` * number of tokens.

    Args:
        predict, join: the model's functions, as `recurra.decoding.transducer` describes them.
        beam: the histories kept after each frame, and of each length within it.
        max_symbols: a history that took so many symbols in one frame, on its shortest way there,
            isn't continued in it.
        scorer: a language model or a sum of several.
        alpha: its weight.
        beta: the bonus for each token.
        cut: a token with a lower probability after a history doesn't continue it, unless to one
            that is there already; 0: every token may.
        margin: histories this far below the best one, in nats, are dropped.

    Raises:
        ConfigError: a setting out of range.

    Spans and confidences are those of the best alignment: each symbol's frame, and its probability
    there among all symbols, the blank aside.
    """

    def __init__(
        self,
        predict: Predict,
        join: Join,
        *,
        beam: int = 8,
        max_symbols: int = 10,
        scorer: Scorer | None = None,
        alpha: float = 1.0,
        beta: float = 0.0,
        cut: float = 1e-4,
        margin: float = 20.0,
    ) -> None:
        _check(beam, alpha, beta, cut, margin)
        self._beam, self._margin = beam, margin
        self._scorer = scorer if alpha else None
        self._alpha, self._beta = alpha, beta
        self._cut = math.log(cut) if cut else -math.inf
        super().__init__(predict, join, max_symbols)

    def best(self, times: bool = False) -> Hypothesis:
        """The best hypothesis so far, taken as unfinished; with spans and confidences if asked."""
        history, alignments = next(iter(self._kept.items()))
        rank = self._rank(history, alignments)
        return hypothesis_of(history, alignments, rank, history.language, times=times)

    def finish(self, n: int = 1, times: bool = True) -> list[Hypothesis]:
        """The n best hypotheses of the whole sequence, at least one, best first.

        They are scored with the end of the text.
        """
        found = []
        for history, alignments in self._kept.items():
            end = self._scorer.finish(history.scored) if self._scorer else 0.0
            score = self._rank(history, alignments) + self._alpha * end
            language = history.language + end
            found.append(hypothesis_of(history, alignments, score, language, times=times))
        return sorted(found, key=lambda h: (-h.score, len(h.tokens), h.tokens))[: max(n, 1)]

    def _start(self) -> None:
        root = History(None, BLANK, 0.0, self._scorer.start() if self._scorer else None)
        self._kept: Level = {root: Alignments(0.0, 0.0, None, 0)}

    def _rank(self, history: History, alignments: Alignments) -> float:
        worth = self._alpha * history.language + self._beta * history.length
        return alignments.total + worth

    def _take(self, frame: Tensor) -> None:
        waiting: dict[int, Level] = {}
        for history, alignments in self._kept.items():
            waiting.setdefault(history.length, {})[history] = alignments
        ended: Level = {}
        while waiting:
            length = min(waiting)
            level = self._best_of(waiting.pop(length), self._floor(ended))
            if not level:
                continue
            scores = self._scores(frame, list(level))
            for (history, alignments), row in zip(level.items(), scores, strict=True):
                ended[history] = alignments.extended(float(row[BLANK]))
            if following := self._continued(level, scores, waiting.pop(length + 1, {})):
                waiting[length + 1] = following
        self._keep(ended)

    def _keep(self, ended: Level) -> None:
        self._kept = self._best_of(ended, self._floor(ended))
        if not self._kept:
            raise DataError(
                f"After frame {self._frames} no hypothesis is left: all have -inf. Look at the "
                "model's probabilities, that of the blank above all."
            )
        for history in ended.keys() - self._kept.keys():
            history.release()

    def _best_of(self, level: Level, floor: float) -> Level:
        """The `beam` best, the best first; none below `floor`."""
        ranks = {history: self._rank(history, a) for history, a in level.items()}
        best = sorted(level, key=lambda history: -ranks[history])[: self._beam]
        return {h: level[h] for h in best if ranks[h] >= floor and ranks[h] > -math.inf}

    def _floor(self, ended: Level) -> float:
        """The rank that a history must have to be kept after this frame: blanks only lower it."""
        ranks = sorted((self._rank(*each) for each in ended.items()), reverse=True)
        worst = ranks[self._beam - 1] if len(ranks) >= self._beam else -math.inf
        return max(worst, ranks[0] - self._margin) if ranks else worst

    def _continued(self, level: Level, scores: Matrix, following: Level) -> Level:
        """`following`, the histories one longer, with what goes there from `level` in the frame."""
        histories = list(level)
        is_open = np.array([a.in_frame < self._max_symbols for a in level.values()])
        pairs = self._promising(level, np.where(is_open[:, None], scores, -np.inf))
        rows = {history: row for row, history in enumerate(histories) if is_open[row]}
        pairs += [(rows[h.before], h.token) for h in following if h.before in rows]
        for row, token in dict.fromkeys(pairs):
            history = self._continuation(histories[row], token)
            score, blank = float(scores[row, token]), float(scores[row, BLANK])
            arriving = level[histories[row]].emitted(score, blank, self._frames)
            following[history] = arriving.joined(following.get(history))
        return following

    def _promising(self, level: Level, scores: Matrix) -> list[tuple[int, int]]:
        """The `beam` best continuations of all histories: the row of each, and its token."""
        ranks = np.where(scores >= self._cut, scores, -np.inf)
        ranks[:, BLANK] = -np.inf
        tokens = np.flatnonzero((ranks > -np.inf).any(0))
        ranks = ranks[:, tokens] + np.array([[self._rank(*each)] for each in level.items()])
        if self._scorer and len(tokens):
            states = [history.scored for history in level]
            ranks += self._alpha * self._scorer.score_many(states, tokens.tolist())
        rows, columns = np.unravel_index(_largest(ranks.ravel(), self._beam), ranks.shape)
        return list(zip(rows.tolist(), tokens[columns].tolist(), strict=True))

    def _continuation(self, history: History, token: int) -> History:
        following = history.continuations.get(token)
        if following is None:
            gain, scored = (
                self._scorer.score(history.scored, token) if self._scorer else (0.0, None)
            )
            following = History(history, token, history.language + gain, scored)
            history.continuations[token] = following
        elif self._scorer and following.scored is None:  # released, since an earlier frame
            following.scored = self._scorer.score(history.scored, token)[1]
        return following


def _largest(values: Matrix, count: int) -> Places:
    """Where the `count` largest lie, in any order; none that is -inf."""
    places = np.arange(len(values))
    if count < len(values):
        places = np.argpartition(-values, count - 1)[:count]
    return places[values[places] > -np.inf]


def _check(beam: int, alpha: float, beta: float, cut: float, margin: float) -> None:
    ranges = {
        f"beam = {beam}; give 1 or more histories to keep, 8 say.": beam >= 1,
        f"alpha = {alpha}; give the language model's weight, 0 or more.": 0 <= alpha < math.inf,
        f"beta = {beta}; give a finite bonus for each token.": math.isfinite(beta),
        f"cut = {cut}; give a probability below 1, 1e-4 say, or 0 for no cut.": 0 <= cut < 1,
        f"margin = {margin}; give a number of nats above 0, or inf.": margin > 0,
    }
    for message, is_valid in ranges.items():
        if not is_valid:
            raise ConfigError(message)
