"""Batches of four kinds, the same whenever they are asked for by seed, epoch and index.

| class      | samples              | a batch                                                      |
|------------|----------------------|--------------------------------------------------------------|
| `Streams`  | one long text        | the next window of every row, so that a state may be carried |
| `Shuffled` | of one size          | samples dealt out in another order in each epoch             |
| `Ragged`   | of different lengths | the same, padded, with their lengths                         |
| `Bucketed` | of different lengths | the same, of nearly equal lengths, so that little is padding |

None keeps a place in the data, so that a training resumes in the middle of an epoch. `shard` gives
one process its part of every batch, where several train together.
"""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from recurra.errors import ConfigError, DataError

__all__ = [
    "Bucketed",
    "Dealt",
    "Ragged",
    "RaggedBatch",
    "Shuffled",
    "Streams",
    "Window",
    "bucketed",
    "generator_of",
    "pad",
    "rows_of_rank",
]

Batch = TypeVar("Batch")


class Window(NamedTuple):
    """Inputs and targets of one window, both (T, B): a target is the token after its input."""

    inputs: Tensor
    targets: Tensor


class Streams:
    """A text of N tokens as B rows of equal length, seen through windows of T steps.

    Each window continues where the one before it ended, so a state may be carried from one to the
    next; the last may be shorter. Fewer than B tokens at the text's end go unused.

    Args:
        ids: the tokens, int64, of shape (N,).
        rows: number of rows, B.
        window: steps in a window, T; 0 for rows in one piece (full BPTT).

    Raises:
        DataError: the text is shorter than one window of B rows.

    Example:
        >>> import torch
        >>> Streams(torch.arange(9), rows=2, window=2).window(0, 1).inputs.tolist()
        [[2, 6], [3, 7]]
    """

    def __init__(self, ids: Tensor, *, rows: int, window: int) -> None:
        steps = (len(ids) - 1) // rows
        if steps < max(window, 1):
            raise DataError(_too_short(len(ids), rows, window))
        self._inputs = ids[: steps * rows].view(rows, steps).t()
        self._targets = ids[1 : steps * rows + 1].view(rows, steps).t()
        self._window = window or steps

    @classmethod
    def fitting(cls, ids: Tensor, *, rows: int, window: int) -> "Streams":
        """Streams of at most so many rows and steps: of a short text as many as it has room for.

        The rows are halved until one window of each fits; only one row has a shorter window.
        """
        while rows > 1 and (len(ids) - 1) // rows < max(window, 1):
            rows //= 2
        return cls(ids, rows=rows, window=min(window, max(len(ids) - 1, 1)))

    @property
    def rows(self) -> int:
        """Number of rows, B."""
        return self._inputs.shape[1]

    @property
    def steps(self) -> int:
        """Steps in a window, T."""
        return self._window

    def __len__(self) -> int:
        """Windows in one epoch."""
        return -(-len(self._inputs) // self._window)

    def window(self, epoch: int, index: int) -> Window:
        """Window `index` of any epoch: every epoch reads the text in the same order."""
        steps = slice(index * self._window, (index + 1) * self._window)
        return Window(self._inputs[steps].contiguous(), self._targets[steps].contiguous())

    def shard(self, rank: int, world: int) -> "Streams":
        """The rows of process `rank` of `world`; `ConfigError` where they can't be divided."""
        part, rows = copy.copy(self), rows_of_rank(self._inputs.shape[1], rank, world)
        part._inputs, part._targets = self._inputs[:, rows], self._targets[:, rows]
        return part


class Dealt(Generic[Batch]):
    """Samples dealt out to batches in another order in each epoch; those left over go unused.

    A subclass says what a batch of some samples is.

    Raises:
        DataError: there are fewer samples than a batch has.
    """

    def __init__(self, count: int, *, batch_size: int, seed: int) -> None:
        if count < batch_size:
            raise DataError(
                f"There are {count} sequences to train on, fewer than batch_size = {batch_size}; "
                "lower batch_size, or give more."
            )
        self._count, self._batch_size, self._seed = count, batch_size, seed
        self._rows = slice(0, batch_size)
        self._dealt: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        """Batches in one epoch."""
        return self._count // self._batch_size

    def window(self, epoch: int, index: int) -> Batch:
        """Batch `index` of `epoch`."""
        if self._dealt is None or self._dealt[0] != epoch:
            generator = generator_of("deal", self._seed, epoch)
            self._dealt = epoch, self._order(generator)
        chosen = self._dealt[1][index * self._batch_size : (index + 1) * self._batch_size]
        return self.batch(chosen[self._rows])

    def in_order(self) -> Iterator[Batch]:
        """Every sample once, in order, in batches of which the last may be smaller: to evaluate."""
        for rows in torch.split(torch.arange(self._count), self._batch_size):
            yield self.batch(rows)

    def shard(self, rank: int, world: int) -> "Dealt[Batch]":
        """Each batch's part for process `rank` of `world`.

        Raises `ConfigError` where batches can't be divided by as many.
        """
        part = copy.copy(self)
        part._rows = rows_of_rank(self._batch_size, rank, world)
        return part

    def batch(self, rows: Tensor) -> Batch:
        """The batch of the samples with these numbers, (B,)."""
        raise NotImplementedError

    def _order(self, generator: Generator) -> Tensor:
        """The samples' numbers in an epoch's order, one batch after another."""
        return torch.randperm(self._count, generator=generator)


class Shuffled(Dealt[tuple[Tensor, ...]]):
    """Samples of one size: tensors (N, ...), of which a batch has the same B rows of each.

    Example:
        >>> samples = Shuffled(torch.arange(6.0), torch.arange(6), batch_size=2, seed=0)
        >>> len(samples), [part.shape for part in samples.window(0, 2)]
        (3, [torch.Size([2]), torch.Size([2])])
    """

    def __init__(self, *tensors: Tensor, batch_size: int, seed: int) -> None:
        super().__init__(
            _common([len(tensor) for tensor in tensors]), batch_size=batch_size, seed=seed
        )
        self._tensors = tensors

    def batch(self, rows: Tensor) -> tuple[Tensor, ...]:
        """These rows of each tensor."""
        return tuple(tensor[rows] for tensor in self._tensors)


class RaggedBatch(NamedTuple):
    """B sequences of different lengths.

    `inputs` (T, B, ...) has zeros after each row's end, `lengths` is (B,). `targets` is (B, ...)
    where each sequence has one, else (T', B, ...), padded, with `target_lengths` (B,).
    """

    inputs: Tensor
    lengths: Tensor
    targets: Tensor | None
    target_lengths: Tensor | None


class Ragged(Dealt[RaggedBatch]):
    """Sequences of different lengths, padded to the longest of their batch.

    Args:
        sequences: N of them, each (T_i,) of tokens or (T_i, ...) of features: tensors, arrays or
            lists. They are read when a batch is asked for, so may be computed then.
        targets: one for each sequence, as a tensor or array (N, ...) or a list of numbers; or a
            list of sequences: one target for each step, or a text, of any length.
        padding: value of targets after a sequence's end; that of inputs is 0. The default is the
            one that torch's losses ignore.

    Raises:
        DataError: there are fewer sequences than a batch has, or as many targets as not.

    Example:
        >>> words = Ragged([[1, 2], [3], [4, 5, 6]], [0, 1, 0], batch_size=2, seed=0)
        >>> batch = words.batch(torch.tensor([1, 2]))
        >>> batch.inputs.tolist(), batch.lengths.tolist(), batch.targets.tolist()
        ([[3, 4], [0, 5], [0, 6]], [1, 3], [1, 0])
    """

    def __init__(
        self,
        sequences: Sequence[Any],
        targets: Any = None,
        *,
        batch_size: int,
        seed: int,
        padding: int = -100,
    ) -> None:
        counts = [len(sequences)] if targets is None else [len(sequences), len(targets)]
        super().__init__(_common(counts), batch_size=batch_size, seed=seed)
        self._sequences, self._padding = sequences, padding
        self._targets = targets
        self._is_one_each = targets is None or hasattr(targets, "shape") or not _has_steps(targets)

    def batch(self, rows: Tensor) -> RaggedBatch:
        """These sequences, padded."""
        inputs, lengths = pad([self._sequences[row] for row in rows.tolist()])
        if self._targets is None:
            return RaggedBatch(inputs, lengths, None, None)
        chosen = [torch.as_tensor(self._targets[row]) for row in rows.tolist()]
        if self._is_one_each:
            return RaggedBatch(inputs, lengths, torch.stack(chosen), None)
        return RaggedBatch(inputs, lengths, *pad(chosen, self._padding))


class Bucketed(Ragged):
    """As `Ragged`, but the sequences of a batch have nearly equal lengths.

    In each epoch the shuffled sequences are sorted by length among those of `pool` batches, and the
    batches are shuffled then. `lengths` (N,) are those of the sequences, counted if left out.

    Example:
        >>> words = [[1] * length for length in (9, 1, 8, 2)]
        >>> batches = Bucketed(words, batch_size=2, seed=0)
        >>> sorted(sorted(batches.window(0, index).lengths.tolist()) for index in range(2))
        [[1, 2], [8, 9]]
    """

    def __init__(
        self,
        sequences: Sequence[Any],
        targets: Any = None,
        *,
        batch_size: int,
        seed: int,
        padding: int = -100,
        lengths: Sequence[int] | None = None,
        pool: int = 50,
    ) -> None:
        super().__init__(sequences, targets, padding=padding, batch_size=batch_size, seed=seed)
        counted = [len(sequence) for sequence in sequences] if lengths is None else lengths
        _common([len(sequences), len(counted)])
        self._lengths, self._pool = torch.as_tensor(counted), pool

    def _order(self, generator: Generator) -> Tensor:
        order = super()._order(generator)
        return bucketed(order, self._lengths, self._batch_size, self._pool, generator)


def bucketed(
    order: Tensor, lengths: Tensor, batch_size: int, pool: int, generator: Generator
) -> Tensor:
    """The samples of `order` (N,) in batches of nearly equal lengths, the batches in random order.

    They are sorted by `lengths` among those of `pool` batches; those left over go unused.
    """
    count = len(order) // batch_size
    pools = torch.split(order[: count * batch_size], pool * batch_size)
    by_length = [part[lengths[part].argsort(stable=True)] for part in pools]
    batches = torch.cat(by_length).view(count, batch_size)
    return batches[torch.randperm(count, generator=generator)].flatten()


def pad(sequences: Sequence[Any], value: float = 0) -> tuple[Tensor, Tensor]:
    """Sequences (T_i, ...) as one tensor (T, B, ...) with `value` after their ends, and lengths."""
    tensors = [torch.as_tensor(sequence) for sequence in sequences]
    lengths = torch.tensor([len(tensor) for tensor in tensors])
    return pad_sequence(tensors, padding_value=value), lengths


def generator_of(*key: object) -> Generator:
    """A generator seeded by all of `key`: different keys never share a stream."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return Generator().manual_seed(int.from_bytes(digest) >> 1)


def rows_of_rank(rows: int, rank: int, world: int) -> slice:
    """The part of a batch's rows that process `rank` of `world` trains on, as many as any other.

    Raises `ConfigError` where the rows can't be divided so.
    """
    if rows % world:
        raise ConfigError(
            f"batch_size = {rows} can't be divided evenly between {world} processes; give a "
            f"multiple of {world}."
        )
    own = rows // world
    return slice(rank * own, (rank + 1) * own)


def _common(counts: Sequence[int]) -> int:
    """The number of samples, which all that belongs to them must have."""
    if len(set(counts)) != 1:
        raise DataError(
            f"There are {' and '.join(map(str, counts))} inputs, targets or lengths; each sequence "
            "needs one of each."
        )
    return counts[0]


def _has_steps(targets: Sequence[Any]) -> bool:
    """Tell whether each target is a sequence of its own."""
    return bool(len(targets)) and torch.as_tensor(targets[0]).dim() > 0


def _too_short(tokens: int, rows: int, window: int) -> str:
    return (
        f"The text has {tokens} tokens, and {rows} rows with windows of {max(window, 1)} steps "
        f"need {rows * max(window, 1) + 1}; give more text, or lower batch_size or window."
    )
