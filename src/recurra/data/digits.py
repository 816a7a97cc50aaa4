"""Handwritten digits in MNIST's format: IDX files, compressed by gzip."""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from recurra.errors import DataError

__all__ = ["Digits", "Part", "read_digits", "read_idx"]

Part = Literal["train", "valid", "test"]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

_UNSIGNED_BYTES = 8
"""IDX's number for the type of MNIST's elements."""


class Digits(NamedTuple):
    """N pictures (N, rows, columns) of bytes, 0 for paper and 255 for ink, and labels (N,)."""

    pictures: Bytes
    labels: Bytes


def read_digits(folder: Path, part: Part) -> Digits:
    """The digits of a part, from `{part}-images-idx3-ubyte.gz` and `{part}-labels-idx1-ubyte.gz`.

    Raises DataError, naming the file, where one is missing or damaged, or their counts differ.
    """
    pictures = read_idx(folder / f"{part}-images-idx3-ubyte.gz", dimensions=3)
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz", dimensions=1)
    if len(pictures) != len(labels):
        raise DataError(
            f"{folder}: {part} has {len(pictures)} pictures and {len(labels)} labels; get both "
            "files from one source."
        )
    return Digits(pictures, labels)


def read_idx(path: Path, *, dimensions: int) -> Bytes:
    """The array of bytes in a compressed IDX file; DataError where it isn't one."""
    data = _unpacked(path)
    header = 4 + 4 * dimensions
    if data[:4] != bytes([0, 0, _UNSIGNED_BYTES, dimensions]) or len(data) < header:
        raise DataError(
            f"{path}: is not an IDX file of bytes in {dimensions} dimensions; download it again."
        )
    shape = struct.unpack_from(f">{dimensions}I", data, 4)
    if len(data) != header + math.prod(shape):
        raise DataError(
            f"{path}: holds {len(data) - header} bytes, and its header says "
            f"{' x '.join(map(str, shape))}; download it again."
        )
    return np.frombuffer(data, dtype=np.uint8, offset=header).reshape(shape)


def _unpacked(path: Path) -> bytes:
    try:
        return gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"{path}: no such file; {path.parent} must hold the files of MNIST."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be unpacked ({error}); download it again.") from error
