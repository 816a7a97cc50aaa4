"""Batches of samples: dealt out by seed, the same whenever asked for, padded, bucketed, divided."""

from itertools import chain

import numpy
import pytest
import torch

from recurra.data.batches import Bucketed, Ragged, Shuffled, Streams, generator_of, pad
from recurra.errors import ConfigError, DataError

LENGTHS = [(7 * n) % 23 + 1 for n in range(50)]
TOKENS = [torch.full((length,), n) for n, length in enumerate(LENGTHS)]
NUMBERS = torch.arange(50)


def shuffled(seed=0, batch_size=8):
    return Shuffled(NUMBERS, 10 * NUMBERS, batch_size=batch_size, seed=seed)


def ragged(seed=0, batch_size=8):
    return Ragged(TOKENS, NUMBERS, batch_size=batch_size, seed=seed)


def bucketed(seed=0, batch_size=8, pool=50):
    return Bucketed(TOKENS, NUMBERS, batch_size=batch_size, seed=seed, pool=pool)


def numbers(batch):
    """Which samples are in a batch."""
    return (batch[0] if len(batch) == 2 else batch.targets).tolist()


def epoch(windows, number):
    return [numbers(windows.window(number, index)) for index in range(len(windows))]


KINDS = pytest.mark.parametrize("make", [shuffled, ragged, bucketed])


@pytest.mark.parametrize(
    ("tokens", "rows", "window"),
    [(4097, 32, 128), (4096, 16, 128), (2048, 8, 128), (129, 1, 128), (128, 1, 127), (2, 1, 1)],
)
def test_a_short_text_has_fewer_rows_and_then_a_shorter_window(tokens, rows, window):
    found = Streams.fitting(torch.arange(tokens), rows=32, window=128)
    assert (found.rows, found.steps) == (rows, window)
    assert found.window(0, 0).inputs.shape == (window, rows)


def test_a_short_text_in_one_piece_has_fewer_rows():
    found = Streams.fitting(torch.arange(20), rows=32, window=0)
    assert (found.rows, found.steps, len(found)) == (16, 1, 1)
    with pytest.raises(DataError, match="The text has 1 tokens"):
        Streams.fitting(torch.arange(1), rows=4, window=2)


@KINDS
def test_every_sample_is_dealt_at_most_once_an_epoch(make):
    dealt = [*chain(*epoch(make(), 3))]
    assert len(dealt) == 48 == len(set(dealt))


@KINDS
def test_epochs_and_seeds_have_orders_of_their_own(make):
    orders = [epoch(make(seed), number) for seed in (0, 1) for number in (0, 1)]
    assert all(a != b for at, a in enumerate(orders) for b in orders[:at])


@KINDS
def test_a_batch_is_the_same_whenever_it_is_asked_for(make):
    wanted, windows = epoch(make(), 2), make()
    windows.window(5, 0)
    assert numbers(windows.window(2, 4)) == wanted[4]  # resumed in the middle of the epoch
    assert numbers(windows.window(2, 1)) == wanted[1]


@KINDS
def test_shards_are_the_parts_of_each_batch(make):
    whole, parts = make(), [make().shard(rank, 4) for rank in range(4)]
    assert {len(part) for part in parts} == {len(whole)}
    for index in range(len(whole)):
        shared = [numbers(part.window(1, index)) for part in parts]
        assert {len(part) for part in shared} == {2}
        assert [*chain(*shared)] == numbers(whole.window(1, index))


@KINDS
def test_a_batch_that_can_not_be_divided(make):
    with pytest.raises(ConfigError, match=r"batch_size = 8 .* between 3 processes; .* of 3"):
        make().shard(0, 3)


@KINDS
def test_fewer_samples_than_a_batch(make):
    with pytest.raises(DataError, match="50 sequences to train on, fewer than batch_size = 51"):
        make(batch_size=51)


@KINDS
def test_in_order_is_every_sample_once(make):
    found = [numbers(batch) for batch in make().in_order()]
    assert [*chain(*found)] == NUMBERS.tolist()
    assert [len(batch) for batch in found] == [8] * 6 + [2]


def test_rows_of_all_tensors_stay_together():
    first, second = shuffled().window(0, 0)
    assert torch.equal(second, 10 * first)


def test_shards_of_streams_are_rows():
    whole = Streams(torch.arange(101), rows=4, window=7)
    parts = [whole.shard(rank, 2) for rank in range(2)]
    for index in range(len(whole)):
        for at, name in enumerate(("inputs", "targets")):
            joined = torch.cat([part.window(0, index)[at] for part in parts], 1)
            assert torch.equal(joined, getattr(whole.window(0, index), name))
    with pytest.raises(ConfigError, match="batch_size = 4"):
        whole.shard(0, 3)


def test_padding_and_lengths():
    batch = ragged().window(0, 0)
    assert batch.inputs.shape == (int(batch.lengths.max()), 8)
    assert batch.lengths.tolist() == [LENGTHS[n] for n in batch.targets]
    for row, (number, length) in enumerate(zip(batch.targets, batch.lengths, strict=True)):
        assert (batch.inputs[:length, row] == number).all()
        assert (batch.inputs[length:, row] == 0).all()


def test_features_from_arrays():
    sequences = [numpy.ones((n, 3), numpy.float32) for n in (4, 1)]
    batch = Ragged(sequences, batch_size=2, seed=0).batch(torch.tensor([1, 0]))
    assert batch.inputs.shape == (4, 2, 3)
    assert batch.inputs.dtype == torch.float32
    assert batch.lengths.tolist() == [1, 4]
    assert (batch.targets, batch.target_lengths) == (None, None)


@pytest.mark.parametrize("kind", [list, numpy.array, torch.tensor])
def test_a_target_for_each_sequence(kind):
    batch = Ragged([[1, 2], [3]], kind([5, 7]), batch_size=2, seed=0).batch(torch.tensor([1, 0]))
    assert batch.targets.tolist() == [7, 5]
    assert batch.target_lengths is None


@pytest.mark.parametrize("kind", [list, numpy.array, torch.tensor])
def test_a_target_for_each_step(kind):
    targets = [kind([5, 6]), kind([7])]
    batch = Ragged([[1, 2], [3]], targets, batch_size=2, seed=0).batch(torch.tensor([1, 0]))
    assert batch.targets.tolist() == [[7, 5], [-100, 6]]  # -100: what torch's losses ignore
    assert torch.equal(batch.target_lengths, batch.lengths)


def test_targets_of_other_lengths():
    targets = [[5, 6, 7], [8]]
    found = Ragged([[1, 2], [3]], targets, batch_size=2, seed=0, padding=0).batch(torch.arange(2))
    assert found.targets.tolist() == [[5, 8], [6, 0], [7, 0]]
    assert found.target_lengths.tolist() == [3, 1]


def test_as_many_targets_as_not():
    with pytest.raises(DataError, match="50 and 49"):
        Ragged(TOKENS, NUMBERS[1:], batch_size=2, seed=0)


def padding_of(windows):
    batches = [windows.window(0, index) for index in range(len(windows))]
    return sum(b.inputs.numel() - int(b.lengths.sum()) for b in batches)


def test_buckets_save_padding():
    assert padding_of(bucketed()) < padding_of(ragged()) / 4
    assert padding_of(bucketed()) < padding_of(bucketed(pool=2)) < padding_of(ragged())


def test_buckets_come_in_any_order():
    windows = bucketed()
    longest = [int(windows.window(0, at).lengths.max()) for at in range(len(windows))]
    assert longest not in (sorted(longest), sorted(longest, reverse=True))


def test_lengths_that_are_given_are_not_counted():
    class Lazy:
        def __len__(self):
            return 4

        def __getitem__(self, index):
            read.append(index)
            return [index] * (index + 1)

    read = []
    windows = Bucketed(Lazy(), batch_size=2, seed=0, lengths=[1, 2, 3, 4])
    assert read == []
    assert sorted(windows.window(0, 0).lengths.tolist()) in ([1, 2], [3, 4])
    assert len(read) == 2


def test_pad_alone():
    values, lengths = pad([[1.0], [2.0, 3.0]], value=9)
    assert values.tolist() == [[1.0, 2.0], [9.0, 3.0]]
    assert lengths.tolist() == [1, 2]


def test_unlike_keys_have_streams_of_their_own():
    keys = [("a", 1), ("a", 2), ("b", 1), ("a", "1")]
    drawn = {torch.randint(2**60, (1,), generator=generator_of(*key)).item() for key in keys}
    assert len(drawn) == 4
