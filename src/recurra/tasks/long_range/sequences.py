"""Training, validation and test sequences of a problem, from generators of their own."""

import hashlib
import sys
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Generator, Tensor

from recurra.data.digits import Digits, Part, read_digits
from recurra.errors import DataError
from recurra.settings import data_folder
from recurra.tasks.long_range.config import LongRangeConfig
from recurra.tasks.long_range.draw import DRAW, Batch
from recurra.training import Windows

__all__ = ["Drawn", "Pixels", "held_out", "training_windows"]

HeldOut = Literal["valid", "test"]

_FOLDER = "mnist_subset"
_ORDER_SEED = 0
"""The permuted order of pixels is one and the same for every run."""


class Drawn:
    """Batches drawn when they are asked for: no sequence is seen twice, so no epoch ever ends.

    Batch number i of a seed is the same whenever it is asked for.
    """

    def __init__(self, config: LongRangeConfig) -> None:
        self._config = config

    def __len__(self) -> int:
        return sys.maxsize

    def window(self, epoch: int, index: int) -> Batch:
        """Batch `index`, of `batch_size` sequences."""
        config = self._config
        generator = _generator("train", config.problem, config.seed, index)
        return DRAW[config.problem](config.length, config.batch_size, generator)


class Pixels:
    """Digits as sequences of 784 pixels, dealt out anew in every epoch; the rest goes unused."""

    def __init__(self, config: LongRangeConfig) -> None:
        self._inputs, self._targets = _digits("train", config)
        self._batch_size, self._seed = config.batch_size, config.seed
        if len(self._targets) < config.batch_size:
            raise DataError(
                f"There are {len(self._targets)} digits to train on, fewer than "
                f"batch_size = {config.batch_size}; lower batch_size."
            )
        self._dealt: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self._targets) // self._batch_size

    def window(self, epoch: int, index: int) -> Batch:
        """Batch `index` of an epoch: inputs (784, B, 1) in [0, 1], targets (B,)."""
        if self._dealt is None or self._dealt[0] != epoch:
            generator = _generator("deal", self._seed, epoch)
            self._dealt = epoch, torch.randperm(len(self._targets), generator=generator)
        chosen = self._dealt[1][index * self._batch_size : (index + 1) * self._batch_size]
        return _batch(self._inputs, self._targets, chosen)


def training_windows(config: LongRangeConfig) -> Windows:
    """What a model is trained on; DataError where the digits are not at hand."""
    return Drawn(config) if config.problem in DRAW else Pixels(config)


def held_out(config: LongRangeConfig, part: HeldOut) -> Iterator[Batch]:
    """The sequences of a part in batches, the same for every run, whatever its seed.

    Raises DataError where the digits are not at hand.
    """
    size = config.batch_size
    if config.problem in DRAW:
        total = config.test_sequences if part == "test" else config.validation_sequences
        generator = _generator(part, config.problem, config.length)
        whole = DRAW[config.problem](config.length, total, generator)
        for low in range(0, total, size):
            yield Batch(whole.inputs[:, low : low + size], whole.targets[..., low : low + size])
    else:
        inputs, targets = _digits(part, config)
        for rows in range(0, len(targets), size):
            yield _batch(inputs, targets, slice(rows, rows + size))


def _generator(*key: object) -> Generator:
    """A generator seeded by all of `key`: unlike keys never share a stream."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return Generator().manual_seed(int.from_bytes(digest) >> 1)


def _digits(part: Part, config: LongRangeConfig) -> tuple[Tensor, Tensor]:
    """Pixels (N, 784) as bytes, in the problem's order, and labels (N,)."""
    digits = _read(part)
    pixels = torch.from_numpy(digits.pictures.reshape(len(digits.labels), -1).copy())
    if config.problem == "mnist-permuted":
        pixels = pixels[:, torch.randperm(pixels.shape[1], generator=_generator(_ORDER_SEED))]
    return pixels, torch.from_numpy(digits.labels.astype("int64"))


def _read(part: Part) -> Digits:
    folder = data_folder()
    if folder is None:
        raise DataError(
            "The digits of mnist are not part of Recurra and RECURRA_DATA is unset; set it to a "
            f"folder that holds them as {_FOLDER}/train-images-idx3-ubyte.gz and so on."
        )
    return read_digits(folder / _FOLDER, part)


def _batch(pixels: Tensor, targets: Tensor, rows: Tensor | slice) -> Batch:
    inputs = pixels[rows].t().unsqueeze(-1).float() / 255
    return Batch(inputs, targets[rows])
