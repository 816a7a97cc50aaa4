"""`Stack` against plain loops over sequences and steps, in double precision, with gradients."""

import copy
import dataclasses

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from helpers.stack_loops import learnt_states, run_stack
from recurra.nn import LSTM, Layer, Recurrent, Stack
from recurra.nn.stack.lookback import state_rows_of

STEPS, BATCH, SIZE = 7, 4, 3
LAYERS = {
    "plain": [Layer("lstm", 3), Layer("gru", 2), Layer("rnn", 3)],
    "bidirectional": [Layer("gru", 2, bidirectional=True), Layer("lstm", 4)],
    "dilated": [Layer("lstm", 3, dilation=2), Layer("rnn", 3, dilation=3)],
    "dilated both ways": [Layer("gru", 2, bidirectional=True, dilation=3)],
    "time skip": [Layer("lstm", 3, time_skip=2), Layer("gru", 3, time_skip=3)],
    "time skip both ways": [Layer("rnn", 2, bidirectional=True, time_skip=2)],
    "all": [Layer("gru", 2, True, 2, 3), Layer("rnn", 3, False, 3, 2), Layer("lstm", 2, True)],
    "far": [Layer("rnn", 2, dilation=9), Layer("rnn", 2, time_skip=9)],
}


def make(name="plain", *, engine="interp", **options):
    return Stack(SIZE, LAYERS[name], dtype=torch.double, engine=engine, **options)


def draw(stack, steps=STEPS):
    """An input and states of every layer."""
    x = torch.randn(steps, BATCH, SIZE, dtype=torch.double, requires_grad=True)
    states = [
        tuple(
            torch.randn(rows, BATCH, size, dtype=torch.double, requires_grad=True)
            for _, rows, size in state_rows_of(layer)
        )
        for layer in stack.layers
    ]
    return x, states


def leaves(stack, x, states):
    return [x, *(s for each in states for s in each), *stack.parameters()]


def flat(y, states):
    return [y, *(s for each in states for s in each)]


def check(stack, lengths=None, resets=None):
    """Outputs, states and gradients of a run are those of the loops."""
    x, states = draw(stack)
    own = [STEPS] * BATCH if lengths is None else lengths
    marks = [[]] * BATCH if resets is None else [m.nonzero().flatten().tolist() for m in resets.T]
    found = flat(*stack(x, states, lengths=lengths, resets=resets))
    wanted = flat(*run_stack(stack, x, states, own, marks))
    torch.testing.assert_close(found, wanted)
    seeds = [torch.randn_like(v) for v in wanted]
    given = leaves(stack, x, states)
    torch.testing.assert_close(
        torch.autograd.grad(found, given, seeds, allow_unused=True),
        torch.autograd.grad(wanted, given, seeds, allow_unused=True, materialize_grads=True),
    )


def some_resets():
    resets = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    resets[[2, 0, 4, 5, 6], [0, 1, 1, 2, 3]] = True
    return resets


@pytest.mark.parametrize("norm", [None, "pre", "post"])
@pytest.mark.parametrize("skip", [None, "residual", "highway", "dense"])
@pytest.mark.parametrize("name", ["plain", "bidirectional"])
def test_skips_and_norms(name, skip, norm):
    check(make(name, skip=skip, norm=norm), lengths=[3, 7, 0, 5])


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 7, 0, 6]])
@pytest.mark.parametrize("name", LAYERS)
def test_directions_dilation_and_time_skips(name, lengths, with_resets):
    check(make(name), lengths, some_resets() if with_resets else None)


@pytest.mark.parametrize("engine", ["interp", "cpu"])
@pytest.mark.parametrize("seed", range(3))
def test_any_marks_and_lengths(seed, engine):
    torch.manual_seed(seed)
    resets = torch.rand(STEPS, BATCH) < 0.3
    lengths = torch.randint(0, STEPS + 1, (BATCH,)).tolist()
    check(make("all", engine=engine, skip="residual", norm="pre"), lengths, resets)


LEARNT = {
    "dilated": [Layer("lstm", 3, dilation=2), Layer("rnn", 3, dilation=3)],
    "both ways": [Layer("gru", 2, bidirectional=True, dilation=3), Layer("lstm", 2, True)],
    "time skip": [Layer("lstm", 3, time_skip=2), Layer("gru", 3, dilation=3, time_skip=3)],
}


def learning(name, **options):
    """A stack with learnt initial states, which aren't zeros."""
    layers = [
        dataclasses.replace(layer, options={"learn_initial_state": True}) for layer in LEARNT[name]
    ]
    stack = Stack(SIZE, layers, dtype=torch.double, engine="interp", **options)
    with torch.no_grad():
        for parameter in stack.parameters():
            parameter.uniform_(-0.5, 0.5)
    return stack


@pytest.mark.parametrize("with_resets", [False, True])
@pytest.mark.parametrize("lengths", [None, [3, 7, 0, 6]])
@pytest.mark.parametrize("name", LEARNT)
def test_learnt_initial_states(name, lengths, with_resets):
    """Sequences start from them, and so do segments, in this piece and in the next."""
    stack, resets = learning(name), some_resets() if with_resets else None
    x, _ = draw(stack)
    marks = [m.nonzero().flatten().tolist() for m in resets.T] if with_resets else [[]] * BATCH
    states = learnt_states(stack, BATCH)
    found = flat(*stack(x, lengths=lengths, resets=resets))
    wanted = flat(*run_stack(stack, x, states, lengths or [STEPS] * BATCH, marks))
    torch.testing.assert_close(found, wanted)
    seeds = [torch.randn_like(v) for v in wanted]
    given = [x, *stack.parameters()]
    torch.testing.assert_close(
        torch.autograd.grad(found, given, seeds), torch.autograd.grad(wanted, given, seeds)
    )


@pytest.mark.parametrize("return_states", ["last", "all"])
@pytest.mark.parametrize("name", ["dilated", "time skip"])
def test_pieces_with_learnt_initial_states_equal_the_whole(name, return_states):
    stack, resets, states, ys = learning(name), some_resets(), None, []
    x, _ = draw(stack)
    whole, _ = stack(x, resets=resets)
    for piece, marks in zip(x.tensor_split((1, 4)), resets.tensor_split((1, 4)), strict=True):
        y, _ = stack(piece, states, resets=marks, return_states=return_states)
        _, states = stack(piece, states, resets=marks)
        ys.append(y)
    torch.testing.assert_close(torch.cat(ys), whole)


ONE_WAY = ["plain", "dilated", "time skip", "far", "both"]


def one_way(name):
    if name != "both":
        return make(name, skip="residual")
    layers = [Layer("lstm", 3, dilation=3, time_skip=2), Layer("gru", 2, dilation=2, time_skip=4)]
    return Stack(SIZE, layers, dtype=torch.double, engine="interp")


@pytest.mark.parametrize("cuts", [(4,), (1, 2, 6), (3, 6)])
@pytest.mark.parametrize("name", ONE_WAY)
def test_pieces_of_any_length_equal_the_whole(name, cuts):
    stack, resets = one_way(name), some_resets()
    x, states = draw(stack)
    wanted = flat(*stack(x, states, resets=resets))
    ys = []
    for piece, marks in zip(x.tensor_split(cuts), resets.tensor_split(cuts), strict=True):
        y, states = stack(piece, states, resets=marks)
        ys.append(y)
    torch.testing.assert_close(flat(torch.cat(ys), states), wanted)


@pytest.mark.parametrize("name", ONE_WAY)
def test_rows_that_end_carry_on_where_they_stopped(name):
    stack, lengths = one_way(name), torch.tensor([3, 7, 0, 5])
    x, states = draw(stack)
    _, between = stack(x, states, lengths=lengths)
    y, _ = stack(x, between)
    for b, length in enumerate(lengths.tolist()):
        own = [tuple(s[:, b] for s in layer) for layer in states]
        whole, _ = stack(torch.cat([x[:length, b], x[:, b]]), own)
        torch.testing.assert_close(y[:, b], whole[length:])


@pytest.mark.parametrize("name", ONE_WAY)
def test_all_states_are_those_of_shorter_runs(name):
    stack, resets = one_way(name), some_resets()
    x, states = draw(stack)
    ends = torch.tensor([2, 7, 0, 5])
    y, every = stack(x, states, lengths=ends, resets=resets, return_states="all")
    torch.testing.assert_close(y, stack(x, states, lengths=ends, resets=resets)[0])
    for t in range(STEPS):
        _, shorter = stack(x[: t + 1], states, resets=resets[: t + 1])
        for layer, found, last in zip(stack.layers, every, shorter, strict=True):
            assert len(found) == len(layer_cell(layer).states)
            newest = [s[-1] * (t < ends).unsqueeze(-1) for s in last[: len(found)]]
            torch.testing.assert_close([s[0, t] for s in found], newest)


def layer_cell(layer):
    return layer.cell if isinstance(layer, Recurrent) else layer_cell(layer.layer)


def test_all_states_going_back_are_those_of_the_reversed_sequence():
    stack = make("dilated both ways")
    x, _ = draw(stack)
    y, ((every,),) = stack(x, return_states="all")
    _, (h,) = stack.layers[0].back(x.flip(0), return_states="all")
    torch.testing.assert_close(every[1], h[0].flip(0))
    torch.testing.assert_close(y, torch.cat([every[0], every[1]], -1))


def test_all_states_have_gradients():
    stack = Stack(2, [Layer("lstm", 2, dilation=2, time_skip=3)], dtype=torch.double)
    x = torch.randn(4, 2, 2, dtype=torch.double, requires_grad=True)
    ends = torch.tensor([4, 3])

    def run(x, *weights):
        return stack(x, lengths=ends, return_states="all")[1][0]

    assert torch.autograd.gradcheck(run, (x, *stack.parameters()), fast_mode=True)


def test_packed_sequences_equal_lengths():
    stack = make("all", skip="highway", norm="post")
    x, states = draw(stack)
    lengths, resets = torch.tensor([3, 7, 1, 5]), some_resets()
    packed = pack_padded_sequence(x, lengths, enforce_sorted=False)
    for which in ("last", "all"):
        y, found = stack(packed, states, resets=resets, return_states=which)
        wanted = stack(x, states, lengths=lengths, resets=resets, return_states=which)
        torch.testing.assert_close(flat(pad_packed_sequence(y)[0], found), flat(*wanted))


def test_batch_first_and_unbatched():
    stack = make("all")
    x, states = draw(stack)
    wanted, wanted_all = stack(x, states, return_states="all")
    single, single_all = stack(
        x[:, 1], [tuple(s[:, 1] for s in layer) for layer in states], return_states="all"
    )
    torch.testing.assert_close(single, wanted[:, 1])
    torch.testing.assert_close(single_all[0][0], wanted_all[0][0][:, :, 1])
    stack.batch_first = True
    y, every = stack(x.transpose(0, 1), states, return_states="all", resets=some_resets().T)
    assert y.shape == (BATCH, STEPS, stack.output_size)
    assert every[0][0].shape == (2, BATCH, STEPS, 2)


@pytest.mark.parametrize("skip", ["residual", "highway", "dense"])
def test_what_stands_in_the_padding_is_never_read(skip):
    stack, lengths = make("all", skip=skip, norm="pre"), [3, 7, 0, 5]
    x, states = draw(stack)
    ended = (torch.arange(STEPS).unsqueeze(1) >= torch.tensor(lengths)).unsqueeze(-1)
    found = []
    for filler in (0.0, float("nan")):
        y, _ = stack(x.masked_fill(ended, filler), states, lengths=lengths)
        assert y.masked_select(ended).abs().max() == 0
        found.append(torch.autograd.grad(y.square().sum(), [x, *stack.parameters()]))
    torch.testing.assert_close(*found)


def test_no_gradient_crosses_a_mark():
    stack = Stack.of("gru", SIZE, 3, 2, dilation=2, time_skip=3, dtype=torch.double)
    x, _ = draw(stack)
    resets = torch.zeros(STEPS, BATCH, dtype=torch.bool)
    resets[4, 1] = True
    y, states = stack(x, resets=resets)
    after = y[4:, 1].sum() + sum(s[-1, 1].sum() for layer in states for s in layer)
    (gradient,) = torch.autograd.grad(after, x)
    assert gradient[:4, 1].abs().max() == 0
    assert gradient[4:, 1].abs().min() > 0


def test_dropout_is_on_what_layers_above_the_lowest_read():
    layers = [Layer("rnn", 40), Layer("rnn", 40)]
    stack = Stack(SIZE, layers, skip="residual", dropout=0.5)
    x = torch.randn(2, 3, SIZE)
    read = []
    for layer in stack.layers:
        layer.register_forward_pre_hook(lambda _, args: read.append((args[0] == 0).float().mean()))
    stack(x)
    assert read[0] == 0
    assert 0.3 < read[1] < 0.7
    stack.eval()
    assert torch.equal(stack(x)[0], stack(x)[0])


def test_sizes_of_what_is_learnt():
    residual = make("plain", skip="residual")
    assert [hasattr(b.skip.projection, "weight") for b in residual.blocks] == [False, True, True]
    assert all(m.bias is None for b in residual.blocks[1:] for m in [b.skip.projection])
    dense = make("plain", skip="dense", norm="pre")
    assert [layer.input_size for layer in dense.layers] == [3, 6, 8]
    assert dense.output_size == 3
    highway = make("plain", skip="highway")
    highway.reset_parameters()
    assert all((b.skip.gate.bias == -1).all() for b in highway.blocks)


def test_a_ready_layer_takes_part():
    lower = Recurrent("lstm", SIZE, 4, bidirectional=True, bptt_clip=1.0)
    stack = Stack(SIZE, [lower, Layer("gru", 5, options={"bias": False})])
    assert stack.layers[0] is lower
    assert [n for n, _ in stack.layers[1].named_parameters()] == ["W_l0", "U_l0"]
    assert stack.layers[1].input_size == 8


def test_a_stack_of_lstms_is_torchs_layer():
    theirs = torch.nn.LSTM(SIZE, 4, 2, bidirectional=True)
    ours = Stack.of("lstm", SIZE, 4, 2, bidirectional=True)
    for index, layer in enumerate(ours.layers):
        for way in ("", "_reverse"):
            own = {n: getattr(theirs, f"{n}_l{index}{way}").data for n in NAMES}
            getattr(layer, f"W_l0{way}").data.copy_(own["weight_ih"])
            getattr(layer, f"U_l0{way}").data.copy_(own["weight_hh"])
            getattr(layer, f"b_l0{way}").data.copy_(own["bias_ih"] + own["bias_hh"])
    x = torch.randn(STEPS, BATCH, SIZE)
    torch.testing.assert_close(ours(x)[0], theirs(x)[0])


NAMES = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"]


def test_copies_and_saved_weights(tmp_path):
    stack = make("all", skip="highway", norm="pre")
    x, states = draw(stack)
    wanted = flat(*stack(x, states))
    save_file(stack.state_dict(), tmp_path / "stack.safetensors")
    other = make("all", skip="highway", norm="pre")
    other.load_state_dict(load_file(tmp_path / "stack.safetensors"))
    for twin in (other, copy.deepcopy(stack)):
        torch.testing.assert_close(flat(*twin(x, states)), wanted, rtol=0, atol=0)


def test_torch_compile_sees_one_graph():
    stack = Stack(SIZE, [Layer("gru", 2, dilation=2), Layer("rnn", 3)], skip="residual")
    x, lengths = torch.randn(STEPS, BATCH, SIZE), torch.tensor([3, 7, 0, 5])
    compiled = torch.compile(stack, backend="eager", fullgraph=True)
    found = compiled(x, lengths=lengths, return_states="all")
    torch.testing.assert_close(found, stack(x, lengths=lengths, return_states="all"))


def test_engines_are_told():
    assert make("all").engine == "interp"
    mixed = [Layer("rnn", 2, options={"engine": "cpu"}), Layer("rnn", 2, dilation=2)]
    assert Stack(SIZE, mixed, engine="interp").engine == "cpu, interp"


def test_repr_tells_what_differs():
    text = repr(make("all", skip="dense", norm="post"))
    assert "3, skip='dense', norm='post'" in text
    assert "dilation=2" in text
    assert "time_skip=3" in text


def stack(*layers, **options):
    return Stack(SIZE, layers or [Layer("lstm", 4), Layer("gru", 2, dilation=2)], **options)


X = torch.zeros(STEPS, BATCH, SIZE)
H = torch.zeros(1, BATCH, 4)
REFUSED = [
    (lambda: stack(skip="both"), ValueError, "skip is 'both'; it must be None, 'residual'"),
    (lambda: stack(norm="batch"), ValueError, "norm is 'batch'; it must be None, 'pre'"),
    (lambda: Stack(SIZE, []), ValueError, "needs one Layer or more"),
    (
        lambda: stack(LSTM(3, 4)),
        TypeError,
        r"layers\[0\] is a value of type LSTM; give a ",
    ),
    (lambda: stack(Recurrent("gru", 3, 4, 2)), ValueError, "is a Recurrent of 2 layers"),
    (lambda: stack(Recurrent("gru", 5, 4)), ValueError, "make it with input_size=3"),
    (lambda: Layer("gru", 4, dilation=0), ValueError, "dilation is 0; it must be 1 or more"),
    (lambda: Layer("gru", 4, time_skip=1.5), TypeError, "time_skip should be of type int"),
    (lambda: Layer("gru", 4, options={"dropout": 0.1}), ValueError, "can't hold dropout"),
    (
        lambda: Layer("gru", 4, time_skip=2, options={"input_dropout": 0.1, "weight_drop": 0.1}),
        ValueError,
        "with time_skip can't have input_dropout, weight_drop",
    ),
    (lambda: Stack.of("gru", 3, 4, 3, dilation=[1, 2]), ValueError, "dilation holds 2 values"),
    (lambda: stack()(X[0, 0]), ValueError, "2D or 3D, got 1D"),
    (lambda: stack()(X[..., :2]), RuntimeError, "Expected 3, got 2"),
    (lambda: stack()(X[:0]), RuntimeError, "larger than 0"),
    (lambda: stack()(X, return_states="every"), ValueError, "must be 'last' or 'all'"),
    (lambda: stack()(X, (H, H)[:1]), ValueError, "given as 1 values; it has 2 layers"),
    (lambda: stack()(X, [H, H]), ValueError, r"of layer 0 given as one value; it has \(h, c\)"),
    (
        lambda: stack()(X, [(H, H), (H,)]),
        RuntimeError,
        r"Expected h of layer 1 of size \(2, 4, 2\), got \[1, 4, 4\]",
    ),
    (lambda: stack()(X, lengths=[9] * 4), ValueError, "between 0 and the 7 steps"),
]


@pytest.mark.parametrize(("make", "error", "text"), REFUSED)
def test_refused(make, error, text):
    with pytest.raises(error, match=text):
        make()
