"""`lengths` and `resets` of whole layers, against packed sequences and segments run apart."""

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra.nn

LAYERS = [
    ("RNN", {}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 3}),
    ("GRU", {}),
]
STEPS, BATCH = 9, 4


def layer(name, **kwargs):
    return getattr(recurra.nn, name)(5, 6, num_layers=2, dtype=torch.double, **kwargs)


def inputs(batch_first=False):
    shape = (BATCH, STEPS, 5) if batch_first else (STEPS, BATCH, 5)
    return torch.randn(shape, dtype=torch.double)


def flat(states):
    return list(states) if isinstance(states, tuple) else [states]


@pytest.mark.parametrize(("name", "kind"), LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_lengths_equal_a_packed_sequence(name, kind, batch_first):
    module = layer(name, bidirectional=True, batch_first=batch_first, **kind)
    x, lengths = inputs(batch_first), torch.tensor([4, 9, 1, 6])
    packed = pack_padded_sequence(x, lengths, batch_first, enforce_sorted=False)
    wanted, wanted_last = getattr(torch.nn, name).forward(torch_twin(module), packed)
    found, last = module(x, lengths=lengths)
    torch.testing.assert_close(found, pad_packed_sequence(wanted, batch_first)[0])
    torch.testing.assert_close(last, wanted_last)


def torch_twin(module):
    options = ("num_layers", "bias", "batch_first", "bidirectional", "proj_size")
    kwargs = {name: getattr(module, name) for name in options}
    kwargs = {k: v for k, v in kwargs.items() if k != "proj_size" or v}
    name = type(module).__name__
    twin = getattr(torch.nn, name)(5, 6, dtype=torch.double, **kwargs)
    twin.load_state_dict(module.state_dict())
    return twin


@pytest.mark.parametrize(("name", "kind"), LAYERS)
def test_a_row_of_length_zero_keeps_its_state(name, kind):
    module = layer(name, **kind)
    rows = [torch.randn(2, 1, s, dtype=torch.double) for s in state_sizes(module)]
    hx = tuple(r.expand(-1, BATCH, -1) for r in rows)
    y, last = module(inputs(), hx if name == "LSTM" else hx[0], lengths=[0, 9, 3, 0])
    assert torch.equal(y[:, 0], torch.zeros_like(y[:, 0]))
    for state, row in zip(flat(last), rows, strict=True):
        assert torch.equal(state[:, 0], row[:, 0])


@pytest.mark.parametrize("engine", ["cpu", "torch", "interp"])
@pytest.mark.parametrize("batch", [0, 2])
@pytest.mark.parametrize("is_recorded", [False, True])
@pytest.mark.parametrize(("name", "kind"), LAYERS)
def test_where_no_step_is_left_every_gradient_is_zeros(name, kind, is_recorded, batch, engine):
    module = layer(name, engine=engine, bidirectional=True, **kind)
    x = torch.randn(9, batch, 5, dtype=torch.double, requires_grad=True)
    y, last = module(x, lengths=[0] * batch)
    leaves = [x, *module.parameters()]
    for results in ([y], [y, *flat(last)]):
        total = sum(r.square().sum() for r in results)
        found = torch.autograd.grad(
            total, leaves, create_graph=is_recorded, retain_graph=True, allow_unused=True
        )
        assert [None if g is None else g.count_nonzero() for g in found] == [0] * len(leaves)


def state_sizes(module):
    return [module.proj_size or 6, 6] if module.mode == "LSTM" else [6]


@pytest.mark.parametrize("poison", [float("nan"), float("inf"), 1e300])
def test_what_stands_in_the_padding_is_never_read(poison):
    module = layer("GRU", bidirectional=True)
    lengths, x = torch.tensor([4, 9, 1, 6]), inputs()
    found = []
    for filler in (0.0, poison):
        padding = torch.arange(STEPS).unsqueeze(1) >= lengths
        given = x.masked_fill(padding.unsqueeze(-1), filler).requires_grad_()
        y, h = module(given, lengths=lengths)
        total = y.square().sum() + h.sum()
        found.append(torch.autograd.grad(total, [given, *module.parameters()]))
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.parametrize(("name", "kind"), LAYERS)
@pytest.mark.parametrize("batch_first", [False, True])
def test_resets_equal_segments_run_apart(name, kind, batch_first):
    module = layer(name, bidirectional=False, batch_first=batch_first, **kind)
    x, cut = inputs(batch_first), 4
    axis = 1 if batch_first else 0
    marks = torch.zeros(x.shape[:2], dtype=torch.bool)
    marks.select(axis, cut).fill_(True)
    found, last = module(x, resets=marks)
    first, second = x.split([cut, STEPS - cut], dim=axis)
    torch.testing.assert_close(found, torch.cat([module(first)[0], module(second)[0]], dim=axis))
    torch.testing.assert_close(last, module(second)[1])


def test_a_reversed_direction_resets_on_the_other_side_of_the_mark():
    module = recurra.nn.GRU(5, 6, bidirectional=True, dtype=torch.double)
    x, cut = inputs(), 4
    marks = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    marks[cut] = True
    wanted = torch.cat([module(part)[0] for part in x.split([cut, STEPS - cut])])
    torch.testing.assert_close(module(x, resets=marks)[0], wanted)


def test_a_mark_at_the_first_step_hides_the_state_given():
    module = layer("LSTM")
    h, c = torch.randn(2, BATCH, 6).double(), torch.randn(2, BATCH, 6).double()
    marks = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    marks[0, 1] = True
    x = inputs()
    found, wanted = module(x, (h, c), resets=marks)[0], module(x, (h, c))[0]
    torch.testing.assert_close(found[:, 1], module(x)[0][:, 1])
    torch.testing.assert_close(found[:, [0, 2, 3]], wanted[:, [0, 2, 3]])


def test_no_gradient_crosses_a_mark():
    module = layer("LSTM")
    marks = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    marks[5, 2] = True
    x = inputs().requires_grad_()
    (gradient,) = torch.autograd.grad(module(x, resets=marks)[0][-1].sum(), x)
    assert gradient[:5, 2].abs().max() == 0
    assert gradient[5:, 2].abs().min() > 0
    assert gradient[:, 0].abs().min() > 0


def test_unbatched_lengths_and_resets():
    module = layer("GRU")
    x, marks = inputs()[:, 0], torch.zeros(STEPS, dtype=torch.bool)
    marks[3] = True
    found = module(x, lengths=7, resets=marks)[0]
    wanted = module(x.unsqueeze(1), lengths=[7], resets=marks.unsqueeze(1))[0]
    torch.testing.assert_close(found, wanted.squeeze(1))


def test_resets_of_an_unsorted_packed_sequence():
    module, lengths = layer("GRU"), torch.tensor([4, 9, 1, 6])
    x, marks = inputs(), torch.rand(STEPS, BATCH) < 0.3
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    found, last = module(packed, resets=marks)
    wanted, wanted_last = module(x, lengths=lengths, resets=marks)
    torch.testing.assert_close(pad_packed_sequence(found)[0], wanted)
    torch.testing.assert_close(last, wanted_last)


@pytest.mark.parametrize(
    ("kwargs", "error", "text"),
    [
        ({"lengths": [1, 2]}, ValueError, r"lengths must have shape \(4,\)"),
        ({"lengths": [1, 2, 3, 10]}, ValueError, "between 0 and the 9 steps .* got 1 to 10"),
        ({"lengths": [1, 2, 3, -1]}, ValueError, "between 0 and the 9 steps .* got -1 to 3"),
        ({"lengths": torch.ones(4)}, TypeError, "whole numbers, got torch.float32"),
        ({"resets": torch.zeros(9, 4)}, TypeError, "torch.bool, got torch.float32"),
        ({"resets": torch.zeros(4, 9, dtype=torch.bool)}, ValueError, r"shape \(9, 4\)"),
        ({"resets": [True]}, TypeError, "torch.bool, got list"),
    ],
)
def test_refused(kwargs, error, text):
    for module in (layer("LSTM"), recurra.nn.Recurrent("lstm", 5, 6, dtype=torch.double)):
        with pytest.raises(error, match=text):
            module(inputs(), **kwargs)


def test_lengths_beside_a_packed_sequence_are_refused():
    packed = pack_padded_sequence(inputs(), torch.tensor([9, 6, 4, 1]))
    for module in (layer("LSTM"), recurra.nn.Recurrent("lstm", 5, 6, dtype=torch.double)):
        with pytest.raises(ValueError, match="lengths can't be given with a packed sequence"):
            module(packed, lengths=[1, 2, 3, 4])
