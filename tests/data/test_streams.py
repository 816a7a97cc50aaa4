"""Streams: every token is seen once, next to what follows it, in rows that never jump."""

import pytest
import torch

from recurra.data.batches import Streams
from recurra.errors import DataError


@pytest.mark.parametrize(("tokens", "rows", "window"), [(101, 4, 7), (50, 1, 0), (13, 3, 4)])
def test_windows_in_order_are_the_rows(tokens, rows, window):
    ids = torch.arange(tokens)
    streams = Streams(ids, rows=rows, window=window)
    windows = [streams.window(0, index) for index in range(len(streams))]
    inputs = torch.cat([w.inputs for w in windows])
    steps = (tokens - 1) // rows
    assert torch.equal(inputs.t().flatten(), ids[: steps * rows])
    assert torch.equal(torch.cat([w.targets for w in windows]), inputs + 1)


def test_the_last_window_may_be_shorter():
    streams = Streams(torch.arange(12), rows=1, window=4)
    assert [len(streams.window(0, index).inputs) for index in range(len(streams))] == [4, 4, 3]


def test_window_nought_is_the_whole_row():
    streams = Streams(torch.arange(21), rows=2, window=0)
    assert len(streams) == 1
    assert streams.window(3, 0).inputs.shape == (10, 2)


def test_a_text_of_one_window_will_do_and_one_token_less_not():
    assert len(Streams(torch.arange(33), rows=4, window=8)) == 1
    with pytest.raises(DataError, match=r"32 tokens.*need 33.*batch_size or window"):
        Streams(torch.arange(32), rows=4, window=8)
