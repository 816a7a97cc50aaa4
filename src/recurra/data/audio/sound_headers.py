"""Facts of a sound file's bytes that libsndfile keeps to itself: is it whole, what else is it."""

import os
import re
from typing import BinaryIO

__all__ = [
    "foreign_format",
    "has_last_ogg_page",
    "mp3_continues",
    "mp3_has_length",
    "share_of_bytes",
]

_UNKNOWN_BYTES = 0x7FFF_0000
"""Sizes from here on are written by programs that stream and don't know the length yet."""
_OGG_HEADER = 27
_OGG_PAGE = 65_307
"""Bytes of Ogg's longest page."""
_OGG_END_OF_STREAM = 4
_MP3_HEAD = 4_096
"""Bytes after an ID3 tag that hold the first frame."""

_FOREIGN = {
    (0, b"\x1aE\xdf\xa3"): "a WebM or Matroska file",
    (4, b"ftyp"): "an MP4 or M4A file",
    (0, b"\xff\xf1"): "an AAC file",
    (0, b"\xff\xf9"): "an AAC file",
    (0, b"0&\xb2u"): "a WMA file",
    (0, b"#!AMR"): "an AMR file",
}


def foreign_format(file: BinaryIO) -> str | None:
    """The name of a sound format that libsndfile lacks, or None."""
    head = _bytes_from(file, 0, 16)
    kinds = (kind for (at, magic), kind in _FOREIGN.items() if head[at:].startswith(magic))
    return next(kinds, None)


def share_of_bytes(log: str) -> float:
    """The bytes of sound present by those that the header promises, at most 1.

    log: libsndfile's remarks on the header.

    >>> share_of_bytes("data : 96000 (should be 24000)")
    0.25
    """
    sizes = re.findall(
        r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", log, re.M
    )
    promised, present = map(int, sizes[-1]) if sizes else (1, 1)
    return present / promised if present < promised < _UNKNOWN_BYTES else 1.0


def has_last_ogg_page(file: BinaryIO) -> bool:
    """True where an Ogg file ends with a whole page that is marked as the last."""
    size = os.fstat(file.fileno()).st_size
    tail = _bytes_from(file, max(size - _OGG_PAGE, 0), _OGG_PAGE)
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < _OGG_HEADER or not page[5] & _OGG_END_OF_STREAM:
        return False
    segments = page[26]
    lengths = page[_OGG_HEADER : _OGG_HEADER + segments]
    return len(lengths) == segments and len(page) >= _OGG_HEADER + segments + sum(lengths)


def mp3_has_length(file: BinaryIO) -> bool:
    """True where an MP3 file has the frame in which encoders write its length."""
    tag = _bytes_from(file, 0, 10)
    start = 0
    if tag[:3] == b"ID3":
        start = 10 + sum((byte & 127) << 7 * n for n, byte in enumerate(reversed(tag[6:])))
    head = _bytes_from(file, start, _MP3_HEAD)
    return any(name in head for name in (b"Xing", b"Info", b"VBRI"))


def mp3_continues(file: BinaryIO) -> bool:
    """True where one more frame of MP3 begins at the file's position."""
    head = _bytes_from(file, os.lseek(file.fileno(), 0, os.SEEK_CUR), 2)
    return len(head) == 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0


def _bytes_from(file: BinaryIO, start: int, count: int) -> bytes:
    """Bytes of a file, whose position stays where it is."""
    position = os.lseek(file.fileno(), 0, os.SEEK_CUR)
    os.lseek(file.fileno(), start, os.SEEK_SET)
    try:
        return os.read(file.fileno(), count)
    finally:
        os.lseek(file.fileno(), position, os.SEEK_SET)
