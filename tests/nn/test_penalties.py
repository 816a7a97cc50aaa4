"""Penalties against loops over the steps that are there, gradients included."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence

from recurra.nn import Recurrent
from recurra.nn.penalties import activation_penalty, temporal_activation_penalty

LENGTHS = [3, 0, 5, 1]


def outputs(steps=5, batch=4):
    return torch.randn(steps, batch, 3, dtype=torch.double, requires_grad=True)


def by_hand(y, lengths, *, changes):
    """The mean of squares, one number at a time."""
    places = [(t, b) for b, n in enumerate(lengths) for t in range(int(changes), n)]
    rows = [y[t, b] - (y[t - 1, b] if changes else 0) for t, b in places]
    squares = [value**2 for row in rows for value in row]
    return sum(squares) / len(squares)


PENALTIES = [(activation_penalty, False), (temporal_activation_penalty, True)]


@pytest.mark.parametrize(("penalty", "changes"), PENALTIES)
@pytest.mark.parametrize("lengths", [None, LENGTHS, torch.tensor(LENGTHS)])
@pytest.mark.parametrize("batch_first", [False, True])
def test_against_a_loop(penalty, changes, lengths, batch_first):
    y = outputs()
    wanted = by_hand(y, [5] * 4 if lengths is None else LENGTHS, changes=changes)
    given = y.transpose(0, 1) if batch_first else y
    found = penalty(given, lengths, batch_first=batch_first)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, y), torch.autograd.grad(wanted, y))


@pytest.mark.parametrize(("penalty", "changes"), PENALTIES)
@pytest.mark.parametrize("lengths", [[3, 1, 5, 2], [1, 1, 1, 4], [5, 5, 5, 5]])
def test_of_a_packed_sequence_it_is_that_of_its_steps(penalty, changes, lengths):
    y = outputs()
    packed = pack_padded_sequence(y, torch.tensor(lengths), enforce_sorted=False)
    wanted, found = by_hand(y, lengths, changes=changes), penalty(packed)
    torch.testing.assert_close(found, wanted)
    torch.testing.assert_close(torch.autograd.grad(found, y), torch.autograd.grad(wanted, y))


@pytest.mark.parametrize("penalty", [activation_penalty, temporal_activation_penalty])
def test_what_stands_in_the_padding_counts_for_nothing(penalty):
    y = outputs().detach()
    padded = y.clone()
    for b, n in enumerate(LENGTHS):
        padded[n:, b] = torch.nan
    padded.requires_grad_()
    found = penalty(padded, LENGTHS)
    torch.testing.assert_close(found, penalty(y, LENGTHS))
    (gradient,) = torch.autograd.grad(found, padded)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("penalty", [activation_penalty, temporal_activation_penalty])
def test_one_sequence_without_a_batch(penalty):
    y = outputs(batch=1)
    torch.testing.assert_close(penalty(y[:, 0]), penalty(y))


def test_a_mean_of_nothing_is_zero():
    y = outputs()
    packed = pack_padded_sequence(y, torch.ones(4, dtype=torch.long))
    assert temporal_activation_penalty(y[:1]) == 0
    assert temporal_activation_penalty(y, [1, 0, 1, 1]) == 0
    assert temporal_activation_penalty(packed) == 0
    assert activation_penalty(y, [0, 0, 0, 0]) == 0


def test_a_constant_output_has_no_temporal_penalty():
    y = torch.ones(5, 2, 3).requires_grad_()
    penalty = temporal_activation_penalty(y)
    assert penalty == 0
    assert activation_penalty(y) == 1


@pytest.mark.parametrize("penalty", [activation_penalty, temporal_activation_penalty])
def test_it_compiles_without_breaking_the_graph(penalty):
    layer, x = Recurrent("gru", 2, 3), torch.randn(4, 2, 2)
    compiled = torch.compile(lambda x: penalty(layer(x)[0]), fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(x), penalty(layer(x)[0]))


@pytest.mark.parametrize("penalty", [activation_penalty, temporal_activation_penalty])
@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ((torch.randn(3),), ValueError, r"y is 1D; give outputs \(T, B, size\)"),
        (((torch.randn(3, 2, 1), None),), ValueError, "y is tuple; .* the first value"),
        ((torch.randn(3, 2, 1), [4, 1]), ValueError, "between 0 and the 3 steps"),
        ((torch.randn(3, 2, 1), [3]), ValueError, r"lengths must have shape \(2,\)"),
        ((torch.randn(3, 2, 1), [1.0, 2.0]), TypeError, "whole numbers"),
    ],
)
def test_refused(penalty, given, error, text):
    with pytest.raises(error, match=text):
        penalty(*given)


@pytest.mark.parametrize("penalty", [activation_penalty, temporal_activation_penalty])
def test_a_packed_sequence_has_lengths_of_its_own(penalty):
    packed = pack_padded_sequence(outputs(), torch.tensor([5, 4, 2, 1]))
    with pytest.raises(ValueError, match="lengths can't be given with a packed sequence"):
        penalty(packed, [5, 4, 2, 1])
