"""Raw sound: little-endian 16-bit samples of one channel, as recorders write it to a pipe."""

import numpy as np

from recurra.data.audio.resampler import Samples
from recurra.errors import DataError

__all__ = ["PcmStream", "pcm_samples"]

_FULL_SCALE = np.float32(1 / 32768)


def pcm_samples(data: bytes) -> Samples:
    r"""The samples of 16-bit little-endian PCM; DataError for half a sample or a file's header.

    >>> pcm_samples(b"\x00\x40\x00\x80").tolist()
    [0.5, -1.0]
    """
    stream = PcmStream()
    samples = stream.feed(data)
    stream.finish()
    return samples


class PcmStream:
    """Samples from the bytes of 16-bit little-endian PCM in chunks that may cut a sample in two."""

    def __init__(self) -> None:
        self._held = b""
        self._started = False

    def feed(self, data: bytes) -> Samples:
        """The samples (N,) that these bytes complete; DataError at a sound file's first bytes."""
        data = self._held + data
        if len(data) < 4 and not self._started:
            self._held = data  # until it is certain that no header comes
            return np.zeros(0, np.float32)
        if not self._started:
            _refuse_header(data)
        self._started = True
        whole = len(data) // 2 * 2
        self._held = data[whole:]
        return _scaled(data[:whole])

    def finish(self) -> Samples:
        """The samples (N,) that remain; DataError where the last one lacks a byte."""
        if len(self._held) % 2:
            raise DataError(
                "The raw sound ends with half a sample; 16-bit PCM has two bytes a sample. Record "
                "it as 16-bit little-endian PCM of one channel: arecord -f S16_LE -c 1 -t raw"
            )
        return _scaled(self._held)


def _scaled(data: bytes) -> Samples:
    samples: Samples = np.frombuffer(data, "<i2").astype(np.float32) * _FULL_SCALE
    return samples


def _refuse_header(data: bytes) -> None:
    for magic, kind in {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "OGG", b"ID3": "MP3"}.items():
        if data.startswith(magic):
            raise DataError(
                f"The raw sound begins like a {kind} file, and raw 16-bit PCM has no header. Give "
                "the path of the file, or convert it: ffmpeg -i FILE -f s16le -ac 1 -ar RATE -"
            )
