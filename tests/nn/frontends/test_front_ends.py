"""Front ends: rows that don't depend on one another, lengths, and streams in any chunks."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.nn.frontends import Block, FrontEndStream, PlaneFrontEnd, SequenceFrontEnd
from recurra.nn.frontends.convolutions import RaggedNorm

SHAPES = [
    [Block(4)],
    [Block(4, steps=2), Block(3)],
    [Block(4), Block(3, steps=2, features=2), Block(5, steps=3)],
    [Block(4, steps=2, features=2), Block(4, steps=2, features=2), Block(5, features=2)],
]


def front_ends():
    found = []
    for kind in (SequenceFrontEnd, PlaneFrontEnd):
        for blocks in SHAPES:
            torch.manual_seed(0)
            front = kind(6, blocks)
            for norm in front.norms:  # as after some training
                norm.mean.normal_()
                norm.variance.uniform_(0.5, 2)
            found.append(pytest.param(front, id=f"{kind.__name__}-{front.subsampling}"))
    return found


@pytest.mark.parametrize("front", front_ends())
def test_rows_do_not_depend_on_one_another(front):
    features, lengths = torch.randn(13, 3, 6), torch.tensor([13, 8, 1])
    steps, found = front.eval()(features, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, one = front(features[:length, row : row + 1], lengths[row : row + 1])
        assert one.item() == found[row].item() == len(alone)
        torch.testing.assert_close(steps[: len(alone), row], alone[:, 0])
        assert not steps[len(alone) :, row].any()
    assert steps.shape[2] == front.output_size


def steps_read(front, at):
    """The first and the last input step that output step `at` reads, by its gradient."""
    features = torch.randn(60, 16, 6, requires_grad=True)
    steps, _ = front.eval()(features, torch.full((16,), 60))
    (gradient,) = torch.autograd.grad(steps[at].sum(), features)
    reads = gradient.abs().sum((1, 2)).nonzero().flatten()
    return int(reads.min()), int(reads.max())


@pytest.mark.parametrize("front", front_ends())
def test_the_context_is_that_of_the_gradient(front):
    at = 30 // front.subsampling
    first, last = steps_read(front, at)
    own = at * front.subsampling
    assert first >= own - front.context.before
    assert last < own + front.subsampling + front.context.after


def test_the_context_is_no_longer_than_it_must_be():
    front = SequenceFrontEnd(6, [Block(64), Block(64, steps=2), Block(64)])
    assert steps_read(front, 15) == (30 - front.context.before, 31 + front.context.after)


@pytest.mark.parametrize("front", front_ends())
@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
@settings(max_examples=25, deadline=None)
def test_any_chunks_give_the_steps_of_the_whole(front, sizes):
    features = torch.randn(max(sum(sizes), 1), 6, generator=torch.Generator().manual_seed(1))
    whole, _ = front.eval()(features.unsqueeze(1), torch.tensor([len(features)]))
    stream = FrontEndStream(front)
    parts = [stream.feed(part) for part in features.split(sizes)] if sum(sizes) else []
    if not parts:
        parts = [stream.feed(features)]
    parts.append(stream.finish())
    torch.testing.assert_close(torch.cat(parts), whole[:, 0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("front", front_ends())
def test_a_stream_waits_for_its_look_ahead_alone_and_holds_little(front):
    stream, given_steps = FrontEndStream(front.eval()), 0
    for come in range(1, 201):
        given_steps += len(stream.feed(torch.randn(1, 6)))
        assert given_steps == max(0, come - front.context.after) // front.subsampling
    most = front.context.before + front.context.after + 3 * front.subsampling
    assert len(stream.held) <= most


def test_an_empty_stream_has_no_steps():
    stream = FrontEndStream(SequenceFrontEnd(6, [Block(4, steps=2)]))
    assert stream.finish().shape == (0, 4)


@pytest.mark.parametrize("shape", [(5, 4, 7), (5, 4, 7, 3)])
def test_the_norm_is_torchs_on_the_steps_that_are_there(shape):
    rows, lengths = 3 + 2 * torch.randn(shape), [7, 4, 1, 7, 2]
    mask = torch.zeros(5, 1, 7, *[1] * (len(shape) - 3))
    for row, length in enumerate(lengths):
        mask[row, :, :length] = 1
    present = [rows[row, :, :length].flatten(1) for row, length in enumerate(lengths)]
    together = torch.cat(present, 1).t()
    ours, theirs = RaggedNorm(4), torch.nn.BatchNorm1d(4)
    expected = theirs(together)
    found = ours(rows, mask)
    again = [found[row, :, :length].flatten(1) for row, length in enumerate(lengths)]
    torch.testing.assert_close(torch.cat(again, 1).t(), expected)
    torch.testing.assert_close(ours.mean, theirs.running_mean)
    torch.testing.assert_close(ours.variance, theirs.running_var)
    torch.testing.assert_close(
        ours.eval()(rows, mask)[0, :, :7].flatten(1).t(), theirs.eval()(present[0].t())
    )
