"""Log-mel features of sound, whole or as it comes. Imports kaldi-native-fbank, lazily."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from recurra.data.audio.resampler import Resampler, Samples
from recurra.errors import ConfigError, DataError, MissingExtra

__all__ = ["Features", "LogMel", "LogMelStream"]

Features = np.ndarray[Any, np.dtype[np.float32]]
"""Frames by bands (T, F), time first."""

_PIECE = 1 << 18
"""Samples given to kaldi at once: it copies them, and keeps all their frames."""

_QUIET = -8.0
"""The lowest level, of noise at about -56 dB. Spoken digits of left-out speakers are as well told
apart by a kernel method with it as with each recording's own maximum (.80), and better than without
normalisation (.72) or less the running mean of each band (.75)."""
_NEPERS_OF_POWER = np.log(10) / 10
"""The natural logarithm of a power ratio of one dB."""


@dataclass(frozen=True)
class LogMel:
    """The natural logarithm of the power in mel bands, a frame every `shift_ms`.

    Frames are `frame_ms` long, centred in their shift; at both ends the sound is mirrored. The log
    begins at the power of a 32-bit float's epsilon, which for samples of -1 to 1 is about the
    rounding noise of 16 bits: digital silence is no further away than a quiet room.

    rate: Hz of the samples. high_hz: None for half of the rate.
    normalise: "level" subtracts the level of the sound so far, so that quiet and loud recordings
    look alike, in a stream just as in a whole: the loudest frame's logarithm of the mean power of
    its bands, falling by `fall` dB a second, and at least that of a quiet room. Statistics of
    training data are the matter of `recurra.data.standardise`.

    Raises ConfigError for settings that can't be.
    """

    rate: int = 16_000
    bands: int = 40
    frame_ms: float = 25.0
    shift_ms: float = 10.0
    low_hz: float = 20.0
    high_hz: float | None = None
    normalise: Literal["none", "level"] = "level"
    fall: float = 2.0

    def __post_init__(self) -> None:
        high = self.rate / 2 if self.high_hz is None else self.high_hz
        allowed = {
            f"rate = {self.rate}; at least 1000 Hz": self.rate >= 1000,
            f"bands = {self.bands}; at least 3": self.bands >= 3,
            f"shift_ms = {self.shift_ms} and frame_ms = {self.frame_ms}; a shift is above 0.1 ms, "
            "and a frame is no shorter": 0.1 < self.shift_ms <= self.frame_ms,
            f"low_hz = {self.low_hz} and high_hz = {self.high_hz}; 0 <= low < high <= half of the "
            f"rate, {self.rate / 2:g}": 0 <= self.low_hz < high <= self.rate / 2,
            f'normalise = {self.normalise!r}; "none" or "level"': self.normalise
            in ("none", "level"),
            f"fall = {self.fall}; 0 dB a second or more": self.fall >= 0,
        }
        for rule, holds in allowed.items():
            if not holds:
                raise ConfigError(f"Log-mel features have {rule}.")

    @property
    def shift(self) -> int:
        """Samples from frame to frame."""
        return int(self.rate * 0.001 * self.shift_ms)

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return int(self.rate * 0.001 * self.frame_ms)

    @property
    def frame_seconds(self) -> float:
        """Seconds from frame to frame: frame t is centred on (t + 0.5) of them."""
        return self.shift / self.rate

    @property
    def lookahead(self) -> int:
        """Samples beyond the end of a frame's shift that the frame waits for in a stream."""
        return self.window - self._reach - self.shift

    @property
    def _reach(self) -> int:
        """Samples of the first frame before the sound, mirrored."""
        return self.window // 2 - self.shift // 2

    def frames(self, samples: int) -> int:
        """The number of frames of a whole recording of so many samples.

        >>> LogMel(rate=8000).frames(8000)
        100
        """
        return (samples + self.shift // 2) // self.shift

    def frames_ready(self, samples: int) -> int:
        """The number of frames that a stream gives for so many samples, before its end."""
        return max((samples + self._reach - self.window) // self.shift + 1, 0)

    def features(self, samples: Samples) -> Features:
        """The frames (T, bands) of a whole recording (N,).

        Raises:
            DataError: the samples aren't one row of finite numbers.
            ConfigError: the frames are too short for so many bands.
            MissingExtra: kaldi-native-fbank isn't installed.
        """
        stream = self.stream()
        return np.concatenate([stream.feed(samples), stream.finish()])

    def stream(
        self, state: Mapping[str, Any] | None = None, *, rate: int | None = None
    ) -> "LogMelStream":
        """A stream of sound at a rate, by default `self.rate`, or continued from a `state()`."""
        return LogMelStream(self, state, self.rate if rate is None else rate)


class LogMelStream:
    """The frames of sound as it comes: for chunks of any size, the bits of the whole.

    Nothing grows with the length of the sound.
    """

    def __init__(self, settings: LogMel, state: Mapping[str, Any] | None, rate: int) -> None:
        self._settings = settings
        self._options = _options(settings)
        self._overlap = -(-settings._reach // settings.shift)
        state = {} if state is None else state
        self._rate = int(state.get("rate", rate))
        held = {name: value for name, value in state.items() if name in ("held", "before", "left")}
        self._resampler = Resampler(self._rate, settings.rate, held or None)
        # A tail of the sound that begins at some frame's shift, and its frames given already.
        self._tail = np.array(state.get("tail", ()), np.float32)
        self._given = int(state.get("given", 0))
        self._level = float(state.get("level", _QUIET))
        self._finished = False

    def state(self) -> dict[str, Any]:
        """What `LogMel.stream` continues from, as arrays: some hundred numbers, at another rate
        than the model's some seconds of sound.
        """
        return {
            **self._resampler.state(),
            "rate": np.array(self._rate),
            "tail": self._tail.copy(),
            "given": np.array(self._given),
            "level": np.array(self._level),
        }

    def feed(self, samples: Samples) -> Features:
        """The frames (t, bands) that are certain after these samples (n,); t may be 0."""
        if self._finished:
            raise DataError("This sound is finished; begin another stream for more samples.")
        samples = self._resampler.feed(_checked(samples))
        pieces = [samples[start : start + _PIECE] for start in range(0, len(samples), _PIECE)]
        empty = np.zeros((0, self._settings.bands), np.float32)
        return np.concatenate([empty, *map(self._feed_piece, pieces)])

    def finish(self) -> Features:
        """The frames (t, bands) that remain, whose sound is mirrored beyond its end."""
        before = self._feed_piece(self._resampler.finish())
        frames = self._frames(self._settings.frames(len(self._tail)), last=True)
        self._finished = True
        return np.concatenate([before, frames])

    def _feed_piece(self, samples: Samples) -> Features:
        self._tail = np.concatenate([self._tail, samples])
        ready = self._settings.frames_ready(len(self._tail))
        frames = self._frames(ready, last=False)
        # The windows of the next frames reach back over `overlap` shifts: these stay.
        dropped = max(max(ready, self._given) - self._overlap, 0)
        self._tail = self._tail[dropped * self._settings.shift :].copy()
        self._given = max(ready, self._given) - dropped
        return frames

    def _frames(self, ready: int, *, last: bool) -> Features:
        """Those of the tail's first `ready` frames that have not been given."""
        if ready <= self._given:
            return np.zeros((0, self._settings.bands), np.float32)
        bank = _kaldi().OnlineFbank(self._options)
        bank.accept_waveform(self._settings.rate, self._tail)
        if last:
            bank.input_finished()
        assert bank.num_frames_ready == ready
        frames = np.stack([bank.get_frame(number) for number in range(self._given, ready)])
        return self._levelled(frames) if self._settings.normalise == "level" else frames

    def _levelled(self, frames: Features) -> Features:
        """The frames, less the level of the sound up to each of them."""
        fall = self._settings.fall * _NEPERS_OF_POWER * self._settings.frame_seconds
        levels = np.empty((len(frames), 1))
        loudnesses = np.log(np.exp(frames.astype(np.float64)).mean(1)).tolist()
        for number, loudness in enumerate(loudnesses):
            self._level = levels[number] = max(self._level - fall, loudness, _QUIET)
        return (frames - levels).astype(np.float32)


def _checked(samples: Samples) -> Samples:
    if samples.ndim != 1:
        raise DataError(
            f"The sound has the shape {samples.shape}; samples of one channel (N,) are needed. "
            "Average the channels."
        )
    finite = np.isfinite(samples)
    if not finite.all():
        raise DataError(
            f"Sample {int(np.argmin(finite))} of the sound is not finite; all must be numbers, -1 "
            "to 1 at full scale. Read it again."
        )
    return samples.astype(np.float32, copy=False)


def _options(settings: LogMel) -> Any:
    """kaldi's options; ConfigError where a band would have no bin of the spectrum."""
    options = _kaldi().FbankOptions()
    frame, mel = options.frame_opts, options.mel_opts
    frame.samp_freq, frame.dither, frame.snip_edges = settings.rate, 0.0, False
    # kaldi rounds to samples downwards, in 32 bits; half a sample more makes it agree with us.
    frame.frame_length_ms = (settings.window + 0.5) * 1000 / settings.rate
    frame.frame_shift_ms = (settings.shift + 0.5) * 1000 / settings.rate
    mel.num_bins, mel.low_freq = settings.bands, settings.low_hz
    mel.high_freq = settings.high_hz or 0.0
    try:
        _kaldi().OnlineFbank(options)
    except ValueError as error:
        raise ConfigError(
            f"{settings.bands} bands are too many for frames of {settings.frame_ms} ms at "
            f"{settings.rate} Hz: some would be empty. Give fewer bands, or longer frames."
        ) from error
    return options


def _kaldi() -> Any:
    """kaldi-native-fbank; MissingExtra where it is not installed."""
    try:
        return importlib.import_module("kaldi_native_fbank")
    except ImportError as error:
        raise MissingExtra("kaldi-native-fbank", "transcribe", "Features of sound") from error
