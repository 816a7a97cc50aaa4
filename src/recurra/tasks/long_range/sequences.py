"""Training, validation and test sequences of a problem, from generators of their own."""

import copy
import sys
from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor

from recurra.data.batches import Shuffled, generator_of, rows_of_rank
from recurra.data.digits import Digits, Part, read_digits
from recurra.errors import DataError
from recurra.settings import data_folder
from recurra.tasks.long_range.config import LongRangeConfig
from recurra.tasks.long_range.synthetic import DRAW, Batch
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
        self._rows = slice(0, config.batch_size)

    def __len__(self) -> int:
        return sys.maxsize

    def window(self, epoch: int, index: int) -> Batch:
        """Batch `index`, of `batch_size` sequences."""
        config = self._config
        generator = generator_of("train", config.problem, config.seed, index)
        whole = DRAW[config.problem](config.length, config.batch_size, generator)
        return _part(whole, self._rows)

    def shard(self, rank: int, world: int) -> "Drawn":
        """Each batch's part for process `rank` of `world`."""
        part = copy.copy(self)
        part._rows = rows_of_rank(self._config.batch_size, rank, world)
        return part


class Pixels(Shuffled):
    """Digits as sequences of 784 pixels: inputs (784, B, 1) in [0, 1], targets (B,)."""

    def __init__(self, config: LongRangeConfig) -> None:
        digits = _digits("train", config)
        super().__init__(*digits, batch_size=config.batch_size, seed=config.seed)

    def batch(self, rows: Tensor) -> Batch:
        """These digits."""
        return _batch(*super().batch(rows))


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
        generator = generator_of(part, config.problem, config.length)
        whole = DRAW[config.problem](config.length, total, generator)
        for low in range(0, total, size):
            yield _part(whole, slice(low, low + size))
    else:
        inputs, targets = _digits(part, config)
        for low in range(0, len(targets), size):
            yield _batch(inputs[low : low + size], targets[low : low + size])


def _part(batch: Batch, rows: slice) -> Batch:
    return Batch(batch.inputs[:, rows], batch.targets[..., rows])


def _digits(part: Part, config: LongRangeConfig) -> tuple[Tensor, Tensor]:
    """Pixels (N, 784) as bytes, in the problem's order, and labels (N,)."""
    digits = _read(part)
    pixels = torch.from_numpy(digits.pictures.reshape(len(digits.labels), -1).copy())
    if config.problem == "mnist-permuted":
        pixels = pixels[:, torch.randperm(pixels.shape[1], generator=generator_of(_ORDER_SEED))]
    return pixels, torch.from_numpy(digits.labels.astype("int64"))


def _read(part: Part) -> Digits:
    folder = data_folder()
    if folder is None:
        raise DataError(
            "The digits of mnist are not part of Recurra and RECURRA_DATA is unset; set it to a "
            f"folder that holds them as {_FOLDER}/train-images-idx3-ubyte.gz and so on."
        )
    return read_digits(folder / _FOLDER, part)


def _batch(pixels: Tensor, targets: Tensor) -> Batch:
    return Batch(pixels.t().unsqueeze(-1).float() / 255, targets)
