"""The search for the likeliest text of a network's frames, with all that weighs in it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from recurra.data.alphabet import Alphabet
from recurra.decoding import ctc
from recurra.decoding.ctc_beam import CtcPrefixBeam
from recurra.decoding.flashlight import FlashlightBeam
from recurra.decoding.hypothesis import Hypothesis
from recurra.decoding.scoring import Combined, NGramScorer, Scorer
from recurra.decoding.transducer import TransducerGreedy
from recurra.decoding.transducer_beam import TransducerBeam
from recurra.decoding.word_scoring import Boost, WordScorer
from recurra.errors import ConfigError
from recurra.tasks.transcribe.config import Decoding
from recurra.tasks.transcribe.fusion import language_scorer
from recurra.tasks.transcribe.model import TranscribeNet
from recurra.tasks.transcribe.text_models import TextModels
from recurra.tasks.transcribe.word_list import lexicon_of

__all__ = ["Pauses", "Search", "Weights", "greedy_decoder", "search_for"]

BEAM = 16


Frames = Tensor
"""What a network says of each step (T, size): CTC's log-probabilities, a transducer's outputs."""


class Weights(NamedTuple):
    """The hypotheses kept side by side (1: greedy), the weights of the models of characters and of
    words, the bonus of each character, in nats, and the weight of a run of a language model.
    """

    beam: int = BEAM
    language: float = 0.0
    bonus: float = 0.0
    words: float = 0.0
    fused: float = 0.0


class Pauses(NamedTuple):
    """What ends a stretch of frames: `blanks` sure blanks in a row, once it has the `least` frames,
    or the first blank once it has the `most`.
    """

    blanks: int
    least: int
    most: int

    def along(self, frames: Frames, held: Frames) -> Iterator[tuple[Frames, bool]]:
        """New frames (t, K) after those of the stretch so far: parts, and whether one ends it."""
        begun = len(held)
        run = _trailing(_is_blank(held[-self.blanks :]))
        first = 0
        for number, blank in enumerate(_is_blank(frames).tolist()):
            run = run + 1 if blank else 0
            length = begun + number + 1 - first
            if (run >= self.blanks and length >= self.least) or (run and length >= self.most):
                yield frames[first : number + 1], True
                first, begun, run = number + 1, 0, 0
        yield frames[first:], False


def _is_blank(frames: Frames) -> Any:
    return (frames[:, ctc.BLANK] > math.log(_SURE)).numpy()


def _trailing(flags: Any) -> int:
    """How many at the end are true."""
    return int(np.logical_and.accumulate(flags[::-1]).sum())


_SURE = 0.95
"""The probability of the blank in a frame of a pause."""


class FrameDecoder(Protocol):
    """A search of frames as they come, of CTC or of a transducer."""

    def reset(self) -> None: ...

    def feed(self, frames: Any) -> None: ...

    def best(self, times: bool = False) -> Hypothesis: ...

    def finish(self, n: int = 1, times: bool = True) -> list[Hypothesis]: ...


class LikeliestPath:
    """The decoder that takes CTC's most likely token in each frame."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin a new sequence."""
        self._parts: list[Frames] = []

    def feed(self, frames: Frames) -> None:
        """Take the next frames (t, K)."""
        self._parts.append(frames)

    def best(self, times: bool = False) -> Hypothesis:
        """The reading of the frames so far."""
        if not self._parts:
            return Hypothesis((), 0.0, 0.0)
        self._parts = [torch.cat(self._parts)]
        return ctc.greedy(self._parts[0].numpy())

    def finish(self, n: int = 1, times: bool = True) -> list[Hypothesis]:
        """That reading alone, whatever n."""
        return [self.best()]


class Search:
    """Finds the likeliest texts of frames, whole or as they come.

    Long sequences are searched in stretches between `pauses`, None where they never end.
    """

    def __init__(self, decoder: FrameDecoder, pauses: Pauses | None = None) -> None:
        self.decoder: FrameDecoder = decoder
        self.pauses: Pauses | None = pauses

    def read(self, frames: Frames, n: int = 1) -> list[Hypothesis]:
        """The n likeliest readings of all frames (T, K), the best first, with places.

        Of a sequence of several stretches there is one reading alone.
        """
        found, first, last = [], 0, 0
        self.decoder.reset()
        for part, ends in self.stretches(frames, frames[:0]):
            last += len(part)
            if len(part):
                self.decoder.feed(part)
            if ends or last == len(frames):
                found.append((first, self.decoder.finish(n)))
                self.decoder.reset()
                first = last
        return found[0][1] if len(found) == 1 else [_joined(found)]

    def stretches(self, frames: Frames, held: Frames) -> Iterator[tuple[Frames, bool]]:
        """New frames after those of the stretch so far: parts, and whether one ends it."""
        return iter([(frames, False)]) if self.pauses is None else self.pauses.along(frames, held)


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
    net: TranscribeNet,
    alphabet: Alphabet,
    models: TextModels,
    weights: Weights,
    how: Decoding,
    pauses: Pauses | None,
) -> Search:
    """The search that the weights of a run and the options given ask for.

    Raises ConfigError or DataError for a lexicon, phrases or a language model that don't fit.
    """
    scorers = _scorers(alphabet, models, weights, how)
    if how.lexicon is not None and net.transducer is not None:
        scorers.append((lexicon_of(how.lexicon, alphabet), 1.0))
    weighs = bool(scorers) or how.lexicon is not None
    beam = how.beam or (max(weights.beam, BEAM) if weighs else weights.beam)
    own = how.decoder == "recurra"
    if beam == 1 and not weighs and own:
        return Search(greedy_decoder(net), pauses)
    scorer = Combined(scorers) if scorers else None
    if net.transducer is not None:
        if not own:
            raise ConfigError(
                f"decoder = {how.decoder!r} searches the outputs of CTC, and this model is a "
                "transducer; leave it out."
            )
        predict, join = net.transducer.predict, net.transducer.join
        return Search(
            TransducerBeam(predict, join, beam=beam, scorer=scorer, beta=weights.bonus), None
        )
    lexicon = None if how.lexicon is None else lexicon_of(how.lexicon, alphabet)
    kind = CtcPrefixBeam if own else FlashlightBeam
    return Search(kind(beam, scorer=scorer, beta=weights.bonus, lexicon=lexicon), pauses)


def greedy_decoder(net: TranscribeNet) -> FrameDecoder:
    """The decoder that takes the most likely token each time."""
    if net.transducer is None:
        return LikeliestPath()
    return TransducerGreedy(net.transducer.predict, net.transducer.join)


def _scorers(
    alphabet: Alphabet, models: TextModels, weights: Weights, how: Decoding
) -> list[tuple[Scorer, float]]:
    scorers: list[tuple[Scorer, float]] = []
    if models.characters is not None and how.ngram and weights.language:
        scorers.append((NGramScorer(models.characters, alphabet.characters), weights.language))
    if models.words is not None and how.ngram and weights.words:
        scorers.append((WordScorer(models.words, alphabet.characters), weights.words))
    run, weight = _language(models, weights, how)
    if run is not None and weight:
        scorers.append((language_scorer(run, alphabet), weight))
    if phrases := [phrase.strip() for phrase in how.boost.split(",") if phrase.strip()]:
        scorers.append((Boost(phrases, how.boost_weight, alphabet.characters), 1.0))
    return scorers


def _language(models: TextModels, weights: Weights, how: Decoding) -> tuple[str | None, float]:
    """The run of a language model that counts, and how much."""
    run = how.language or models.run
    if run is None and how.language_weight is not None:
        raise ConfigError(
            f"language_weight = {how.language_weight} without language: it would weigh nothing; "
            "give language as well, or leave language_weight out."
        )
    if how.language_weight is not None:
        return run, how.language_weight
    return run, _UNCHOSEN if how.language is not None else weights.fused


_UNCHOSEN = 0.3
"""The weight of a language model that no held-out items were decoded with."""
