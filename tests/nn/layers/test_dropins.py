"""RNN, LSTM and GRU stand in for torch's: every option, packed input, draws, refusals."""

import itertools

import pytest
import torch
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

import recurra.nn

KINDS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 3}),
    ("GRU", {}),
]
OPTIONS = [
    dict(zip(("bias", "batch_first", "bidirectional", "num_layers"), values, strict=True))
    for values in itertools.product((True, False), (True, False), (True, False), (1, 3))
]


def pair(name, *args, **kwargs):
    made = []
    for library in (recurra.nn, torch.nn):
        torch.manual_seed(3)
        made.append(getattr(library, name)(*args, **kwargs, dtype=torch.double))
    return made


def states_for(module, batch):
    """Random initial states, in the form the module takes."""
    rows = module.num_layers * (2 if module.bidirectional else 1)
    h = torch.randn(rows, batch, module.proj_size or module.hidden_size, dtype=torch.double)
    if module.mode != "LSTM":
        return h
    return h, torch.randn(rows, batch, module.hidden_size, dtype=torch.double)


def gradients(module, output):
    parts = [output] if isinstance(output, torch.Tensor) else output
    flat = []
    for part in parts:
        part = part.data if isinstance(part, PackedSequence) else part
        flat += [part] if isinstance(part, torch.Tensor) else list(part)
    total = sum(
        (t * torch.linspace(-1, 1, t.numel(), dtype=t.dtype).view_as(t)).sum() for t in flat
    )
    return torch.autograd.grad(total, list(module.parameters()))


@pytest.mark.parametrize(("name", "kind"), KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_padded(name, kind, options):
    ours, theirs = pair(name, 4, 6, **kind, **options)
    x = torch.randn(3, 7, 4, dtype=torch.double)
    hx = states_for(theirs, 3 if options["batch_first"] else 7)
    for states in (None, hx):
        found, wanted = ours(x, states), theirs(x, states)
        torch.testing.assert_close(found, wanted)
        torch.testing.assert_close(gradients(ours, found), gradients(theirs, wanted))


@pytest.mark.parametrize(("name", "kind"), KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_packed(name, kind, options):
    ours, theirs = pair(name, 4, 6, **kind, **options)
    parts = [torch.randn(n, 4, dtype=torch.double) for n in (2, 5, 5, 1)]
    packed = pack_sequence(parts, enforce_sorted=False)
    for states in (None, states_for(theirs, 4)):
        found, wanted = ours(packed, states), theirs(packed, states)
        torch.testing.assert_close(tuple(found[0]), tuple(wanted[0]))
        torch.testing.assert_close(found[1], wanted[1])
        torch.testing.assert_close(gradients(ours, found), gradients(theirs, wanted))


@pytest.mark.parametrize(("name", "kind"), KINDS)
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_dropout_draws_as_torch_does(name, kind, packed, batch_first):
    ours, theirs = pair(name, 4, 6, num_layers=3, dropout=0.4, batch_first=batch_first, **kind)
    x = torch.randn(5, 5, 4, dtype=torch.double)
    given = pack_padded_sequence(x, torch.tensor([5, 4, 4, 2, 1]), batch_first) if packed else x
    found = []
    for module in (ours, theirs):
        torch.manual_seed(8)
        y, h = module(given)
        found.append((y.data if packed else y, h))
    torch.testing.assert_close(*found)
    ours.eval()
    torch.testing.assert_close(ours(x), ours(x), rtol=0, atol=0)


def test_all_is_dropped_or_nothing():
    for share in (0.0, 1.0):
        ours, theirs = pair("LSTM", 4, 6, num_layers=2, dropout=share)
        x = torch.randn(5, 2, 4, dtype=torch.double)
        torch.testing.assert_close(ours(x), theirs(x))


@pytest.mark.parametrize(("name", "kind"), KINDS)
def test_names_written_for_torch_work(name, kind):
    ours, theirs = pair(name, 4, 6, num_layers=2, bidirectional=True, **kind)
    ours.flatten_parameters()
    torch.testing.assert_close(ours._flat_weights, theirs._flat_weights)
    torch.testing.assert_close(ours.all_weights, theirs.all_weights)
    assert ours._flat_weights_names == theirs._flat_weights_names
    assert ours.mode == theirs.mode
    theirs.load_state_dict(ours.state_dict())
    ours.load_state_dict(theirs.state_dict())


def test_a_replaced_parameter_is_used():
    ours, theirs = pair("GRU", 4, 6)
    for module in (ours, theirs):
        module.weight_hh_l0 = torch.nn.Parameter(torch.full((18, 6), 0.1, dtype=torch.double))
    x = torch.randn(5, 2, 4, dtype=torch.double)
    torch.testing.assert_close(ours(x), theirs(x))


def test_weight_normalisation():
    ours, theirs = pair("LSTM", 4, 6)
    for module in (ours, theirs):
        parametrizations.weight_norm(module, "weight_hh_l0")
    x = torch.randn(5, 2, 4, dtype=torch.double)
    torch.testing.assert_close(ours(x), theirs(x))


def test_an_empty_batch():
    ours, theirs = pair("LSTM", 4, 6)
    x = torch.empty(5, 0, 4, dtype=torch.double)
    torch.testing.assert_close(ours(x), theirs(x))


BAD_CONSTRUCTIONS = [
    ((4, 0), {}),
    ((0, 4), {}),
    ((-1, 4), {}),
    ((4.0, 4), {}),
    ((4, "5"), {}),
    ((4, 5), {"num_layers": 0}),
    ((4, 5), {"dropout": 2}),
    ((4, 5), {"dropout": True}),
    ((4, 5), {"batch_first": 1}),
    ((4, 5), {"bias": None}),
    ((4, 5), {"proj_size": -1}),
    ((4, 5), {"proj_size": 5}),
    ((4, 5), {"nonlinearity": "sine"}),
    ((4,), {}),
]


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize(("args", "kwargs"), BAD_CONSTRUCTIONS)
def test_constructions_refused_as_torch_refuses_them(name, args, kwargs):
    with pytest.raises((TypeError, ValueError)) as wanted:
        getattr(torch.nn, name)(*args, **kwargs)
    with pytest.raises(type(wanted.value)) as found:
        getattr(recurra.nn, name)(*args, **kwargs)
    assert first_words(found.value) == first_words(wanted.value)


def first_words(error):
    return str(error).replace("RNNBase.__init__()", "").replace("GRU.__init__()", "")[:60]


def zeros(*shape, dtype=torch.float):
    return torch.zeros(shape, dtype=dtype)


BAD_CALLS = [
    (zeros(4),),
    (zeros(2, 3, 4, 4),),
    (zeros(0, 3, 4),),
    (zeros(2, 3, 5),),
    (zeros(2, 3, 4, dtype=torch.double),),
    (zeros(2, 3, 4), "h", (1, 2, 5)),
    (zeros(2, 3, 4), "h", (2, 3, 5)),
    (zeros(2, 3, 4), "h", (1, 3, 6)),
    (zeros(2, 3, 4), "h", (3, 5)),
    (zeros(2, 4), "h", (1, 1, 5)),
    (zeros(2, 4), "h", (2, 5)),
    (pack_padded_sequence(zeros(4, 2, 4), torch.tensor([4, 2])), "h", (1, 3, 5)),
    (pack_padded_sequence(zeros(4, 2, 3), torch.tensor([4, 2])),),
]


@pytest.mark.parametrize("name", ["RNN", "LSTM", "GRU"])
@pytest.mark.parametrize("case", BAD_CALLS)
def test_calls_refused_as_torch_refuses_them(name, case):
    args = [case[0]]
    if len(case) > 1:
        h = zeros(*case[2])
        args.append((h, h) if name == "LSTM" else h)
    with pytest.raises(Exception) as wanted:
        getattr(torch.nn, name)(4, 5)(*args)
    with pytest.raises(type(wanted.value)) as found:
        getattr(recurra.nn, name)(4, 5)(*args)
    # torch leaves a packed LSTM's arguments to the kernels; ours names what is wrong.
    if not (name == "LSTM" and isinstance(case[0], PackedSequence)):
        assert str(found.value).split("\n")[0] == str(wanted.value).split("\n")[0]


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 5),),
        ((3, 4), (2, 5)),
        ((3, 4), (3, 6)),
        ((2, 3, 4),),
        ((3, 4), (1, 3, 5)),
        ((4,), (6,)),
    ],
)
def test_cell_calls_refused_as_torch_refuses_them(name, shapes):
    args = [zeros(*shapes[0])]
    if len(shapes) > 1:
        h = zeros(*shapes[1])
        args.append((h, h) if name == "LSTMCell" else h)
    with pytest.raises(Exception) as wanted:
        getattr(torch.nn, name)(4, 5)(*args)
    with pytest.raises(type(wanted.value)) as found:
        getattr(recurra.nn, name)(4, 5)(*args)
    assert str(found.value) == str(wanted.value)


def test_dropout_without_a_layer_for_it_warns_at_the_users_line():
    with pytest.warns(UserWarning, match="dropout option adds dropout") as caught:
        recurra.nn.LSTM(4, 5, dropout=0.5)
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="dropout option adds dropout") as caught:
        recurra.nn.Recurrent("lstm", 4, 5, dropout=0.5)
    assert caught[0].filename == __file__


SIZED = ["RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"]


@pytest.mark.parametrize("size", [True, 2.0, "2"])
@pytest.mark.parametrize("name", SIZED)
def test_a_flag_is_no_size(name, size):
    """RNN(5, True) was meant to have a bias: torch makes one unit of it, or fails later."""
    kind, wrong = getattr(recurra.nn, name), type(size).__name__
    with pytest.raises(TypeError, match=f"hidden_size should be of type int, got: {wrong}"):
        kind(5, size)
    with pytest.raises(TypeError, match=f"input_size should be of type int, got: {wrong}"):
        kind(size, 5)
    if not name.endswith("Cell"):
        with pytest.raises(TypeError, match=f"num_layers should be of type int, got: {wrong}"):
            kind(5, 4, size)


@pytest.mark.parametrize("lengths", [[], (), torch.tensor([]), torch.empty(0, dtype=torch.int32)])
def test_lengths_of_an_empty_batch(lengths):
    for module in (recurra.nn.LSTM(3, 4), recurra.nn.Recurrent("gru", 3, 4)):
        y, _ = module(torch.randn(5, 0, 3), lengths=lengths)
        assert y.shape == (5, 0, 4)
        with pytest.raises(ValueError, match=r"lengths must have shape \(2,\)"):
            module(torch.randn(5, 2, 3), lengths=lengths)


CARRIED = {
    "RNN": lambda: recurra.nn.RNN(3, 4),
    "LSTM": lambda: recurra.nn.LSTM(3, 4),
    "GRU": lambda: recurra.nn.GRU(3, 4),
    "any cell": lambda: recurra.nn.Recurrent("sru", 3, 3),
    "stack": lambda: recurra.nn.Stack(3, [recurra.nn.Layer("gru", 4)]),
}


@pytest.mark.parametrize("name", CARRIED)
def test_a_state_carried_to_a_smaller_batch(name):
    """torch's text, and then the remedy; not where the size is another, too."""
    module = CARRIED[name]()
    _, states = module(torch.randn(5, 3, 3))
    remedy = "states are of 3 sequences and the input has 2. Where states are carried from batch"
    with pytest.raises(RuntimeError, match=rf"^Expected .*, got \[1, 3, \d\]\nThese {remedy}"):
        module(torch.randn(5, 2, 3), states)
    other = recurra.nn.GRU(3, 5)(torch.randn(5, 3, 3))[1]
    with pytest.raises(RuntimeError, match=r"got \[1, 3, 5\]$"):
        recurra.nn.GRU(3, 4)(torch.randn(5, 2, 3), other)
