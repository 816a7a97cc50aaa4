"""Programs made of layers: torch.export, torch.jit.trace, ONNX; and what has none, and says so.

ONNX Runtime runs exported models. torch's new exporter takes half a second of a processor for each,
since it parses its library of operators every time, and two seconds more for the first: the default
run has one program of it for each kind of layer, and torch's older exporter for the others.
"""

import io
import itertools
import warnings

import pytest
import torch
from torch import nn
from torch.export import Dim, export, load, save

import recurra.nn
from helpers.citizens import CELLS, KINDS, LAYERS, TORCH_CELLS, close, flat, layer, loss, oracle
from recurra.errors import EngineError


@pytest.mark.parametrize("kind", KINDS)
def test_exported_program_gives_the_same(kind):
    module = layer(kind).eval()
    program = export(module, (torch.randn(5, 2, 3),))
    x = torch.randn(5, 2, 3)
    close(program.module()(x), oracle(module, kind)(x.double()))


def test_batch_and_length_stay_free():
    module, free = layer("lstm", bidirectional=True), {0: Dim("steps"), 1: Dim("batch")}
    program = export(module, (torch.randn(5, 2, 3),), dynamic_shapes={"input": free}).module()
    for steps, batch in ((9, 4), (3, 7)):
        x = torch.randn(steps, batch, 3)
        close(program(x), module(x))


@pytest.mark.parametrize("argument", ["lengths", "resets"])
def test_lengths_and_resets_are_inputs_of_the_program(argument):
    module, x = layer("gru"), torch.randn(5, 2, 3)
    first = {"lengths": torch.tensor([5, 3]), "resets": torch.rand(5, 2) < 0.4}[argument]
    other = {"lengths": torch.tensor([1, 4]), "resets": torch.rand(5, 2) < 0.4}[argument]
    program = export(module, (x,), {argument: first}).module()
    close(program(x, **{argument: other}), module(x, **{argument: other}))


def test_saved_and_loaded():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    file = io.BytesIO()
    save(export(module, (x,)), file)
    file.seek(0)
    close(load(file).module()(x), module(x))


def test_the_program_decomposes():
    module, x = layer("lstm"), torch.randn(5, 2, 3)
    close(export(module, (x,)).run_decompositions().module()(x), module(x))


OPTIONS = {
    "plain": {},
    "stacked": {"bidirectional": True, "num_layers": 2, "batch_first": True},
    "interp": {"engine": "interp"},
}


def traced(module, *args):
    """A traced program; what torch warns of are sizes that it can't follow, checked by us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.jit.trace(module, args)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_traced_program_gives_the_same(kind, options):
    module, x = layer(kind, **options), torch.randn(5, 2, 3)
    program = traced(module, torch.randn(5, 2, 3))
    wanted = {k: v for k, v in options.items() if k != "engine"}
    close(program(x), oracle(module, kind, **wanted)(x.double()))
    torch.jit.save(program, io.BytesIO())  # fails where a step is a Python function
    found = torch.autograd.grad(loss(program(x)), list(module.parameters()))
    close(found, torch.autograd.grad(loss(module(x)), list(module.parameters())))


@pytest.mark.parametrize("kind", LAYERS)
def test_a_traced_program_takes_other_batches_and_lengths(kind):
    module = layer(kind, num_layers=2)
    program, file = traced(module, torch.randn(5, 2, 3)), io.BytesIO()
    torch.jit.save(program, file)
    file.seek(0)
    x = torch.randn(9, 4, 3)
    close(torch.jit.load(file)(x), module(x))


@pytest.mark.parametrize("kind", KINDS)
def test_a_traced_program_takes_states_and_lengths(kind):
    module = layer(kind)
    rows = lambda: torch.randn(1, 2, 4)  # noqa: E731
    states = [(rows(), rows()) if kind in ("lstm", "own") else rows() for _ in range(2)]
    program = traced(module, torch.randn(5, 2, 3), states[0], torch.tensor([5, 3]))
    x, lengths = torch.randn(5, 2, 3), torch.tensor([1, 4])
    close(program(x, states[1], lengths), module(x, states[1], lengths))


@pytest.mark.parametrize("kind", CELLS)
def test_a_traced_cell(kind):
    cell, x = CELLS[kind](3, 4), torch.randn(7, 3)
    twin = TORCH_CELLS[kind](3, 4)
    twin.load_state_dict(cell.state_dict())
    close(traced(cell, torch.randn(2, 3))(x), twin(x))


def test_the_cpu_engine_has_no_programs_of_torchs_operations():
    with pytest.raises(EngineError, match=r"torch\.jit\.trace.*Engines that can: torch, interp"):
        traced(layer("lstm", engine="cpu"), torch.randn(5, 2, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_limits_of_gradients_are_exported_or_refused(kind):
    module, x = layer(kind, bptt_clip=0.01), torch.randn(5, 2, 3)
    with pytest.raises(EngineError, match=r"^torch\.jit\.trace can't record bptt_clip = 0\.01"):
        traced(module, x)
    program = export(module, (torch.randn(5, 2, 3),)).module()
    found = torch.autograd.grad(loss(program(x)), list(program.parameters()))
    close(found, torch.autograd.grad(loss(module(x)), list(module.parameters())))
    module.bptt_clip = None
    close(traced(module, x)(x), module(x))


BY_NEW = dict(zip(KINDS, itertools.cycle(OPTIONS)))
"""The options under which the new exporter takes a kind of layer in the default run."""
ONNX = [
    pytest.param(
        kind, name, is_new, marks=() if is_new == (BY_NEW[kind] == name) else pytest.mark.slow
    )
    for kind in KINDS
    for name in OPTIONS
    for is_new in (True, False)
]


@pytest.mark.parametrize(("kind", "name", "is_new"), ONNX)
def test_onnx_runtime_gives_the_same(kind, name, is_new, tmp_path):
    """A limit of gradients is no part of a model that has none, and doesn't stand in its way."""
    ort = pytest.importorskip("onnxruntime", reason="onnxruntime has no wheel for this platform")
    module = layer(kind, **OPTIONS[name]).eval()
    module.bptt_clip = 0.01 if name == "stacked" else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            module, (torch.randn(5, 2, 3),), tmp_path / "m.onnx", dynamo=is_new, input_names=["x"]
        )
    x = torch.randn(5, 2, 3)
    found = ort.InferenceSession(tmp_path / "m.onnx").run(None, {"x": x.numpy()})
    with torch.no_grad():
        close([torch.from_numpy(a) for a in found], flat(module(x)))


@pytest.mark.parametrize(
    "module", [*(layer(k) for k in KINDS), *(c(3, 4) for c in CELLS.values())], ids=str
)
def test_scripting_is_refused(module):
    model = nn.Sequential(module)
    with pytest.raises(NotImplementedError, match=r"can't compile \w+, .*use torch\.jit\.trace"):
        torch.jit.script(model)


@pytest.mark.parametrize(
    "module", [*(layer(k) for k in KINDS), *(c(3, 4) for c in CELLS.values())], ids=str
)
def test_quantisation_says_what_it_leaves_alone(module):
    model = nn.ModuleDict({"rnn": module, "out": nn.Linear(4, 2)})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = torch.ao.quantization.quantize_dynamic(model)
    name = f"leaves {type(module).__name__} as it is"
    assert sum(name in str(w.message) for w in caught) == 1
    assert not isinstance(found["out"], nn.Linear)
    x = torch.randn(2, 3) if type(module) in CELLS.values() else torch.randn(5, 2, 3)
    assert torch.equal(flat(found["rnn"](x))[0], flat(module(x))[0])


def test_layers_quantised_before_are_left_alone():
    model = nn.Sequential(nn.LSTM(3, 4), nn.GRU(4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(model, {nn.LSTM})
    kind = type(model[0])
    swaps = recurra.accelerate(model)
    assert swaps.swapped == ("1: torch.nn.GRU -> recurra.nn.GRU",)
    assert type(model[0]) is kind
