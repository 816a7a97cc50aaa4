"""The search for the likeliest text of a network's frames, with all that weighs in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from recurra.data.alphabet import Alphabet
from recurra.data.text import read_text
from recurra.decoding import ctc
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.lexicon import Lexicon
from recurra.decoding.ngram import NGram
from recurra.decoding.scoring import Combined, NGramScorer, Scorer
from recurra.decoding.word_scoring import Boost
from recurra.tasks.transcribe.config import Decoding
from recurra.tasks.transcribe.fusion import language_scorer
from recurra.tasks.transcribe.model import TranscribeNet

__all__ = ["Search", "Weights", "search_for"]

BEAM = 16


class Weights(NamedTuple):
    """The hypotheses kept side by side (1: greedy), the weight of what usually follows what, and
    the bonus of each character, in nats.
    """

    beam: int = BEAM
    language: float = 0.0
    bonus: float = 0.0


class Search:
    """Finds the likeliest texts of CTC's frames, whole or as they come.

    With a beam of one and nothing else that weighs it takes the most likely path.
    """

    def __init__(self, beam: CtcPrefixBeam | None) -> None:
        self._beam = beam
        self._frames: list[np.ndarray[Any, Any]] = []

    def read(self, frames: np.ndarray[Any, Any], n: int = 1) -> list[Hypothesis]:
        """The n likeliest readings of all frames (T, K), the best first, with places."""
        self.reset()
        self.feed(frames)
        found = self.finish(n)
        self.reset()
        return found

    def feed(self, frames: np.ndarray[Any, Any]) -> None:
        """Take the next frames (t, K)."""
        if self._beam is None:
            self._frames.append(frames)
        else:
            self._beam.feed(frames)

    def best(self) -> Hypothesis:
        """The best reading of the frames since `reset`, without places."""
        return self.finish()[0] if self._beam is None else self._beam.best()

    def finish(self, n: int = 1) -> list[Hypothesis]:
        """The n likeliest readings of the frames since `reset`, with places."""
        if self._beam is not None:
            return self._beam.finish(n)
        if not self._frames:
            return [Hypothesis((), 0.0, 0.0)]
        self._frames = [np.concatenate(self._frames)]
        return [ctc.greedy(self._frames[0])]

    def reset(self) -> None:
        """Begin a new sequence."""
        self._frames = []
        if self._beam is not None:
            self._beam.reset()


def search_for(
    nets: Sequence[TranscribeNet],
    alphabet: Alphabet,
    ngram: NGram | None,
    weights: Weights,
    how: Decoding,
) -> Search:
    """The search that the weights of a run and the options given ask for.

    Raises ConfigError or DataError for a lexicon, phrases or a language model that don't fit.
    """
    scorers = _scorers(alphabet, ngram, weights, how)
    lexicon = None if how.lexicon is None else _lexicon(how.lexicon, alphabet)
    beam = how.beam or (max(weights.beam, BEAM) if scorers or lexicon else weights.beam)
    if beam == 1 and not scorers and lexicon is None:
        return Search(None)
    scorer = Combined(scorers) if scorers else None
    return Search(CtcPrefixBeam(beam, scorer=scorer, beta=weights.bonus, lexicon=lexicon))


def _scorers(
    alphabet: Alphabet, ngram: NGram | None, weights: Weights, how: Decoding
) -> list[tuple[Scorer, float]]:
    scorers: list[tuple[Scorer, float]] = []
    if ngram is not None and how.ngram and weights.language:
        scorers.append((NGramScorer(ngram, alphabet.characters), weights.language))
    if how.language is not None:
        scorers.append((language_scorer(how.language, alphabet), how.language_weight))
    if phrases := [phrase.strip() for phrase in how.boost.split(",") if phrase.strip()]:
        scorers.append((Boost(phrases, how.boost_weight, alphabet.characters), 1.0))
    return scorers


def _lexicon(path: str, alphabet: Alphabet) -> Lexicon:
    words = read_text([path]).content.split()
    marks = "".join(each for each in alphabet.characters if each in _BEFORE + _AFTER)
    before = "".join(each for each in marks if each in _BEFORE)
    after = "".join(each for each in marks if each in _AFTER)
    return Lexicon(words, alphabet.characters, ignore_case=True, before=before, after=after)


_BEFORE, _AFTER = "\"'([«“‘", "\"')]»”’.,;:!?…"
"""Marks that may stand before and after a word of a lexicon."""
