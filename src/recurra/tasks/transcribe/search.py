"""The search for the likeliest text of a network's frames, with all that weighs in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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

__all__ = ["Search", "Weights", "search_for"]

BEAM = 16


Frames = np.ndarray[Any, Any]
"""What a network says of each step, log-probabilities (T, K)."""


class Weights(NamedTuple):
    """The hypotheses kept side by side (1: greedy), the weight of what usually follows what, and
    the bonus of each character, in nats.
    """

    beam: int = BEAM
    language: float = 0.0
    bonus: float = 0.0


class Pauses(NamedTuple):
    """What ends a stretch of frames: so many blank ones, once it has the least number."""

    blanks: int
    least: int

    def along(self, frames: Frames, held: Frames) -> Iterator[tuple[Frames, bool]]:
        """New frames (t, K) after those of the stretch so far: parts, and whether one ends it."""
        begun = len(held)
        run = _trailing(_is_blank(held[-self.blanks :]))
        first = 0
        for number, blank in enumerate(_is_blank(frames).tolist()):
            run = run + 1 if blank else 0
            if run >= self.blanks and begun + number + 1 - first >= self.least:
                yield frames[first : number + 1], True
                first, begun, run = number + 1, 0, 0
        yield frames[first:], False


def _is_blank(frames: Frames) -> Any:
    return frames[:, ctc.BLANK] > np.log(_SURE)


def _trailing(flags: Any) -> int:
    """How many at the end are true."""
    return int(np.logical_and.accumulate(flags[::-1]).sum())


_SURE = 0.95
"""The probability of the blank in a frame of a pause."""


class Search:
    """Finds the likeliest texts of CTC's frames, whole or as they come.

    With a beam of one and nothing else that weighs it takes the most likely path. Long sequences
    are searched in stretches between `pauses`, None where they never end.
    """

    def __init__(self, beam: CtcPrefixBeam | None, pauses: Pauses | None) -> None:
        self._beam, self.pauses = beam, pauses
        self._frames: list[Frames] = []

    def read(self, frames: Frames, n: int = 1) -> list[Hypothesis]:
        """The n likeliest readings of all frames (T, K), the best first, with places.

        Of a sequence of several stretches there is one reading alone.
        """
        found, first, last = [], 0, 0
        self.reset()
        for part, ends in self.stretches(frames, frames[:0]):
            last += len(part)
            if len(part):
                self.feed(part)
            if ends or last == len(frames):
                found.append((first, self.finish(n)))
                self.reset()
                first = last
        return found[0][1] if len(found) == 1 else [_joined(found)]

    def stretches(self, frames: Frames, held: Frames) -> Iterator[tuple[Frames, bool]]:
        """New frames after those of the stretch so far: parts, and whether one ends it."""
        return iter([(frames, False)]) if self.pauses is None else self.pauses.along(frames, held)

    def feed(self, frames: Frames) -> None:
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


def _joined(found: Sequence[tuple[int, Sequence[Hypothesis]]]) -> Hypothesis:
    """The best readings of stretches, each with its first frame, as one."""
    best = [(first, readings[0]) for first, readings in found]
    return Hypothesis(
        tuple(token for _, one in best for token in one.tokens),
        sum(one.score for _, one in best),
        sum(one.acoustic for _, one in best),
        sum(one.language for _, one in best),
        tuple((first + a, first + b) for first, one in best for a, b in one.spans),
        tuple(confidence for _, one in best for confidence in one.confidences),
    )


def search_for(
    alphabet: Alphabet,
    ngram: NGram | None,
    weights: Weights,
    how: Decoding,
    pauses: Pauses | None,
) -> Search:
    """The search that the weights of a run and the options given ask for.

    Raises ConfigError or DataError for a lexicon, phrases or a language model that don't fit.
    """
    scorers = _scorers(alphabet, ngram, weights, how)
    lexicon = None if how.lexicon is None else _lexicon(how.lexicon, alphabet)
    beam = how.beam or (max(weights.beam, BEAM) if scorers or lexicon else weights.beam)
    if beam == 1 and not scorers and lexicon is None:
        return Search(None, pauses)
    scorer = Combined(scorers) if scorers else None
    return Search(CtcPrefixBeam(beam, scorer=scorer, beta=weights.bonus, lexicon=lexicon), pauses)


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
