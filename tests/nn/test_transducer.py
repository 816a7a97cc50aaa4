"""The transducer against all alignments, closed forms, and the same written without slices."""

import itertools
import math

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from recurra.nn.transducer import Joint, PredictionNetwork, Transducer, transducer_loss


def scores(batch, frames, symbols, scale=1.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = ((batch, frames, symbols + 1), (batch, frames, symbols))
    drawn = (torch.randn(size, generator=generator, dtype=torch.float64) for size in sizes)
    return tuple((values * scale - 1).requires_grad_() for values in drawn)


def whole(log_blank, log_emit):
    batch, frames, symbols = log_emit.shape
    return transducer_loss(log_blank, log_emit, [frames] * batch, [symbols] * batch)


def by_all_alignments(log_blank, log_emit):
    """One sequence: the sum over the orders of its blanks and symbols, the last a blank."""
    frames, symbols = log_emit.shape
    log_blank, log_emit = log_blank.tolist(), log_emit.tolist()
    paths = []
    for places in itertools.combinations(range(frames - 1 + symbols), symbols):
        t = u = 0
        path = []
        for step in range(frames + symbols):
            if step in places:
                path.append(log_emit[t][u])
                u += 1
            else:
                path.append(log_blank[t][u])
                t += 1
        paths.append(math.fsum(path))
    return -math.log(math.fsum(math.exp(path) for path in paths))


def by_rows(log_blank, log_emit):
    """One `logcumsumexp` a frame, differentiated by autograd."""
    sums = torch.nn.functional.pad(log_emit.cumsum(-1), (1, 0))
    alpha = sums[:, 0]
    for t in range(1, log_blank.shape[1]):
        alpha = sums[:, t] + torch.logcumsumexp(alpha + log_blank[:, t - 1] - sums[:, t], -1)
    return -(alpha[:, -1] + log_blank[:, -1, -1])


SIZES = [(1, 0), (1, 3), (4, 0), (2, 5), (5, 4), (6, 1)]


@pytest.mark.parametrize(("frames", "symbols"), SIZES)
@pytest.mark.parametrize("scale", [1.0, 20.0])
def test_the_loss_sums_over_all_alignments(frames, symbols, scale):
    blank, emit = scores(3, frames, symbols, scale)
    expected = [by_all_alignments(b, e) for b, e in zip(blank, emit, strict=True)]
    found = whole(blank, emit).tolist()
    assert found == pytest.approx(expected, rel=1e-14, abs=1e-14)


@pytest.mark.parametrize(("frames", "symbols"), [(2000, 200), (3, 400)])
def test_long_sequences_have_the_loss_of_their_closed_form(frames, symbols):
    blank = torch.full((1, frames, symbols + 1), -3.0, dtype=torch.float64, requires_grad=True)
    emit = torch.full((1, frames, symbols), -7.0, dtype=torch.float64, requires_grad=True)
    loss = whole(blank, emit)
    alignments = math.log(math.comb(frames - 1 + symbols, symbols))
    assert loss.item() == pytest.approx(3.0 * frames + 7.0 * symbols - alignments, rel=1e-13)
    loss.sum().backward()
    assert blank.grad.sum().item() == pytest.approx(-frames)
    assert emit.grad.sum((0, 1)).tolist() == pytest.approx([-1.0] * symbols)


def test_rows_of_logcumsumexp_and_their_gradients_agree():
    blank, emit = scores(2, 60, 25)
    loss, expected = whole(blank, emit), by_rows(blank, emit)
    torch.testing.assert_close(loss, expected, rtol=1e-13, atol=0)
    weight = torch.tensor([1.0, -2.5], dtype=torch.float64)
    found = torch.autograd.grad((loss * weight).sum(), (blank, emit))
    wanted = torch.autograd.grad((expected * weight).sum(), (blank, emit))
    torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-12)


def test_the_gradient_is_that_of_differences():
    blank, emit = scores(3, 4, 3)
    lengths, ends = torch.tensor([4, 2, 3]), torch.tensor([3, 1, 0])
    assert torch.autograd.gradcheck(
        lambda b, e: transducer_loss(b, e, lengths, ends), (blank, emit)
    )


def test_padding_is_ignored_and_has_no_gradient():
    lengths, ends = [5, 2, 4, 1], [3, 2, 0, 3]
    blank, emit = scores(4, 5, 3)
    alone = [
        whole(blank[b : b + 1, :t, : u + 1], emit[b : b + 1, :t, :u])
        for b, (t, u) in enumerate(zip(lengths, ends, strict=True))
    ]
    expected = torch.autograd.grad(torch.cat(alone).sum(), (blank, emit))
    is_padding = [torch.ones_like(values, dtype=torch.bool) for values in (blank, emit)]
    for b, (t, u) in enumerate(zip(lengths, ends, strict=True)):
        is_padding[0][b, :t, : u + 1] = False
        is_padding[1][b, :t, :u] = False
    given = [
        values.detach().masked_fill(padding, math.nan).requires_grad_()
        for values, padding in zip((blank, emit), is_padding, strict=True)
    ]
    loss = transducer_loss(*given, torch.tensor(lengths), torch.tensor(ends))
    torch.testing.assert_close(loss, torch.cat(alone), rtol=1e-14, atol=0)
    torch.testing.assert_close(torch.autograd.grad(loss.sum(), given), expected)


@pytest.mark.parametrize("low", [-1e4, -1e30, -math.inf])
def test_scores_of_next_to_nothing_lose_no_digit(low):
    """Symbol 2 can't come before frame 2, nor symbol 3 in it: alignments through these are gone."""
    blank, emit = (values.detach() for values in scores(1, 5, 4))
    emit[0, :2, 1] = emit[0, 2, 2] = low
    blank[0, 3, 1] = low
    blank, emit = blank.requires_grad_(), emit.requires_grad_()
    loss = whole(blank, emit)
    assert loss.item() == pytest.approx(by_all_alignments(blank[0], emit[0]), rel=1e-14)
    loss.sum().backward()
    assert (emit.grad[0, :2, 1] == 0).all()
    assert blank.grad.sum().item() == pytest.approx(-5)
    assert emit.grad.sum((0, 1)).tolist() == pytest.approx([-1.0] * 4)


def test_what_cant_be_has_an_infinite_loss_and_no_gradient():
    blank, emit = (values.detach() for values in scores(2, 4, 2))
    emit[0, :, 1] = -math.inf
    blank, emit = blank.requires_grad_(), emit.requires_grad_()
    loss = whole(blank, emit)
    assert loss[0] == math.inf
    loss.sum().backward()
    assert (blank.grad[0] == 0).all()
    assert (emit.grad[0] == 0).all()
    assert blank.grad[1].sum().item() == pytest.approx(-4)


def test_single_precision_sums_in_double():
    blank, emit = (values.detach().float() for values in scores(1, 500, 80))
    loss = whole(blank, emit)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, whole(blank.double(), emit.double()).float(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("blank", "emit", "lengths", "ends", "message"),
    [
        ((2, 4, 3), (2, 4, 3), [4, 4], [3, 3], r"one more column, \(2, 4, 4\)"),
        ((2, 4, 3), (2, 3, 2), [4, 4], [2, 2], r"one more column, \(2, 3, 3\)"),
        ((4, 3), (4, 2), [4], [2], r"log_blank has shape \(4, 3\); give log_blank \(B, T, U"),
        ((2, 4, 3), (2, 4, 2), [4, 0], [2, 2], "sequence 1 of the batch has 0 frames"),
        ((2, 4, 3), (2, 4, 2), [4, 5], [2, 2], "between 0 and the 4 steps"),
        ((2, 4, 3), (2, 4, 2), [4], [2, 2], r"lengths must have shape \(2,\)"),
        (
            (2, 4, 3),
            (2, 4, 2),
            [4, 4],
            [2, 3],
            "target_lengths don't fit .* 2 symbols: .* got 2 to 3",
        ),
    ],
)
def test_scores_and_lengths_that_dont_fit_are_named(blank, emit, lengths, ends, message):
    with pytest.raises(ValueError, match=message):
        transducer_loss(torch.zeros(blank), torch.zeros(emit), lengths, ends)


def test_scores_of_whole_numbers_are_refused():
    with pytest.raises(TypeError, match=r"log_blank is of torch.int64; give log-prob"):
        transducer_loss(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 1), [2], [1])


# -- the joint network


LENGTHS, ENDS = [7, 4, 1], [3, 0, 5]


def joint_inputs(dtype=torch.float64):
    torch.manual_seed(1)
    joint = Joint(4, 3, 6, tokens=5, dtype=dtype)
    encoded = torch.randn(3, 7, 4, dtype=dtype, requires_grad=True)
    predicted = torch.randn(3, 6, 3, dtype=dtype, requires_grad=True)
    targets = torch.randint(1, 5, (3, 5)).masked_fill(torch.arange(5) >= torch.tensor([ENDS]).T, 0)
    return joint, encoded, predicted, targets


def unsliced(joint, encoded, predicted, targets):
    """All scores at once, zero beyond the lengths."""
    every = joint.log_probabilities(encoded.unsqueeze(2), predicted.unsqueeze(1))
    chosen = targets[:, None, :, None].expand(-1, encoded.shape[1], -1, 1)
    emit = every[:, :, :-1].gather(-1, chosen).squeeze(-1)
    is_frame = torch.arange(7) < torch.tensor([LENGTHS]).T
    left = torch.tensor([ENDS]).T - torch.arange(6)
    return (
        torch.where(is_frame[..., None] & (left >= 0)[:, None], every[..., 0], 0),
        torch.where(is_frame[..., None] & (left[:, :-1] > 0)[:, None], emit, 0),
    )


@pytest.mark.parametrize("slice_elements", [1, 60, 2**18])
def test_slices_give_what_all_at_once_does(slice_elements):
    joint, *inputs = joint_inputs()
    joint.slice_elements = slice_elements
    found, wanted = joint(*inputs, LENGTHS, ENDS), unsliced(joint, *inputs)
    torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-14)
    over = [*inputs[:2], *joint.parameters()]
    weights = [torch.randn_like(values) for values in found]
    gradients = [torch.autograd.grad(values, over, weights) for values in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-13)


class Largest(TorchDispatchMode):
    """The number of elements of the largest tensor that any operation gives."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        tensors = result if isinstance(result, (tuple, list)) else [result]
        sizes = [t.numel() for t in tensors if isinstance(t, torch.Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return result


@pytest.mark.parametrize(("joint_size", "tokens"), [(40, 6), (6, 40)])
def test_no_tensor_is_larger_than_a_slice(joint_size, tokens):
    """All scores would be 2 x 60 x 11 x 40 = 52,800 elements."""
    joint = Joint(8, 5, joint_size, tokens, slice_elements=5_000)
    encoded, predicted = torch.randn(2, 60, 8, requires_grad=True), torch.randn(2, 11, 5)
    ends = [60, 60], [10, 10]
    with Largest() as largest:
        scores = joint(encoded, predicted, torch.randint(1, tokens, (2, 10)), *ends)
        transducer_loss(*scores, *ends).sum().backward()
    assert 4_000 < largest.elements <= 5_000


def test_a_frame_is_the_least_slice():
    joint = Joint(8, 5, joint_size=10, tokens=30, slice_elements=1)
    inputs = torch.randn(2, 40, 8), torch.randn(2, 5, 5), torch.ones(2, 4).long()
    with Largest() as largest:
        joint(*inputs, [40, 9], [4, 2])
    assert largest.elements <= 40 * 2 * 10


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoded": (3, 7, 3)}, r"give \(B, T, 4\), \(B, U \+ 1, 3\) and \(B, U\)"),
        ({"predicted": (3, 5, 3)}, "one output more than symbols"),
        ({"predicted": (2, 6, 3)}, "of as many sequences"),
        ({"targets": (3, 5, 1)}, r"shapes \(3, 7, 4\), \(3, 6, 3\) and \(3, 5, 1\)"),
    ],
)
def test_shapes_that_dont_fit_are_named(change, message):
    joint, *given = joint_inputs()
    names = ("encoded", "predicted", "targets")
    inputs = [
        torch.ones(change[name]) if name in change else value
        for name, value in zip(names, given, strict=True)
    ]
    with pytest.raises(ValueError, match=message):
        joint(*inputs, LENGTHS, ENDS)


@pytest.mark.parametrize(("token", "at"), [(5, (0, 1)), (-1, (0, 2)), (0, (2, 4))])
def test_targets_that_are_no_symbols_are_named(token, at):
    joint, encoded, predicted, targets = joint_inputs()
    targets[at] = token
    with pytest.raises(ValueError, match=rf"targets\[{at[0]}, {at[1]}\] is {token}; .* 1 to 4"):
        joint(encoded, predicted, targets, LENGTHS, ENDS)


def test_targets_must_be_whole_numbers():
    with pytest.raises(TypeError, match=r"give whole numbers \(B, U\), padded with 0"):
        PredictionNetwork(5, 4)(torch.ones(2, 3))


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ((4, 3, 0, 5), ValueError, "joint_size is 0; give at least 1"),
        ((4, 3, 6, 1), ValueError, "tokens is 1; give at least 2, the blank and a symbol"),
        ((4, 3, 6.0, 5), TypeError, "joint_size should be of type int"),
    ],
)
def test_sizes_that_cant_be_are_named(sizes, error, message):
    with pytest.raises(error, match=message):
        Joint(*sizes)


# -- the prediction network


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_steps_give_what_whole_targets_do(cell):
    """Two sequences, one a step behind the other: states of different calls stand side by side."""
    network = PredictionNetwork(6, 4, cell=cell, layers=2)
    targets = torch.tensor([[3, 5, 1], [2, 2, 4]])
    wanted = network(targets)
    first, states = network.step(torch.tensor([0, 0]))
    ahead, after = network.step(targets[1:, 0], states[1:])
    both, after = network.step(torch.tensor([4, 3]), [after[0], states[0]])
    torch.testing.assert_close(first, wanted[:, 0])
    torch.testing.assert_close(ahead[0], wanted[1, 1])
    torch.testing.assert_close(both[1], wanted[0, 1])
    torch.testing.assert_close(both[0], network(torch.tensor([[2, 4]]))[0, 2])
    assert len(after) == 2


def test_the_whole_is_the_sum_over_alignments_of_its_steps():
    torch.manual_seed(3)
    transducer = Transducer(4, 5, joint_size=6, predictor_size=3, cell="gru", dtype=torch.float64)
    encoded, target = torch.randn(1, 4, 4, dtype=torch.float64), torch.tensor([[2, 4, 4]])
    outputs, states = transducer.predict(torch.tensor([0]))
    every = [outputs]
    for token in target[0]:
        outputs, states = transducer.predict(token.view(1), states)
        every.append(outputs)
    table = torch.stack([transducer.join(frame, torch.cat(every)) for frame in encoded[0]])
    emit = table[:, torch.arange(3), target[0]]
    found = transducer(encoded, target, [4], [3])
    assert found.item() == pytest.approx(by_all_alignments(table[..., 0], emit), rel=1e-13)
