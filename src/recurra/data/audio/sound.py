"""Sound from files: one channel of float32 samples, at any rate, whole or in blocks.

Imports soundfile, lazily.
"""

import dataclasses
import importlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NoReturn, Self

import numpy as np

from recurra.data import check_exists
from recurra.data.audio.resampler import Resampler, Samples, resample
from recurra.data.audio.sound_headers import (
    foreign_format,
    has_last_ogg_page,
    mp3_continues,
    mp3_has_length,
    share_of_bytes,
)
from recurra.errors import DataError, MissingExtra

__all__ = [
    "Sound",
    "SoundFacts",
    "read_sound",
    "sound_blocks",
    "sound_facts",
    "wav_bytes",
    "write_sound",
]

_RATES = (1_000, 768_000)
"""Hz: the lowest and highest rate of a file; others are those of damaged headers."""
_BLOCK_SECONDS = 10.0
_UNKNOWN_FRAMES = 1 << 60
_PIECE = 4_096
"""Samples read at once: where a file breaks off, fewer than these are lost to the message."""
_MISSING_SECONDS = 0.01
"""A file may lack this much of what its header promises, as one that is a byte too short does."""
_CONVERSION = "ffmpeg -i OLD NEW.wav"


@dataclass(frozen=True, eq=False)
class Sound:
    """Samples (N,) at a rate in Hz."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def part(self, start: float, end: float) -> Self:
        """The samples from one second to another."""
        first, last = (round(seconds * self.rate) for seconds in (start, end))
        return dataclasses.replace(self, samples=self.samples[first:last])


@dataclass(frozen=True)
class SoundFacts:
    """A file's own rate in Hz, its channels and its length; None where it doesn't say."""

    rate: int
    channels: int
    seconds: float | None


def read_sound(
    path: str | os.PathLike[str],
    rate: int | None = None,
    span: tuple[float, float] | None = None,
) -> Sound:
    """The whole of a WAV, FLAC, OGG or MP3 file, its channels averaged; `rate` None: its own.

    `span`: the seconds that are read, from and to.

    Raises:
        DataError: there is no such file, it is empty, truncated, damaged or of another format, or
            its samples are not finite, or it ends before the span does.
        MissingExtra: soundfile or soxr isn't installed.
    """
    with _open_sound(path) as file:
        to = file.facts.rate if rate is None else rate
        if span is not None:
            return Sound(resample(file.part(*span), file.facts.rate, to), to)
        return Sound(np.concatenate(list(_resampled(file, rate, _BLOCK_SECONDS))), to)


def sound_facts(path: str | os.PathLike[str]) -> SoundFacts:
    """The facts of a file's header, without reading its samples; DataError as `read_sound`."""
    with _open_sound(path) as file:
        return file.facts


def sound_blocks(
    path: str | os.PathLike[str], rate: int | None = None, *, seconds: float = _BLOCK_SECONDS
) -> Iterator[Samples]:
    """The samples of `read_sound` in blocks of about `seconds`: its bits, in constant memory.

    Raises DataError as `read_sound`: before the first block where the header shows it, else after
    the blocks that are readable, as in a truncated FLAC or MP3 file.
    """
    with _open_sound(path) as file:
        yield from _resampled(file, rate, seconds)


def _resampled(file: "_SoundFile", rate: int | None, seconds: float) -> Iterator[Samples]:
    own = file.facts.rate
    resampler = Resampler(own, own if rate is None else rate)
    for block in file.blocks(max(round(seconds * own), 1)):
        yield resampler.feed(block)
    yield resampler.finish()


def write_sound(path: str | os.PathLike[str], sound: Sound) -> None:
    """Write a WAV file of 16 bits a sample; values beyond -1 to 1 are clipped."""
    _soundfile().write(os.fspath(path), sound.samples, sound.rate, format="WAV", subtype="PCM_16")


@contextmanager
def _open_sound(path: str | os.PathLike[str]) -> Iterator["_SoundFile"]:
    library = _soundfile()
    with _opened(path) as raw:
        try:
            # By its descriptor: by its name, a suffix `.raw` would count more than its bytes.
            file = library.SoundFile(raw.fileno(), closefd=False)
        except library.LibsndfileError as error:
            raise DataError(_unreadable(path, raw, error.error_string)) from error
        # soundfile seeks after each read of what can be sought, and MP3 is garbled where it does.
        file.seekable = lambda: False
        with file:
            sound = _SoundFile(path, raw, file)
            sound.check_header()
            yield sound


class _SoundFile:
    """An open file of sound, with what it says of its length."""

    def __init__(self, path: str | os.PathLike[str], raw: BinaryIO, file: Any) -> None:
        self._path, self._raw, self._file = path, raw, file
        frames: int = file.frames
        unknown = frames >= _UNKNOWN_FRAMES or (file.format == "MP3" and not mp3_has_length(raw))
        self._promised = None if unknown else frames

    @property
    def facts(self) -> SoundFacts:
        rate, frames = self._file.samplerate, self._promised
        return SoundFacts(rate, self._file.channels, None if frames is None else frames / rate)

    def check_header(self) -> None:
        """DataError where the header alone shows that the file can't be read to its end."""
        rate, low, high = self._file.samplerate, *_RATES
        if not low <= rate <= high:
            raise DataError(
                f"{self._path}: has a rate of {rate} Hz; from {low} to {high} Hz can be read. "
                "Its header is damaged, or it isn't a recording; record or convert it again."
            )
        if not self._file.frames:
            raise DataError(f"{self._path}: has no samples; record it again or leave it out.")
        promised = self._file.frames / share_of_bytes(self._file.extra_info)
        if self._lacks(self._file.frames, promised):
            self._refuse_truncated(self._file.frames, promised)
        if self._file.format == "OGG" and not has_last_ogg_page(self._raw):
            self._refuse_truncated(self._file.frames, None)

    def blocks(self, size: int) -> Iterator[Samples]:
        """The samples in blocks of `size` or a little more, channels averaged."""
        position, pieces = 0, list[Samples]()
        while len(piece := self._read(position)):
            self._check_finite(piece, position)
            position += len(piece)
            pieces.append(piece)
            if sum(map(len, pieces)) >= size:
                yield np.concatenate(pieces)
                pieces = []
        self._check_end(position)
        if pieces:
            yield np.concatenate(pieces)

    def part(self, start: float, end: float) -> Samples:
        """The samples from one second to another; DataError where the file ends before."""
        first, last = (round(seconds * self._file.samplerate) for seconds in (start, end))
        if self._file.format != "MP3":  # which is garbled after a seek
            self._file.seek(min(first, self._file.frames))
        position = self._file.tell()
        pieces = list[Samples]()
        while position < last and len(piece := self._read(position, last - position)):
            self._check_finite(piece, position)
            pieces.append(piece[max(0, first - position) :])
            position += len(piece)
        if self._lacks(position, last):
            raise DataError(
                f"{self._path}: ends at {position / self._file.samplerate:.2f} seconds, and the "
                f"part from {start:g} to {end:g} is wanted; correct the times, which are seconds."
            )
        return np.concatenate(pieces)

    def _read(self, position: int, most: int = _PIECE) -> Samples:
        try:
            piece: Samples = self._file.read(min(most, _PIECE), dtype="float32", always_2d=True)
        except _soundfile().LibsndfileError:
            self._refuse_truncated(position, self._promised)
        return piece[:, 0] if piece.shape[1] == 1 else piece.mean(axis=1)

    def _check_finite(self, samples: Samples, position: int) -> None:
        finite = np.isfinite(samples)
        if not finite.all():
            sample = position + int(np.argmin(finite))
            raise DataError(
                f"{self._path}: sample {sample} (at {sample / self._file.samplerate:.3f} s) is not "
                "finite; all must be. Write the file again, with 16 bits a sample, say."
            )

    def _check_end(self, frames: int) -> None:
        if self._promised is not None and self._lacks(frames, self._promised):
            self._refuse_truncated(frames, self._promised)
        if self._promised is None and self._file.format == "MP3" and mp3_continues(self._raw):
            raise DataError(
                f"{self._path}: is MP3 that doesn't say its length, and libsndfile reads only its "
                f"first {frames / self._file.samplerate:.2f} seconds. Convert it: {_CONVERSION}"
            )

    def _lacks(self, frames: float, promised: float) -> bool:
        return promised - frames > _MISSING_SECONDS * float(self._file.samplerate)

    def _refuse_truncated(self, frames: float, promised: float | None) -> NoReturn:
        rate = self._file.samplerate
        readable = f"{frames / rate:.2f}"
        whole = "an unknown number of" if promised is None else f"{promised / rate:.2f}"
        remedy = f"keep what is readable: ffmpeg -i OLD -t {readable} NEW.wav"
        raise DataError(
            f"{self._path}: is truncated or damaged: {readable} of {whole} seconds are readable. "
            f"Get the whole file, or {remedy if float(readable) else 'record it again.'}"
        )


def _opened(path: str | os.PathLike[str]) -> BinaryIO:
    check_exists(path)
    try:
        file = open(path, "rb")  # noqa: SIM115 - the caller closes it
    except IsADirectoryError as error:
        raise DataError(f"{path}: is a directory; name the sound files inside it.") from error
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check its permissions."
        ) from error
    if os.fstat(file.fileno()).st_size == 0:
        file.close()
        raise DataError(f"{path}: is empty; record it again or leave it out.")
    return file


def _unreadable(path: str | os.PathLike[str], raw: BinaryIO, reason: str) -> str:
    kind = foreign_format(raw) or "not sound, damaged, or of an unknown format"
    return (
        f"{path}: is {kind} (libsndfile: {reason.rstrip('. ')}); WAV, FLAC, OGG and MP3 can be "
        f"read. If it is sound, convert it: {_CONVERSION}"
    )


def _soundfile() -> Any:
    try:
        return importlib.import_module("soundfile")
    except (ImportError, OSError) as error:  # not installed, or its library can't be loaded
        raise MissingExtra("soundfile", "transcribe", "Reading sound") from error


def wav_bytes(sound: Sound) -> bytes:
    """A WAV file of 16 bits a sample, in memory; values beyond -1 to 1 are clipped."""
    file = io.BytesIO()
    _soundfile().write(file, sound.samples, sound.rate, format="WAV", subtype="PCM_16")
    return file.getvalue()
