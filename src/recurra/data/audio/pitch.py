"""Sound stretched in time without a change of pitch, and shifted in pitch without one of length."""

import math
from typing import Any

import numpy as np

from recurra.data.audio.resampler import Samples, resample

__all__ = ["shift_pitch", "stretch_time"]

Spectra = np.ndarray[Any, np.dtype[np.complex128]]
Floats = np.ndarray[Any, np.dtype[np.float64]]

_WINDOW_SECONDS = 0.032
_HOPS = 4
"""Hops of a window: with Hann windows at analysis and at synthesis their sum is even."""


def shift_pitch(samples: Samples, rate: int, semitones: float) -> Samples:
    """The sound (N,) at a higher or lower pitch, as long as before."""
    if not semitones or not len(samples):
        return samples
    factor = 2 ** (semitones / 12)
    shifted = resample(stretch_time(samples, rate, factor), factor, 1.0)
    return _of_length(shifted, len(samples))


def stretch_time(samples: Samples, rate: int, factor: float) -> Samples:
    """The sound (N,) longer by a factor, (N * factor,), at the same pitch; a phase vocoder.

    Laroche and Dolson 1999: magnitudes are interpolated between the spectra of two neighbouring
    windows; the phase of each peak goes on by as much per hop as it does in the recording, and the
    bins around a peak keep their phase against it.
    """
    window = _window_size(rate)
    hop = window // _HOPS
    spectra = _spectra(samples, window, hop)
    stretched = _overlapped(_at_positions(spectra, 1 / factor), window, hop)
    start = window // 2 + round(window // 2 * factor)
    return _of_length(stretched[start:], round(len(samples) * factor))


def _window_size(rate: int) -> int:
    return 1 << max(round(math.log2(rate * _WINDOW_SECONDS)), 4)


def _hann(window: int) -> Floats:
    periodic: Floats = np.hanning(window + 1)[:-1]
    return periodic


def _spectra(samples: Samples, window: int, hop: int) -> Spectra:
    """The spectra (K, window / 2 + 1) of windows at every hop, the first one before the sound."""
    padded = np.pad(samples.astype(np.float64), (window, window + 2 * hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    spectra: Spectra = np.fft.rfft(frames * _hann(window))
    return spectra


def _at_positions(spectra: Spectra, step: float) -> Spectra:
    """Spectra at every `step` of the given ones, with phases that continue from hop to hop."""
    phases, moved = np.angle(spectra), []
    phase = phases[0]
    for position in np.arange(0, len(spectra) - 1, step):
        before, share = int(position), position % 1
        magnitude = (1 - share) * np.abs(spectra[before]) + share * np.abs(spectra[before + 1])
        moved.append(magnitude * np.exp(1j * phase))
        phase = _continued(phase, phases[before], phases[before + 1], magnitude)
    return np.array(moved)


def _continued(phase: Floats, before: Floats, after: Floats, magnitude: Floats) -> Floats:
    """The phases of the next hop: of peaks by their advance, of all else as in the recording."""
    inner = magnitude[1:-1]
    peaks = 1 + np.flatnonzero((inner >= magnitude[:-2]) & (inner > magnitude[2:]))
    if not len(peaks):
        return phase + after - before
    borders = (peaks[1:] + peaks[:-1] + 1) // 2
    nearest = peaks[np.searchsorted(borders, np.arange(len(phase)), side="right")]
    turned: Floats = after + (phase - before)[nearest]
    return turned


def _overlapped(spectra: Spectra, window: int, hop: int) -> Samples:
    """The sound of spectra at every hop, from the start of the first window on."""
    frames = np.fft.irfft(spectra, window) * _hann(window)
    sound = np.zeros((len(frames) + _HOPS - 1) * hop)
    for part in range(_HOPS):  # the hops of one part don't overlap
        piece = frames[:, part * hop : (part + 1) * hop].ravel()
        sound[part * hop : part * hop + len(piece)] += piece
    even = (_hann(window) ** 2).sum() / hop
    samples: Samples = (sound / even).astype(np.float32)
    return samples


def _of_length(samples: Samples, length: int) -> Samples:
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))
