"""Recordings, as log-mel bands."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from statistics import mode
from typing import Any, ClassVar, Self

import numpy as np

from recurra.config.input_config import InputConfig
from recurra.data.audio.log_mel import LogMel, LogMelStream
from recurra.data.audio.resampler import resample
from recurra.data.audio.sound import Sound, read_sound, sound_blocks, sound_facts, wav_bytes
from recurra.data.audio.sound_notes import clipping_note, rate_note, silence_note
from recurra.data.audio.sound_perturbation import SoundPerturbation, perturb
from recurra.data.transcripts.item import Item
from recurra.errors import DataError
from recurra.reports import Media
from recurra.tasks.inputs.input import Features, Generator, Input, masks_of
from recurra.tasks.inputs.long_recordings import LONGEST, cut

__all__ = ["SoundInput"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SoundInput(Input):
    """Recordings of any rate, as log-mel bands less the level of the sound so far."""

    kind: ClassVar[str] = "sound"
    unit: ClassVar[str] = "seconds"
    streams: ClassVar[bool] = True
    parts: ClassVar[Mapping[str, type]] = {"log_mel": LogMel, "perturbation": SoundPerturbation}

    log_mel: LogMel
    perturbation: SoundPerturbation

    @classmethod
    def of(cls, config: InputConfig, items: Sequence[Item]) -> Self:
        """With the most frequent rate of the recordings, unless the configuration has one."""
        rate = config.rate or _usual_rate(items)
        return cls(
            log_mel=LogMel(rate=rate, bands=config.bands, normalise="level"),
            perturbation=_perturbation(config),
            masks=masks_of(config, over_features=True),
        )

    @property
    def rate(self) -> int:
        """Samples a second of the features; others are resampled."""
        return self.log_mel.rate

    @property
    def step_seconds(self) -> float:
        """Seconds from band to band."""
        return self.log_mel.frame_seconds

    @property
    def size(self) -> int:
        """Mel bands."""
        return self.log_mel.bands

    def open(self, item: Item) -> Sound:
        """The samples, at the rate of the features."""
        rate = self.rate
        if item.data is None:
            assert item.path is not None
            return read_sound(item.path, rate, item.span)
        sound = item.data if isinstance(item.data, Sound) else Sound(_samples(item), rate)
        if item.span is not None:
            sound = sound.part(*item.span)
        return Sound(resample(sound.samples, sound.rate, rate), rate)

    def pieces(self, item: Item) -> Iterator[tuple[float, Sound]]:
        """The recording, or pieces of one that lasts longer than 40 seconds."""
        if item.data is None and item.path is not None and item.span is None:
            seconds = sound_facts(item.path).seconds
            if seconds is None or seconds > LONGEST:
                yield from cut(sound_blocks(item.path, self.rate), self.rate)
                return
        sound = self.open(item)
        if sound.seconds > LONGEST:
            yield from cut([sound.samples], self.rate)
        else:
            yield 0.0, sound

    def raw(self, content: Sound) -> Features:
        """Log-mel bands."""
        return self.log_mel.features(content.samples)

    def distorted(self, content: Sound, generator: Generator) -> Sound:
        """The recording faster, higher, noisier, in another room, by another microphone."""
        samples = perturb(content.samples, content.rate, self.perturbation, generator)
        return Sound(samples, content.rate)

    def media(self, content: Sound) -> Media:
        """The recording."""
        return Media("wav", wav_bytes(content), "the recording")

    def places(self, steps: Sequence[float], content: Sound | None = None) -> list[float]:
        """Seconds, at most those of the content."""
        end = math.inf if content is None else content.seconds
        return [min(step * self.step_seconds, end) for step in steps]

    def notes(self, item: Item, content: Sound) -> list[str]:
        """Another rate, clipping, and silence."""
        own = content.rate if item.path is None else sound_facts(item.path).rate
        notes = (
            rate_note(own, content.rate),
            clipping_note(content.samples),
            silence_note(content.samples),
        )
        return [note for note in notes if note]

    def stream(
        self, state: Mapping[str, Any] | None = None, *, rate: int | None = None
    ) -> LogMelStream:
        """Log-mel bands as samples come, at any rate."""
        return self.log_mel.stream(state, rate=rate)


_PERTURBATIONS = ("speed", "pitch", "room", "microphone", "noise")
_SIZED = ("speed", "pitch", "microphone")
"""Those whose strength changes how much they do, beside how often."""


def _samples(item: Item) -> np.ndarray[Any, np.dtype[np.float32]]:
    samples = np.asarray(item.data, np.float32)
    if samples.ndim != 1:
        raise DataError(
            f"{item.origin}: samples of shape {samples.shape}; give one channel (N,), or a Sound "
            "with its rate."
        )
    return samples


def _usual_rate(items: Sequence[Item]) -> int:
    """The most frequent rate of the recordings that can be read."""
    rates = []
    for item in items:
        with contextlib.suppress(DataError):
            if isinstance(item.data, Sound):
                rates.append(item.data.rate)
            elif item.path is not None:
                rates.append(sound_facts(item.path).rate)
    return mode(rates) if rates else 16_000


def _perturbation(config: InputConfig) -> SoundPerturbation:
    """The usual perturbation, each kind as strong as the configuration has it."""
    usual = SoundPerturbation()
    strengths = {name: getattr(config, name) for name in _PERTURBATIONS}
    chances = {
        f"{name}_probability": min(1.0, getattr(usual, f"{name}_probability") * strength)
        for name, strength in strengths.items()
    }
    sizes = {name: getattr(usual, name) * strengths[name] for name in _SIZED}
    return dataclasses.replace(usual, **chances, **sizes)
