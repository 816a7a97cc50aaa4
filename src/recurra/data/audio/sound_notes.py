"""Sentences about sound that can be read, and may well be recognised badly; None: all is well."""

import numpy as np

from recurra.data.audio.resampler import Samples

__all__ = ["clipping_note", "rate_note", "silence_note"]

_FULL_SCALE = 0.999
_CLIPPED_SHARE = 1e-3
"""A recording normalised to full scale has one such sample or a few; a clipped one has many."""
_SILENCE_DB = -60.0


def clipping_note(samples: Samples) -> str | None:
    """A sentence where more than a thousandth of the samples (N,) are at full scale.

    >>> clipping_note(np.sin(np.arange(1000, dtype=np.float32)))
    'The recording is clipped: 2.7 % of its samples are at full scale. Record it at a lower level.'
    """
    share = float((np.abs(samples) >= _FULL_SCALE).mean()) if len(samples) else 0.0
    if share <= _CLIPPED_SHARE:
        return None
    return (
        f"The recording is clipped: {100 * share:.1f} % of its samples are at full scale. Record "
        "it at a lower level."
    )


def silence_note(samples: Samples) -> str | None:
    """A sentence where no sample (N,) is above -60 dB of full scale."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak > 10 ** (_SILENCE_DB / 20):
        return None
    level = f"{20 * np.log10(peak):.0f} dB" if peak else "zero"
    return (
        f"The recording is silent: its loudest sample is {level}, and speech is above "
        f"{_SILENCE_DB:.0f} dB. Check the microphone and the channel."
    )


def rate_note(rate: int, expected: int) -> str | None:
    """A sentence where sound of a rate is resampled for a model of the expected one, in Hz.

    >>> rate_note(44100, 8000)
    'The sound has 44100 Hz and was resampled to the 8000 Hz of the model.'
    """
    if rate == expected:
        return None
    note = f"The sound has {rate} Hz and was resampled to the {expected} Hz of the model."
    if rate < expected:
        note += f" It has nothing above {rate // 2} Hz: expect more errors than at {expected} Hz."
    return note
