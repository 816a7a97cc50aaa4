"""The torch engine: whole layers, devices without their hardware, dtypes, and what it leaves."""

import itertools

import formulas
import pytest
import torch
from contract import TORCHS, draw, everything
from formulas import assert_same
from runs import run_cell
from test_interp import LENGTHS, RESETS, make
from torch._subclasses import FakeTensorMode
from torch.nn.utils.rnn import pack_padded_sequence
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

import recurra.nn
from recurra.cells import CELLS, ProjectedLSTM
from recurra.compile import kernel
from recurra.engines.torch_fused import _MODES
from recurra.errors import EngineError
from recurra.nn.observe.gradients import observe_gradients

KINDS = [
    ("RNN", {}),
    ("RNN", {"nonlinearity": "relu"}),
    ("LSTM", {}),
    ("LSTM", {"proj_size": 3}),
    ("GRU", {}),
]
T, B, I, H = 7, 5, 3, 4


def test_the_cells_that_torch_has_are_known_by_their_equations():
    names = ("rnn", "rnn_relu", "lstm", "gru", "lstm_projected")
    modes = ("rnn_tanh", "rnn_relu", "lstm", "gru", "lstm")
    pairs = itertools.product(zip(names, modes, strict=True), (True, False))
    found = {CELLS[name].graph(bias=bias).digest(): mode for (name, mode), bias in pairs}
    assert found == _MODES
    assert ProjectedLSTM(proj_size=9).graph().digest() in _MODES


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("resets", RESETS)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("name", TORCHS)
def test_lengths_and_resets(name, lengths, resets, reverse):
    options = make(LENGTHS[lengths], RESETS[resets], reverse)
    assert_same(kernel(CELLS[name], engine="torch"), name, formulas.draw(name), **options)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("resets", [None, "several"])
def test_packed_rows(reverse, resets):
    params, x, states = draw(CELLS["lstm"], steps=6, batch=4)
    lengths = torch.tensor([6, 5, 5, 2])
    rows = x.detach()[torch.arange(6).unsqueeze(1) < lengths].requires_grad_()
    marks = make(None, RESETS[resets] if resets else None, False)["resets"]
    options = {"lengths": lengths, "is_packed": True, "reverse": reverse, "resets": marks}
    drawn = params, rows, states
    found = [everything(CELLS["lstm"], engine, drawn, **options) for engine in ("torch", "interp")]
    torch.testing.assert_close(*found, rtol=1e-10, atol=1e-12)


def pair(kind, *sizes, dtype=torch.double, **options):
    """The same layer, run by the torch engine and interpreted."""
    made = []
    for engine in ("torch", "interp"):
        layer = getattr(recurra.nn, kind)(*(sizes or (I, H)), engine=engine, dtype=dtype, **options)
        layer.load_state_dict((made or [layer])[0].state_dict())
        made.append(layer)
    return made


def flat(results):
    if isinstance(results, torch.Tensor):
        return [results]
    return [t for part in results if part is not None for t in flat(part)]


def results(layer, x, *args, **options):
    """Outputs, states, gradients of input and weights, and of the sum of squares of these."""
    x = x.detach().requires_grad_()
    values = [v for v in flat(layer(x, *args, **options)) if v.is_floating_point()]
    total = sum((v * torch.linspace(0.5, 1.5, v.numel()).view(v.shape)).sum() for v in values)
    leaves = [x, *layer.parameters()]
    first = torch.autograd.grad(total, leaves, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)
    return [*values, *first, *second]


OPTIONS = {
    "plain": {},
    "no bias": {"bias": False},
    "both ways": {"bidirectional": True},
    "deep": {"num_layers": 3, "batch_first": True},
    "deep both ways": {"num_layers": 2, "bidirectional": True},
}


@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize(("kind", "own"), KINDS)
def test_whole_layers(kind, own, options, masked):
    options = own | OPTIONS[options]
    shape = (B, T) if options.get("batch_first") else (T, B)
    given, x = {}, torch.randn(*shape, I, dtype=torch.double)
    if masked:
        given = {"lengths": torch.tensor([3, 0, 7, 1, 6]), "resets": torch.rand(shape) < 0.3}
    layers = pair(kind, **options)
    assert layers[0].engine == "torch"
    found = [results(layer, x, **given) for layer in layers]
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("kind", "own"), KINDS)
def test_layers_of_ones_own_names(kind, own):
    """`Recurrent` has one bias for each gate, by the names of the equations."""
    cell = {"RNN": "rnn_relu" if own else "rnn", "LSTM": "lstm", "GRU": "gru"}[kind]
    cell = ProjectedLSTM(proj_size=3) if "proj_size" in own else cell
    layers = []
    for engine in ("torch", "interp"):
        layer = recurra.nn.Recurrent(
            cell, I, H, num_layers=2, bidirectional=True, engine=engine, dtype=torch.double
        )
        layer.load_state_dict((layers or [layer])[0].state_dict())
        layers.append(layer)
    x = torch.randn(T, B, I, dtype=torch.double)
    found = [results(layer, x, lengths=torch.tensor([3, 0, 7, 1, 6])) for layer in layers]
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-11)


def test_remedies_change_weights_that_torch_still_runs():
    """Weight drop leaves torch's equations, and matrices that lie in memory of their own."""
    layer = recurra.nn.Recurrent("lstm", I, H, weight_drop=0.5, engine="torch")
    y, _ = layer(torch.randn(T, B, I))
    y.sum().backward()
    assert layer.engine == "torch"
    assert all(p.grad is not None for p in layer.parameters())
    with pytest.raises(EngineError, match="no operation for these equations"):
        recurra.nn.Recurrent("lstm", I, H, zoneout=0.1, engine="torch")(torch.randn(T, B, I))


@pytest.mark.parametrize("packed", [False, True])
def test_dropout_between_layers_draws_as_torch_does(packed):
    options = {"num_layers": 3, "dropout": 0.4}
    layer, theirs = recurra.nn.LSTM(I, H, engine="torch", **options), torch.nn.LSTM(I, H, **options)
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(T, B, I)
    given = pack_padded_sequence(x, torch.tensor([7, 6, 3, 2, 1])) if packed else x
    found = []
    for module in (layer, theirs):
        torch.manual_seed(5)
        found.append(flat(tuple(module(given)))[0])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(("kind", "own"), KINDS)
def test_half_precision_is_torchs(kind, own, dtype):
    layer = getattr(recurra.nn, kind)(I, H, dtype=dtype, **own)
    theirs = getattr(torch.nn, kind)(I, H, dtype=dtype, **own)
    theirs.load_state_dict(layer.state_dict())
    assert layer.engine == "torch"
    x, found = torch.randn(T, B, I, dtype=dtype), []
    for module in (layer, theirs):
        y, last = module(x)
        found.append([y, *flat(last), *torch.autograd.grad(y.sum(), list(module.parameters()))])
    torch.testing.assert_close(*found)


class Called(TorchFunctionMode):
    """Notes which of torch's functions are called, by name."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        self.names.append(getattr(function, "__name__", str(function)))
        return function(*args, **kwargs or {})


class Counted(TorchDispatchMode):
    """Counts the operations of every kind that run."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.count += 1
        return function(*args, **kwargs or {})


NO_WORK = {"__get__", "detach", "requires_grad_", "contiguous", "size", "dim", "_set_grad_enabled"}
"""Functions that read or mark a tensor, and run nothing."""


@pytest.mark.parametrize(("kind", "own"), KINDS)
def test_a_layer_on_another_device_is_a_handful_of_operations(kind, own):
    options = {"num_layers": 2, "bidirectional": True, "device": "meta", **own}
    layer = getattr(recurra.nn, kind)(I, H, **options)
    with Called() as called:
        y, _ = layer(torch.empty(50, B, I, device="meta"))
    assert y.shape == (50, B, 2 * (own.get("proj_size") or H))
    work = [name for name in called.names if name not in NO_WORK]
    assert len({"lstm", "gru", "rnn_tanh", "rnn_relu"} & {*work}) == 1
    assert len(work) < 6


def test_operations_below_are_torchs_own():
    """torch's operation is made of others on devices without a fused one; ours adds few to them."""
    options = {"num_layers": 2, "device": "meta"}
    x, counts = torch.empty(50, B, I, device="meta"), []
    for library in (recurra.nn, torch.nn):
        with Counted() as counted:
            library.LSTM(I, H, **options)(x)
        counts.append(counted.count)
    assert abs(counts[0] - counts[1]) <= 30


@pytest.mark.parametrize(("kind", "own"), KINDS)
@pytest.mark.parametrize("options", OPTIONS)
def test_shapes_and_dtypes_of_gradients_on_the_meta_device(kind, own, options):
    options = own | OPTIONS[options]
    layer = getattr(recurra.nn, kind)(I, H, device="meta", dtype=torch.bfloat16, **options)
    x = torch.empty(T, T, I, device="meta", dtype=torch.bfloat16, requires_grad=True)
    y, _ = layer(x)
    leaves = [x, *layer.parameters()]
    for leaf, gradient in zip(leaves, torch.autograd.grad(y.sum(), leaves), strict=True):
        like = (leaf.device.type, leaf.shape, leaf.dtype)
        assert (gradient.device.type, gradient.shape, gradient.dtype) == like


def on_fake(layer, device):
    """A layer made on the meta device, with fake parameters on another."""
    for name, value in list(layer.named_parameters()):
        fake = torch.empty(value.shape, dtype=value.dtype, device=device)
        setattr(layer, name, torch.nn.Parameter(fake, requires_grad=False))
    return layer


# A step of GRU on cuda and xpu has no fake implementation in a build without them.
ELSEWHERE = [
    (kind, own, device)
    for kind, own in KINDS
    for device in (("mps",) if kind == "GRU" else ("cuda", "mps", "xpu"))
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("kind", "own", "device"), ELSEWHERE)
def test_other_devices_by_fake_tensors(kind, own, dtype, device):
    """Without gradients: autograd asks for the device's own library, which a CPU build lacks."""
    if device == "cuda" and torch.version.cuda and not torch.cuda.is_available():
        pytest.skip("a build with CUDA asks the driver, which isn't here, also for fake tensors")
    options = {"num_layers": 2, "bidirectional": True, "dtype": dtype, "device": "meta", **own}
    layer = getattr(recurra.nn, kind)(I, H, **options)
    with FakeTensorMode(allow_non_fake_inputs=True):
        on_fake(layer, device)
        assert layer.engine == "torch"
        y, last = layer(torch.empty(T, B, I, device=device, dtype=dtype))
    for value in (y, *flat(last)):
        assert (value.device.type, value.dtype) == (device, dtype)
    size = own.get("proj_size") or H
    assert y.shape == (T, B, 2 * size)
    assert flat(last)[0].shape == (4, B, size)
    assert flat(last)[-1].shape == (4, B, H if kind == "LSTM" else size)


def test_the_reason_on_mps_says_that_its_gru_is_slow(caplog):
    class Mine(type(CELLS["gru"])):
        pass

    layer = recurra.nn.Recurrent(Mine, I, H, device="meta")
    with FakeTensorMode(), caplog.at_level("INFO", logger="recurra"):
        on_fake(layer, "mps")(torch.empty(T, B, I, device="mps"))
    text = "engine auto: Mine runs on torch: the cpu engine runs on cpu, and the tensors are on mps"
    assert caplog.messages == [f"{text}; torch's GRU is slower on mps than on the CPU"]


def test_what_it_cannot_do_is_refused_or_left_to_others(caplog):
    x = torch.randn(T, B, I)
    wanted = {
        "bptt_clip": lambda engine: recurra.nn.LSTM(I, H, bptt_clip=1.0, engine=engine)(x),
        "states after every step": lambda engine: recurra.nn.GRU(I, H, engine=engine)(
            x, return_states="all"
        ),
        "no operation for these equations": lambda engine: recurra.nn.Recurrent(
            "mgu", I, H, engine=engine
        )(x),
    }
    for text, call in wanted.items():
        with pytest.raises(EngineError, match=rf"{text}.* Engines that can: cpu, interp\."):
            call("torch")
        call("auto")
    with pytest.raises(EngineError, match=r"are bfloat16\. Engines that can: torch, interp"):
        recurra.nn.LSTM(I, H, engine="cpu", dtype=torch.bfloat16)(x.bfloat16())


def test_on_a_device_without_an_engine_the_rest_is_interpreted(caplog):
    class Mine(type(CELLS["lstm"])):
        pass

    layer = recurra.nn.Recurrent(Mine, I, H, device="meta", bptt_clip=1.0)
    assert layer.engine == "interp"
    with caplog.at_level("INFO", logger="recurra"):
        layer(torch.empty(T, B, I, device="meta"))
    (text,) = caplog.messages
    assert text.startswith("engine auto: Mine runs on interp: the cpu engine runs on cpu, and the")
    assert "; the torch engine doesn't support limits of the gradient at each step" in text


def test_a_watched_layer_is_run_by_an_engine_that_takes_probes():
    layer = recurra.nn.LSTM(I, H, dtype=torch.bfloat16)
    assert layer.engine == "torch"
    with observe_gradients(layer) as watched:
        layer(torch.randn(T, B, I, dtype=torch.bfloat16))[0].sum().backward()
    assert watched.norms["layer"].shape == (T,)
    with (
        observe_gradients(named := recurra.nn.LSTM(I, H, engine="torch")),
        pytest.raises(EngineError, match="no operation for these equations"),
    ):
        named(torch.randn(T, B, I))


def test_traces_are_of_the_equations_whatever_the_engine():
    layers = pair("LSTM", num_layers=2)
    x = torch.randn(T, B, I, dtype=torch.double)
    torch.testing.assert_close(layers[0].trace(x)["c", 1], layers[1].trace(x)["c", 1])


@pytest.mark.parametrize("given", [{}, {"lengths": torch.tensor([7, 2, 0, 4, 4])}])
def test_a_kept_graph_gives_the_same_twice_and_a_freed_one_none(given):
    layer, x = recurra.nn.GRU(I, H, engine="torch"), torch.randn(T, B, I)
    weights, total = list(layer.parameters()), layer(x, **given)[0].sum()
    first = torch.autograd.grad(total, weights, retain_graph=True)
    second = torch.autograd.grad(total, weights)
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        torch.autograd.grad(total, weights)


@pytest.mark.parametrize("use_reentrant", [False, True])
def test_checkpoints(use_reentrant):
    layers, x = pair("LSTM"), torch.randn(T, B, I, dtype=torch.double)
    found = []
    for layer in layers:
        at = x.clone().requires_grad_()
        y = torch.utils.checkpoint.checkpoint(
            lambda x, f=layer: f(x)[0], at, use_reentrant=use_reentrant
        )
        y.square().sum().backward()
        found.append([at.grad, *(p.grad for p in layer.parameters())])
    torch.testing.assert_close(*found)


def test_batches_of_gradients():
    layer, x = recurra.nn.LSTM(I, H, engine="torch"), torch.randn(T, B, I, requires_grad=True)
    y, _ = layer(x)
    seeds = torch.randn(3, *y.shape)
    (found,) = torch.autograd.grad(y, x, seeds, is_grads_batched=True, retain_graph=True)
    wanted = [torch.autograd.grad(y, x, seed, retain_graph=True)[0] for seed in seeds]
    torch.testing.assert_close(found, torch.stack(wanted))


def test_inference_keeps_no_graph():
    layer, x = recurra.nn.LSTM(I, H, engine="torch"), torch.randn(T, B, I)
    with torch.no_grad():
        assert not layer(x)[0].requires_grad
    layer.requires_grad_(False)
    assert not layer(x)[0].requires_grad


def test_empty_batches():
    layer = recurra.nn.LSTM(I, H, engine="torch", num_layers=2)
    theirs = torch.nn.LSTM(I, H, num_layers=2)
    theirs.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(torch.empty(T, 0, I)), theirs(torch.empty(T, 0, I)))
    y, _ = run_cell(kernel(CELLS["gru"], engine="torch"), *_one_by_one())
    assert y.shape == (T, 1, 1)


def _one_by_one():
    params, x, states = draw(CELLS["gru"], steps=T, batch=1, inputs=1, hidden=1)
    return x, states, params
