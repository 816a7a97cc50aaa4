"""Sequences of the synthetic problems, drawn from a generator, a whole batch at a time."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from recurra.tasks.long_range.problems import RECALLED

__all__ = ["DRAW", "Batch", "adding", "copy_memory", "temporal_order"]


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
