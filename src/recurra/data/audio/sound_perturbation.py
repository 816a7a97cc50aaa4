"""Recordings made different for training: speed, pitch, room, microphone, noise and level."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from recurra.data.audio.pitch import shift_pitch
from recurra.data.audio.resampler import Samples, resample
from recurra.errors import ConfigError

__all__ = [
    "SoundPerturbation",
    "add_noise",
    "perturb",
    "pink_noise",
    "room_response",
    "tinted",
]

Floats = np.ndarray[Any, np.dtype[np.float64]]

_PROBABILITY = "_probability"
_TINTS = 6
"""Frequencies at which the gain of a microphone is drawn."""
_BEND = 8.0
"""Half of the rate over the frequency at which the scale bends: 8 for 4 kHz, as mel has about 6."""


@dataclass(frozen=True)
class SoundPerturbation:
    """The probabilities and the limits of what `perturb` does; each is drawn uniformly.

    speed: the most that the factor of speed, which pitch and formants follow, differs from 1.
    pitch: the most semitones up or down. room_low, room_high: seconds until the echo has fallen
    by 60 dB. microphone: the most dB by which a band of frequencies is louder or softer (after
    Nam, Kim and Park 2022). noise_low, noise_high: dB of the recording above the noise. gain: the
    most dB up or down. Raises ConfigError for values that can't be.
    """

    speed_probability: float = 0.7
    speed: float = 0.12
    pitch_probability: float = 0.3
    pitch: float = 2.5
    room_probability: float = 0.2
    room_low: float = 0.05
    room_high: float = 0.4
    microphone_probability: float = 0.5
    microphone: float = 6.0
    noise_probability: float = 0.4
    noise_low: float = 8.0
    noise_high: float = 35.0
    gain_probability: float = 0.5
    gain: float = 8.0

    def __post_init__(self) -> None:
        for name in (field.name for field in fields(self) if field.name.endswith(_PROBABILITY)):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} = {getattr(self, name)}; a probability is 0 to 1.")
        allowed = {
            f"speed = {self.speed}; 0 to 0.5": 0 <= self.speed <= 0.5,
            f"pitch = {self.pitch}; 0 to 12 semitones": 0 <= self.pitch <= 12,
            f"room_low = {self.room_low} and room_high = {self.room_high}; 0 < low <= high <= 5 "
            "seconds": 0 < self.room_low <= self.room_high <= 5,
            f"microphone = {self.microphone}; 0 to 40 dB": 0 <= self.microphone <= 40,
            f"noise_low = {self.noise_low} and noise_high = {self.noise_high}; low <= high, in "
            "dB": self.noise_low <= self.noise_high,
            f"gain = {self.gain}; 0 to 40 dB": 0 <= self.gain <= 40,
        }
        for rule, holds in allowed.items():
            if not holds:
                raise ConfigError(f"The perturbation of sound has {rule}.")

    @classmethod
    def none(cls) -> "SoundPerturbation":
        """Leaves every recording as it is."""
        names = (field.name for field in fields(cls) if field.name.endswith(_PROBABILITY))
        return cls(**dict.fromkeys(names, 0.0))


def perturb(
    samples: Samples,
    rate: int,
    how: SoundPerturbation,
    generator: np.random.Generator,
    *,
    speech: Sequence[Samples] = (),
) -> Samples:
    """The recording (N,) made different; a change of speed changes its length.

    speech: other recordings at the same rate; where given, a third of the noise is one of them,
    and the rest white or pink. Samples may go beyond -1 to 1.
    """
    if not len(samples):
        return samples

    def happens(probability: float) -> bool:
        return bool(generator.random() < probability)

    if happens(how.speed_probability):
        samples = resample(samples, 1 + generator.uniform(-how.speed, how.speed), 1.0)
    if happens(how.pitch_probability):
        samples = shift_pitch(samples, rate, generator.uniform(-how.pitch, how.pitch))
    if happens(how.room_probability):
        seconds = generator.uniform(how.room_low, how.room_high)
        samples = _in_room(samples, room_response(rate, seconds, generator))
    if happens(how.microphone_probability):
        samples = tinted(samples, generator.uniform(-how.microphone, how.microphone, _TINTS))
    if happens(how.noise_probability):
        noise = _noise(len(samples), speech, generator)
        samples = add_noise(samples, noise, generator.uniform(how.noise_low, how.noise_high))
    if happens(how.gain_probability):
        samples = samples * np.float32(10 ** (generator.uniform(-how.gain, how.gain) / 20))
    return samples


def add_noise(samples: Samples, noise: Samples, decibels: float) -> Samples:
    """The recording (N,) and noise (N,), whose power is so many dB lower.

    Where either is silent the recording stays as it is.
    """
    power, unscaled = np.mean(np.square([samples, noise], dtype=np.float64), axis=1)
    if not power or not unscaled:
        return samples
    scale = np.sqrt(power / unscaled) * 10 ** (-decibels / 20)
    noisy: Samples = samples + (scale * noise).astype(np.float32)
    return noisy


def pink_noise(length: int, generator: np.random.Generator) -> Samples:
    """Noise (N,) whose power falls by half from octave to octave."""
    spectrum = np.fft.rfft(generator.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    spectrum[0] = 0
    pink: Samples = np.fft.irfft(spectrum, length).astype(np.float32)
    return pink


def room_response(rate: int, seconds: float, generator: np.random.Generator) -> Floats:
    """A room's response to a click: the click, then noise that falls by 60 dB in `seconds`.

    The echoes together have a tenth to the whole of the click's energy.
    """
    length = max(round(rate * seconds), 2)
    echo = generator.standard_normal(length) * 10 ** (-3 * np.arange(length) / length)
    echo[0] = 0
    echo *= np.sqrt(generator.uniform(0.1, 1.0) / np.square(echo).sum())
    echo[0] = 1
    return echo


def tinted(samples: Samples, gains: Floats) -> Samples:
    """The recording (N,) through a filter with these gains (K,), in dB, from 0 Hz to half the rate.

    They are at equal distances on a scale of frequencies that is linear at first and logarithmic
    later, as mel is; between them the gain in dB is linear. No frequency is delayed.
    """
    size = 1 << (2 * len(samples) - 1).bit_length()
    places = np.log1p(_BEND * np.linspace(0, 1, size // 2 + 1)) / np.log1p(_BEND)
    decibels = np.interp(places, np.linspace(0, 1, len(gains)), gains)
    spectrum = np.fft.rfft(samples, size) * 10 ** (decibels / 20)
    filtered: Samples = np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)
    return filtered


def _in_room(samples: Samples, response: Floats) -> Samples:
    """The recording in a room, as long and as loud as before."""
    size = 1 << (len(samples) + len(response) - 2).bit_length()
    product = np.fft.rfft(samples, size) * np.fft.rfft(response, size)
    sound = np.fft.irfft(product, size)[: len(samples)]
    before, after = np.square(samples, dtype=np.float64).sum(), np.square(sound).sum()
    scaled: Samples = (sound * np.sqrt(before / after if after else 1.0)).astype(np.float32)
    return scaled


def _noise(length: int, speech: Sequence[Samples], generator: np.random.Generator) -> Samples:
    kind = generator.integers(3 if len(speech) else 2)
    if kind == 0:
        return generator.standard_normal(length, dtype=np.float32)
    if kind == 1:
        return pink_noise(length, generator)
    other = speech[int(generator.integers(len(speech)))]
    if not len(other):
        return np.zeros(length, np.float32)
    return np.resize(np.roll(other, -int(generator.integers(len(other)))), length)
