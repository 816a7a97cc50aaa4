"""Prefix beam search on the outputs of connectionist temporal classification.

A hypothesis is a prefix, of which the search keeps the summed probability of all paths so far that
read as it: one sum of those that end in a blank and one of those that end in its last token
(Graves 2012, "Sequence transduction"; Hannun et al. 2014, "First-pass large vocabulary continuous
speech recognition"). Paths with the same reading are always merged, so that without pruning each
score is exact.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from recurra.decoding.confidence import token_confidences
from recurra.decoding.ctc import BLANK, Matrix, align, checked, log_likelihood
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.lexicon import Lexicon
from recurra.decoding.prefix_tree import Prefix, forget_others
from recurra.decoding.scoring import Scorer, combined
from recurra.errors import ConfigError, DataError

__all__ = ["CtcPrefixBeam"]

_SWEEP = 512
"""Frames between two sweeps of prefixes that no hypothesis needs any more."""


class CtcPrefixBeam:
    """Searches frames as they come; how they are cut into chunks changes no bit of the result.

    Hypotheses are ranked by acoustic + `alpha` * language + `beta` * number of tokens. Ties go to
    the prefix that ranked higher before, then to the shorter one, then to the lower token.

    Args:
        beam: the prefixes kept after each frame.
        scorer: a language model or a sum of several.
        alpha: its weight.
        beta: the bonus for each token, which offsets what a language model takes for it.
        lexicon: the words that may come out; hypotheses end with a whole word.
        cut: a token with a lower probability in a frame doesn't extend prefixes there (the last
            token of a prefix may go on whatever its probability); 0: every token may.
        margin: prefixes this far below the best one, in nats, are dropped.

    Raises:
        ConfigError: a setting out of range.

    Example:
        >>> frames = np.log([[0.6, 0.4], [0.6, 0.4]])
        >>> beam = CtcPrefixBeam()
        >>> beam.feed(frames)
        >>> best = beam.finish()[0]
        >>> best.tokens, round(float(np.exp(best.score)), 2)
        ((1,), 0.64)
    """

    def __init__(
        self,
        beam: int = 16,
        *,
        scorer: Scorer | None = None,
        alpha: float = 1.0,
        beta: float = 0.0,
        lexicon: Lexicon | None = None,
        cut: float = 1e-4,
        margin: float = 20.0,
    ) -> None:
        _check(beam, alpha, beta, cut, margin)
        self._beam, self._alpha, self._beta, self._margin = beam, alpha, beta, margin
        self._scorer = scorer if alpha else None
        self._lexicon = lexicon
        with np.errstate(divide="ignore"):
            self._cut = float(np.log(cut))
        self.reset()

    def reset(self) -> None:
        """Begins a new sequence; all frames so far are forgotten."""
        language = self._scorer.start() if self._scorer else None
        words = self._lexicon.start() if self._lexicon else None
        self._hold([Prefix(None, BLANK, 0, 0.0, 0.0, language, words)])
        self._blank, self._label = np.zeros(1), np.full(1, -np.inf)
        self._chunks: list[Matrix] = []
        self._frames = 0

    def feed(self, log_probs: ArrayLike) -> None:
        """Takes the next frames, (T, K).

        Raises:
            DataError: what `checked` refuses, another K than before, or frames after which no
                hypothesis of the beam has a probability.
        """
        frames = checked(log_probs)
        if self._chunks and self._chunks[0].shape[1] != frames.shape[1]:
            before = self._chunks[0].shape[1]
            raise DataError(f"Frames of {frames.shape[1]} tokens follow frames of {before}.")
        for row in frames:
            self._step(row)
        if len(frames):
            self._chunks.append(frames.copy())

    def best(self, times: bool = False) -> Hypothesis:
        """The best hypothesis so far, taken as unfinished; with spans and confidences if asked."""
        scores = self._acoustic() + self._worth
        at = int(scores.argmax())
        found = self._prefixes[at]
        acoustic = float(self._acoustic()[at])
        tokens = found.tokens()
        score = float(scores[at])
        return self._hypothesis(tokens, score, acoustic, found.language, times, ended=False)

    def finish(self, n: int = 1, times: bool = True) -> list[Hypothesis]:
        """The n best hypotheses of the whole sequence, at least one, best first.

        They are scored with the end of the text. Where a lexicon leaves no whole text, the last
        word that isn't complete is dropped from each prefix, and the rest scored exactly. Spans are
        those of the most likely path, confidences those of `token_confidences`.
        """
        acoustic = self._acoustic()
        ranked = [
            (prefix.tokens(), float(acoustic[i]), self._ended(prefix))
            for i, prefix in enumerate(self._prefixes)
            if self._is_whole(prefix)
        ]
        ranked = ranked or self._cut_back()
        scored = [(self._total(tokens, a, end), tokens, a, end) for tokens, a, end in ranked]
        scored.sort(key=lambda each: (-each[0], len(each[1]), each[1]))
        return [self._hypothesis(tokens, s, a, end, times) for s, tokens, a, end in scored[:n]]

    def _step(self, row: Any) -> None:
        """One frame: every prefix stays or grows by a token, and the best are kept."""
        total = self._acoustic()
        stay_blank = total + row[BLANK]
        stay_label = self._label + row[self._last]
        tokens = np.flatnonzero(row >= self._cut)
        tokens = tokens[tokens != BLANK]
        grown = np.where(self._last[:, None] == tokens, self._blank[:, None], total[:, None])
        grown = grown + row[tokens]
        self._merge(stay_label, grown, tokens)
        worth = self._worth[:, None] + self._gains(tokens)
        stays = np.logaddexp(stay_blank, stay_label) + self._worth
        chosen = self._select(np.concatenate([stays, (grown + worth).ravel()]))
        self._keep(chosen, stay_blank, stay_label, grown, tokens)
        self._frames += 1
        if self._frames % _SWEEP == 0:
            forget_others(self._prefixes)

    def _merge(self, stay_label: Matrix, grown: Matrix, tokens: Any) -> None:
        """Moves the mass of what grows into a prefix that the beam has to that prefix."""
        columns = {int(token): i for i, token in enumerate(tokens)}
        places = {id(prefix): i for i, prefix in enumerate(self._prefixes)}
        for i, prefix in enumerate(self._prefixes):
            above, column = places.get(id(prefix.parent)), columns.get(prefix.token)
            if above is not None and column is not None:
                stay_label[i] = np.logaddexp(stay_label[i], grown[above, column])
                grown[above, column] = -np.inf

    def _gains(self, tokens: Any) -> Matrix:
        """What each token adds to each prefix beside the acoustic score, (prefixes, tokens)."""
        gains = np.full((len(self._prefixes), len(tokens)), self._beta)
        self._language = np.zeros_like(gains)
        if self._scorer and len(tokens):
            states = [prefix.state for prefix in self._prefixes]
            self._language = self._scorer.score_many(states, tokens)
            gains += self._alpha * self._language
        if self._lexicon and len(tokens):
            gains += self._lexicon.score_many([p.word_state for p in self._prefixes], tokens)
        return gains

    def _select(self, scores: Any) -> list[int]:
        order = np.argsort(-scores, kind="stable")[: self._beam]
        ranked = scores[order]
        if ranked[0] == -np.inf:
            raise DataError(
                f"After frame {self._frames} no hypothesis is left: all have -inf. Lower `cut`, "
                f"take a larger beam, or look at the model's probabilities."
            )
        chosen: list[int] = order[
            (ranked >= ranked[0] - self._margin) & (ranked > -np.inf)
        ].tolist()
        return chosen

    def _keep(
        self, chosen: list[int], stay_blank: Any, stay_label: Any, grown: Any, tokens: Any
    ) -> None:
        count, width = len(self._prefixes), len(tokens)
        prefixes, blank, label = [], [], []
        for place in chosen:
            if place < count:
                prefixes.append(self._prefixes[place])
                blank.append(stay_blank[place])
                label.append(stay_label[place])
            else:
                i, j = divmod(place - count, width)
                prefixes.append(self._grow(self._prefixes[i], int(tokens[j]), self._language[i, j]))
                blank.append(-np.inf)
                label.append(grown[i, j])
        self._blank, self._label = np.array(blank), np.array(label)
        self._hold(prefixes)

    def _grow(self, prefix: Prefix, token: int, gain: float) -> Prefix:
        child = prefix.children.get(token)
        if child is None:
            state = self._scorer.score(prefix.state, token)[1] if self._scorer else None
            words = self._lexicon.score(prefix.word_state, token)[1] if self._lexicon else None
            language = prefix.language + float(gain)
            worth = prefix.worth + self._alpha * float(gain) + self._beta
            child = Prefix(prefix, token, prefix.length + 1, language, worth, state, words)
            prefix.children[token] = child
        return child

    def _hold(self, prefixes: list[Prefix]) -> None:
        self._prefixes = prefixes
        self._last = np.array([prefix.token for prefix in prefixes])
        self._worth = np.array([prefix.worth for prefix in prefixes])

    def _acoustic(self) -> Any:
        return np.logaddexp(self._blank, self._label)

    def _is_whole(self, prefix: Prefix) -> bool:
        return self._lexicon is None or self._lexicon.finish(prefix.word_state) == 0

    def _ended(self, prefix: Prefix) -> float:
        """The language model's score of a prefix as a whole text."""
        return prefix.language + (self._scorer.finish(prefix.state) if self._scorer else 0.0)

    def _total(self, tokens: Sequence[int], acoustic: float, language: float) -> float:
        fused = self._alpha * language if self._scorer else 0.0
        return acoustic + fused + self._beta * len(tokens)

    def _cut_back(self) -> list[tuple[tuple[int, ...], float, float]]:
        """For each prefix the longest beginning that is a whole text, with its exact likelihood."""
        whole: dict[int, Prefix] = {}
        for prefix in self._prefixes:
            while not self._is_whole(prefix) and prefix.parent is not None:
                prefix = prefix.parent
            whole[id(prefix)] = prefix
        found = [(prefix.tokens(), prefix) for prefix in whole.values()]
        frames = self._all()
        return [(t, log_likelihood(frames, t), self._ended(prefix)) for t, prefix in found]

    def _all(self) -> Matrix:
        if not self._chunks:
            return np.zeros((0, 1))
        self._chunks = [np.concatenate(self._chunks)]
        return self._chunks[0]

    def _hypothesis(
        self,
        tokens: tuple[int, ...],
        score: float,
        acoustic: float,
        language: float,
        times: bool,
        ended: bool = True,
    ) -> Hypothesis:
        frames = self._all()
        spans = (align(frames, tokens) or ()) if times else ()
        judge = combined((self._scorer, self._alpha), (self._lexicon, 1.0))
        confidences = (
            token_confidences(frames, tokens, spans, scorer=judge, beta=self._beta, ended=ended)
            if spans
            else ()
        )
        return Hypothesis(tokens, score, acoustic, language, spans, confidences)


def _check(beam: int, alpha: float, beta: float, cut: float, margin: float) -> None:
    if beam < 1:
        raise ConfigError(f"beam = {beam}; give 1 or more prefixes to keep, 16 say.")
    if not 0 <= alpha < np.inf:
        raise ConfigError(f"alpha = {alpha}; give the language model's weight, 0 or more.")
    if not -np.inf < beta < np.inf:
        raise ConfigError(f"beta = {beta}; give a finite bonus for each token.")
    if not 0 <= cut < 1:
        raise ConfigError(f"cut = {cut}; give a probability below 1, 1e-4 say, or 0 for no cut.")
    if not margin > 0:
        raise ConfigError(f"margin = {margin}; give a number of nats above 0, or inf.")
