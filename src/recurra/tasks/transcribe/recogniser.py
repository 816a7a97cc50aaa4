"""The product of a training: networks, a model of characters, and how the two are weighed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from recurra.data.alphabet import Alphabet
from recurra.decoding.confidence import words
from recurra.decoding.hypothesis import Hypothesis
from recurra.metrics.reliability import ConfidenceCalibration
from recurra.metrics.transcription import error_rates, right_characters
from recurra.tasks.inputs import Input
from recurra.tasks.inputs.collection import Collection, Part
from recurra.tasks.transcribe.config import Decoding, TranscribeConfig
from recurra.tasks.transcribe.model import TranscribeNet
from recurra.tasks.transcribe.search import Pauses, Search, Weights, search_for
from recurra.tasks.transcribe.text_batches import padded
from recurra.tasks.transcribe.text_models import TextModels
from recurra.tasks.transcribe.transcript import TextSpan, Transcript

__all__ = ["Recogniser"]

_TUNED = {"ctc": 15_000, "transducer": 3_000}
"""Network steps of held-out items that weights are tried on: about half a minute."""

_LANGUAGE, _WORDS, _BONUS = (0.2, 0.4, 0.6, 0.9, 1.3), (0.0, 0.2, 0.5, 1.0), (0.0, 0.5, 1.0, 1.6)
_FUSED = (0.0, 0.1, 0.2, 0.4, 0.7)
"""The weights of the models of characters and words, the bonus of each character in nats, and the
weight of a language model that are tried."""


_PAUSE, _STRETCH, _LONGEST = 0.5, 8.0, 60.0
"""Seconds without a character that end a stretch, and seconds that a stretch has at least, and
about at most."""


class Reading(NamedTuple):
    """The likeliest readings of an item, the best first, and how many network steps it took."""

    hypotheses: Sequence[Hypothesis]
    steps: int

    @property
    def best(self) -> Hypothesis:
        """The likeliest one."""
        return self.hypotheses[0]


@dataclasses.dataclass(frozen=True, eq=False)
class Recogniser:
    """Reads contents of a kind of input: by its networks, and by what usually follows what.

    `texts` are the models of what follows what; `weights` are those of the search, and
    `calibration` that of confidences, both chosen on the held-out items.
    """

    config: TranscribeConfig
    input: Input
    alphabet: Alphabet
    nets: Sequence[TranscribeNet]
    texts: TextModels = dataclasses.field(default_factory=TextModels)
    weights: Weights = dataclasses.field(default_factory=Weights)
    calibration: ConfidenceCalibration = dataclasses.field(default_factory=ConfidenceCalibration)

    @classmethod
    def completed(
        cls,
        config: TranscribeConfig,
        how: Input,
        alphabet: Alphabet,
        models: Sequence[nn.Module],
        data: Collection,
    ) -> Recogniser:
        """Train the models of texts; choose weights and calibrate on the held-out items."""
        texts = TextModels.trained(config, alphabet, data.train.texts)
        made = cls(config, how, alphabet, _nets(models), texts)
        if not len(data.held_out):
            return made
        frames, actual = made._some(data.held_out)
        return made._weighed(frames, actual)._calibrated(frames, actual)

    def to_parts(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Tensors and JSON that `from_parts` reads."""
        tensors, facts = self.texts.to_parts()
        facts["weights"] = self.weights._asdict()
        facts["calibration"] = dataclasses.asdict(self.calibration)
        return tensors, facts

    @classmethod
    def from_parts(
        cls,
        config: TranscribeConfig,
        how: Input,
        alphabet: Alphabet,
        models: Sequence[nn.Module],
        tensors: Mapping[str, Tensor],
        facts: Mapping[str, Any],
    ) -> Recogniser:
        """The recogniser that `to_parts` took apart; of an unfinished run, a plain one."""
        if not facts:
            return cls(config, how, alphabet, _nets(models))
        texts = TextModels.from_parts(config, tensors, facts)
        return cls(
            config,
            how,
            alphabet,
            _nets(models),
            texts,
            Weights(**facts["weights"]),
            ConfidenceCalibration(**facts["calibration"]),
        )

    def frames(self, part: Part) -> Iterator[Tensor]:
        """What the search reads of each item (T', K), in order, the networks' mean."""
        size = self.config.reading_batch
        for first in range(0, len(part), size):
            numbers = range(first, min(first + size, len(part)))
            yield from self.frames_of([part.contents[number] for number in numbers])

    @torch.inference_mode()
    def frames_of(self, contents: Sequence[Any]) -> list[Tensor]:
        """What the search reads of each content (T', K)."""
        features = [self.input.features(content) for content in contents]
        batch = padded(features, [np.zeros(0, np.int64)] * len(features))
        found = [net(batch.features, batch.lengths) for net in self.nets]
        mean = torch.stack([frames for frames, _ in found]).mean(0)
        lengths = found[0][1].tolist()
        return [mean[:length, row] for row, length in enumerate(lengths)]

    def _some(self, part: Part) -> tuple[list[Tensor], list[str]]:
        """Frames and texts of items spread over the part, of about so many steps in all."""
        most, steps = _TUNED[self.config.model], sum(part.steps) / self.subsampling
        stride = max(1, math.ceil(steps / most))
        numbers = range(0, len(part), stride)
        some = [frames for n in numbers for frames in self.frames_of([part.contents[n]])]
        return some, [part.texts[n] for n in numbers]

    def read(self, part: Part, how: Decoding, nbest: int = 1) -> list[Reading]:
        """The readings of each item."""
        search = self.search(how)
        return [self.reading(search, frames, nbest) for frames in self.frames(part)]

    def reading(self, search: Search, frames: Tensor, nbest: int = 1) -> Reading:
        """The readings of what `frames_of` gave."""
        return Reading(search.read(frames, nbest), len(frames))

    def search(self, how: Decoding) -> Search:
        """The search for the likeliest text, with everything that weighs in it."""
        return search_for(self.nets[0], self.alphabet, self.texts, self.weights, how, self._pauses)

    def text(self, hypothesis: Hypothesis) -> str:
        """The text of a hypothesis."""
        return self.alphabet.decode(hypothesis.tokens)

    def confidences(self, hypothesis: Hypothesis) -> list[float]:
        """The calibrated probability of each character."""
        return self.calibration.apply(hypothesis.confidences).tolist() if hypothesis.tokens else []

    def transcript(self, name: str, content: Any, reading: Reading) -> Transcript:
        """The text of a reading with places, confidences and the other readings."""
        best = reading.best
        best = dataclasses.replace(best, confidences=tuple(self.confidences(best)))
        found = words(best, self._space) if best.spans else []
        return Transcript(
            self.text(best),
            name,
            self._spans([(w.tokens, w.span, w.confidence) for w in found], content),
            self.characters(best, content),
            tuple((self.text(each), each.score) for each in reading.hypotheses),
            math.prod(best.confidences) ** (1 / max(1, len(best.tokens))),
            self.input.unit,  # type: ignore[arg-type]
            self.input.places([reading.steps * self.subsampling], content)[0],
        )

    @property
    def _pauses(self) -> Pauses | None:
        """Half a second of blanks, in a stretch of eight seconds; any blank after a minute."""
        seconds = self.input.step_seconds
        if seconds is None or self.config.model != "ctc":
            return None
        a_second = 1 / (seconds * self.subsampling)
        return Pauses(*(round(length * a_second) for length in (_PAUSE, _STRETCH, _LONGEST)))

    @property
    def subsampling(self) -> int:
        """Feature steps that are one step of the networks."""
        return self.nets[0].front.subsampling

    @property
    def _space(self) -> int | None:
        characters = self.alphabet.characters
        return characters.index(" ") + 1 if " " in characters else None

    def characters(
        self, best: Hypothesis, content: Any = None, first: int = 0
    ) -> tuple[TextSpan, ...]:
        """Each character of a reading with its place; `first` steps of the network came before."""
        parts = zip(best.tokens, best.spans, best.confidences, strict=True)
        found = [((t,), (first + a, first + b), c) for t, (a, b), c in parts]
        return self._spans(found, content)

    def _spans(
        self, found: Sequence[tuple[Sequence[int], tuple[int, int], float]], content: Any
    ) -> tuple[TextSpan, ...]:
        size = self.subsampling
        places = [frame for _, (first, last), _ in found for frame in (first, last + 1)]
        times = self.input.places([place * size for place in places], content)
        return tuple(
            TextSpan(self.alphabet.decode(tokens), times[2 * n], times[2 * n + 1], confidence)
            for n, (tokens, _, confidence) in enumerate(found)
        )

    def _weighed(self, frames: Sequence[Tensor], texts: Sequence[str]) -> Recogniser:
        """With the weights of the fewest wrong characters: greedy, unless a search is better."""
        greedy = dataclasses.replace(self, weights=Weights(beam=1))
        best, fewest = greedy, greedy._errors(frames, texts)
        plain = dataclasses.replace(self, weights=Weights())
        if (errors := plain._errors(frames, texts)) < fewest:
            best, fewest = plain, errors
        if self.texts == TextModels():
            return best
        chosen = Weights(language=_LANGUAGE[1], bonus=_BONUS[1])
        for name, values in self._trials():
            tried = [Weights(**{**chosen._asdict(), name: value}) for value in values]
            counts = [self._errors_with(weights, frames, texts) for weights in tried]
            chosen = tried[int(np.argmin(counts))]
            if min(counts) < fewest:
                best, fewest = dataclasses.replace(self, weights=chosen), min(counts)
        return best

    def _trials(self) -> list[tuple[str, Sequence[float]]]:
        """The weights that are tried in turn, with the values of each."""
        characters = [] if self.texts.characters is None else [("language", _LANGUAGE)]
        words = [] if self.texts.words is None else [("words", _WORDS)]
        last = [] if self.texts.run is None else [("fused", _FUSED), *characters]
        return [*characters, *words, ("bonus", _BONUS), *characters, *last]

    def _errors_with(self, weights: Weights, frames: Sequence[Tensor], texts: Sequence[str]) -> int:
        return dataclasses.replace(self, weights=weights)._errors(frames, texts)

    def _errors(self, frames: Sequence[Tensor], texts: Sequence[str]) -> int:
        """Wrong characters of as many texts as there are frames."""
        search = self.search(Decoding())
        written = [self.text(self.reading(search, each).best) for each in frames]
        return error_rates(texts[: len(written)], written).characters.errors

    def _calibrated(self, frames: Sequence[Tensor], texts: Sequence[str]) -> Recogniser:
        search = self.search(Decoding())
        confidences: list[float] = []
        right: list[bool] = []
        for each, text in zip(frames, texts, strict=False):
            best = self.reading(search, each).best
            confidences += best.confidences
            right += right_characters(text, self.text(best))
        if not confidences:
            return self
        return dataclasses.replace(self, calibration=ConfidenceCalibration.fit(confidences, right))


def _nets(models: Sequence[nn.Module]) -> tuple[TranscribeNet, ...]:
    assert all(isinstance(model, TranscribeNet) for model in models)
    return tuple(models)  # type: ignore[arg-type]
