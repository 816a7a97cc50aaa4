"""Training, validation and test sequences of a problem, drawn from generators of their own."""

import copy
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

import torch
from torch import Generator, Tensor

from recurra.data.batches import Shuffled, generator_of, rows_of_rank
from recurra.data.digits import Digits, Part, read_digits
from recurra.errors import DataError
from recurra.settings import data_folder
from recurra.tasks.long_range.config import RECALLED, LongRangeConfig
from recurra.training import Windows

__all__ = [
    "DRAW",
    "Batch",
    "Drawn",
    "Pixels",
    "adding",
    "copy_memory",
    "held_out",
    "temporal_order",
    "training_windows",
]

_FOLDER = "mnist_subset"
_ORDER_SEED = 0
"""The permuted order of pixels is one and the same for every run."""


class Batch(NamedTuple):
    """Inputs (T, B, I); targets (B,), or (T, B) where every step has one."""

    inputs: Tensor
    targets: Tensor


def adding(length: int, count: int, generator: Generator) -> Batch:
    """Numbers uniform in [0, 1] and a marker that is 1 at two steps; the target is their sum.

    The two are any different steps, as in the code of Bai et al.: inputs (T, B, 2), targets (B,).
    """
    values = torch.rand(length, count, generator=generator)
    first = torch.randint(length, (count,), generator=generator)
    further = torch.randint(1, length, (count,), generator=generator)
    places = torch.stack([first, (first + further) % length])
    marker = torch.zeros(length, count).scatter_(0, places, 1.0)
    return Batch(torch.stack([values, marker], dim=-1), values.gather(0, places).sum(0))


def copy_memory(length: int, count: int, generator: Generator) -> Batch:
    """10 symbols of 1 to 8, blanks (0), then 11 times 9, the first of which says: now repeat.

    T + 20 steps, one-hot: inputs (T + 20, B, 10). The targets, (T + 20, B), are 0 but for the last
    10 steps, which repeat the symbols.
    """
    symbols = torch.randint(1, 9, (RECALLED, count), generator=generator)
    blank = torch.zeros(length, count, dtype=torch.long)
    delimiters = torch.full((RECALLED + 1, count), 9)
    inputs = torch.cat([symbols, blank[:-1], delimiters])
    targets = torch.cat([blank, torch.zeros_like(symbols), symbols])
    return Batch(_one_hot(inputs, 10), targets)


def temporal_order(
    length: int, count: int, generator: Generator, spans: tuple[tuple[float, float], ...]
) -> Batch:
    """E, then a, b, c or d at random but for X or Y at one step of each span, then B.

    The spans are parts of the length. Inputs (T, B, 8) are one-hot in the order a b c d X Y E B;
    the target, (B,), reads the Xs and Ys as the digits of a binary number.
    """
    symbols = torch.randint(4, (length, count), generator=generator)
    symbols[0], symbols[-1] = 6, 7
    target = torch.zeros(count, dtype=torch.long)
    for low, high in spans:
        steps = int(low * length), max(int(high * length), int(low * length) + 1)
        place = torch.randint(*steps, (1, count), generator=generator)
        drawn = torch.randint(2, (1, count), generator=generator)
        symbols.scatter_(0, place, drawn + 4)
        target = 2 * target + drawn[0]
    return Batch(_one_hot(symbols, 8), target)


def _order_2(length: int, count: int, generator: Generator) -> Batch:
    return temporal_order(length, count, generator, ((0.1, 0.2), (0.5, 0.6)))


def _order_3(length: int, count: int, generator: Generator) -> Batch:
    return temporal_order(length, count, generator, ((0.1, 0.2), (0.33, 0.43), (0.66, 0.76)))


def _one_hot(symbols: Tensor, size: int) -> Tensor:
    # torch's own gives int64, eight times the memory, to be converted afterwards.
    return torch.zeros(*symbols.shape, size).scatter_(2, symbols.unsqueeze(-1), 1.0)


DRAW: Mapping[str, Callable[[int, int, Generator], Batch]] = {
    "adding": adding,
    "copy": copy_memory,
    "temporal-order": _order_2,
    "temporal-order-3": _order_3,
}


HeldOut = Literal["valid", "test"]


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
