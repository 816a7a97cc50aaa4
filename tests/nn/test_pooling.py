"""Pooling of the steps of sequences: what lies beyond a length never counts."""

import pytest
import torch

from recurra.nn.pooling import Pooling

KINDS = ("last", "mean", "max", "attention")
LENGTHS = torch.tensor([7, 3, 1])


def made(kind, *, bidirectional=False):
    torch.manual_seed(0)
    return Pooling(kind, 4, bidirectional=bidirectional), torch.randn(7, 3, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bidirectional", [False, True])
def test_each_row_is_pooled_as_by_itself(kind, bidirectional):
    pooling, outputs = made(kind, bidirectional=bidirectional)
    found = pooling(outputs, LENGTHS)
    for row, length in enumerate(LENGTHS.tolist()):
        alone = pooling(outputs[:length, row : row + 1], LENGTHS[row : row + 1])
        torch.testing.assert_close(found[row], alone[0])


@pytest.mark.parametrize("kind", KINDS)
def test_what_lies_beyond_changes_nothing_and_has_no_gradient(kind):
    pooling, outputs = made(kind)
    other = outputs.clone()
    other[3:, 1], other[1:, 2] = float("nan"), 1e30
    outputs.requires_grad_()
    assert torch.equal(pooling(outputs, LENGTHS), pooling(other, LENGTHS))
    pooling(outputs, LENGTHS).square().sum().backward()
    assert not outputs.grad[3:, 1].any()
    assert not outputs.grad[1:, 2].any()
    assert outputs.grad[0, 2].any()


def test_values_are_those_of_the_definitions():
    outputs = torch.tensor([[[1.0, 5.0]], [[3.0, -1.0]], [[9.0, 9.0]]])
    two = torch.tensor([2])
    for kind, wanted in {"last": [3, -1], "mean": [2, 2], "max": [3, 5]}.items():
        assert Pooling(kind, 2)(outputs, two).tolist() == [wanted], kind
    assert Pooling("last", 2, bidirectional=True)(outputs, two).tolist() == [[3, 5]]
    attention = Pooling("attention", 2)
    weights = attention.weights(outputs, two)
    scores = attention.score(outputs[:2, 0].detach())
    torch.testing.assert_close(weights[:2, 0], scores.softmax(0))
    assert weights[2].item() == 0
    assert weights.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("scale", [1e-4, 1, 1e4])
def test_along_gives_what_each_beginning_gives(kind, scale):
    pooling, outputs = made(kind)
    outputs = outputs * scale
    found = pooling.along(outputs)
    for steps in range(1, 8):
        wanted = pooling(outputs[:steps], torch.full((3,), steps))
        torch.testing.assert_close(found[steps - 1], wanted, rtol=1e-5, atol=1e-6 * scale)


def test_scores_that_grow_without_end_stay_finite():
    pooling, outputs = made("attention")
    with torch.no_grad():
        pooling.score[2].weight.mul_(1e4)
    assert pooling.along(outputs).isfinite().all()
    assert pooling(outputs, LENGTHS).isfinite().all()
