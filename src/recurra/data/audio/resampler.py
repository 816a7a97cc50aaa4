"""Samples at one rate from those at another, whole or as they come, saved and continued.

Imports soxr, lazily.
"""

import importlib
import math
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from recurra.errors import ConfigError, MissingExtra

__all__ = ["Resampler", "Samples", "resample"]

Samples = np.ndarray[Any, np.dtype[np.float32]]
"""Samples (N,) of one channel; full scale is -1 to 1."""

_EMPTY: Samples = np.zeros(0, np.float32)


class Resampler:
    """Samples at one rate from those at another, as they come.

    Chunks of any size give the same bits as the whole. Equal rates leave samples as they are.
    Rates are in Hz or any other unit: their ratio counts. soxr's high quality. As its streams can't
    be saved, a new one takes over every four seconds, fed with what came just before: `state` is at
    most a little more sound than that, and a resampler made with it continues with the same bits. A
    stream between rates that aren't whole numbers isn't cut and has no state.

    Raises ConfigError for rates that aren't positive, MissingExtra where soxr isn't installed.

    >>> resampler = Resampler(8000, 16000)
    >>> first = resampler.feed(np.zeros(800, np.float32))
    >>> len(first) + len(resampler.finish())
    1600
    """

    def __init__(
        self, from_rate: float, to_rate: float, state: Mapping[str, Any] | None = None
    ) -> None:
        if not (0 < from_rate < np.inf and 0 < to_rate < np.inf):
            raise ConfigError(
                f"Resampling from {from_rate} to {to_rate} Hz; both rates must be positive."
            )
        self._rates = from_rate, to_rate
        self._piece = _piece(from_rate, to_rate)
        self._ready = _EMPTY
        self._begin(0 if state is None else int(state["before"]))
        if state is not None and self._stream is not None:
            given = self._left - int(state["left"])
            self._skip += given
            self._left -= given
            self._ready = self._take(np.array(state["held"], np.float32))

    def state(self) -> dict[str, Any]:
        """What a resampler between the same rates continues from, as arrays."""
        if self._piece is None:
            raise ConfigError(
                f"Resampling from {self._rates[0]} to {self._rates[1]} Hz can't be saved; give "
                "rates that are whole numbers."
            )
        return {
            "held": np.concatenate([_EMPTY, *self._held]),
            "before": np.array(self._before),
            "left": np.array(self._left + len(self._ready)),
        }

    def feed(self, samples: Samples) -> Samples:
        """The samples (M,) that are certain after these (N,); M may be 0."""
        if self._stream is None or not len(samples):
            return samples
        size = len(samples) if self._piece is None else self._piece.inputs // 16
        chunks = [samples[start : start + size] for start in range(0, len(samples), size)]
        return np.concatenate([self._waiting(), *(self._run(chunk) for chunk in chunks)])

    def finish(self) -> Samples:
        """The samples (M,) that remain; nothing can be fed afterwards."""
        if self._stream is None:
            return _EMPTY
        return np.concatenate([self._waiting(), self._run(_EMPTY, last=True)])

    def _begin(self, before: int) -> None:
        """A new stream of soxr, whose first `before` samples belong to the piece before."""
        piece = self._piece
        self._stream: Any = None
        if self._rates[0] != self._rates[1]:
            self._stream = _soxr().ResampleStream(*self._rates, 1, dtype="float32")
        self._held: list[Samples] = []
        self._before = before
        self._skip: int = 0 if piece is None or not before else piece.outputs_before
        self._left: int = sys.maxsize if piece is None else piece.outputs

    def _waiting(self) -> Samples:
        ready, self._ready = self._ready, _EMPTY
        return ready

    def _run(self, samples: Samples, *, last: bool = False) -> Samples:
        """What further samples make certain, of as many pieces as they end."""
        made = [self._take(samples, last=last)]
        while not self._left:
            assert self._piece is not None
            begin = self._before + self._piece.inputs - self._piece.inputs_before
            held = np.concatenate(self._held)[begin:]
            self._begin(self._piece.inputs_before)
            made.append(self._take(held, last=last))
        return np.concatenate(made)

    def _take(self, samples: Samples, *, last: bool = False) -> Samples:
        """What belongs to this piece of what soxr makes of further samples."""
        assert self._stream is not None
        if self._piece is not None:
            self._held.append(samples)
        made: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples), last=last)
        own = made[self._skip :][: self._left]
        self._skip -= min(self._skip, len(made))
        self._left -= len(own)
        return own


def resample(samples: Samples, from_rate: float, to_rate: float) -> Samples:
    """The whole of a sound (N,) at another rate (M,)."""
    resampler = Resampler(from_rate, to_rate)
    return np.concatenate([resampler.feed(samples), resampler.finish()])


class _PieceSizes(NamedTuple):
    """Samples of a piece and of what is fed before it, at both rates: whole numbers of samples."""

    inputs: int
    outputs: int
    inputs_before: int
    outputs_before: int


def _piece(from_rate: float, to_rate: float) -> _PieceSizes | None:
    """The size of pieces between two rates; None between rates that aren't whole numbers."""
    if from_rate != int(from_rate) or to_rate != int(to_rate):
        return None
    divisor = math.gcd(int(from_rate), int(to_rate))
    inputs, outputs = int(from_rate) // divisor, int(to_rate) // divisor
    before = math.ceil(_REACH * from_rate / min(from_rate, to_rate) / inputs)
    times = max(16 * before, math.ceil(_SECONDS * from_rate / inputs))
    return _PieceSizes(times * inputs, times * outputs, before * inputs, before * outputs)


_SECONDS, _REACH = 4.0, 512
"""Seconds of a piece at least, and samples at the lower rate that are fed before it: soxr's filters
reach less than half as far, so that its values are those of the whole but for the last bits."""


def _soxr() -> Any:
    try:
        return importlib.import_module("soxr")
    except (ImportError, OSError) as error:
        raise MissingExtra("soxr", "transcribe", "Resampling sound") from error
