"""Networks as plain torch, beside the modules that they are of."""

import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from helpers.lowered_modules import LENGTHS, assert_same_steps, program_of, scrambled
from helpers.small_models import small_model
from recurra.deploy.export import export
from recurra.deploy.export.torch_source import torch_files
from recurra.deploy.export.torch_target import TorchRun, TorchTarget
from recurra.errors import ConfigError
from recurra.nn import Layer, Recurrent, Stack
from recurra.nn.frontends import Block, PlaneFrontEnd, SequenceFrontEnd
from recurra.nn.pooling import Pooling
from recurra.runs.saving import to_bytes

NAMES = ["language", "words", "bytes", "films", "whole films", "speed", "sensor", "waves", "speech"]


def run_of(module, size, *, ragged):
    program = program_of(module, size, ragged=ragged)
    source, weights = torch_files(program, "net")
    return TorchRun(program, {"a.py": source.encode(), "a.safetensors": to_bytes(weights)})


@pytest.mark.parametrize("name", NAMES)
def test_networks_of_every_kind_agree(name):
    for exportable in small_model(name).exportables():
        files = TorchTarget().files(exportable, "model", {})
        assert files.keys() == {"model.py", "model.safetensors"}
        assert b"recurra" not in files["model.py"]


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "irnn"])
def test_both_directions_of_ragged_rows(cell):
    torch.manual_seed(2)
    layer = scrambled(Recurrent(cell, 5, 7, 2, bidirectional=True, learn_initial_state=True))
    x = torch.randn(9, 3, 5)
    found, _ = run_of(layer, 5, ragged=True)(x, LENGTHS, None)
    wanted, _ = layer(x, lengths=LENGTHS)
    assert_same_steps(found, wanted, LENGTHS)


@pytest.mark.parametrize("skip", ["residual", "highway", "dense"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_stacks_in_parts(skip, norm):
    stack = scrambled(Stack.of("gru", 5, 6, 3, skip=skip, norm=norm))
    run, x = run_of(stack, 5, ragged=False), torch.randn(9, 3, 5)
    first, states = run(x[:4], None, None)
    second, _ = run(x[4:], None, states)
    torch.testing.assert_close(torch.cat([first, second]), stack(x)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "front",
    [
        SequenceFrontEnd(6, [Block(4), Block(8, steps=2)]),
        SequenceFrontEnd(6, [Block(4), Block(8)], causal=True),
        PlaneFrontEnd(6, [Block(4, 2, 2), Block(8, 1, 2)]),
    ],
    ids=["sequence", "causal", "planes"],
)
def test_front_ends(front):
    scrambled(front)
    x = torch.randn(9, 3, 6)
    wanted, lengths = front(x, LENGTHS)
    found, _ = run_of(front, 6, ragged=True)(x, LENGTHS, None)
    assert_same_steps(found, wanted, lengths)


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_poolings(kind, bidirectional):
    pooling = scrambled(nn.ModuleList([Pooling(kind, 6, bidirectional=bidirectional)]))[0]
    x = torch.randn(9, 3, 6)
    found, _ = run_of(pooling, 6, ragged=True)(x, LENGTHS, None)
    torch.testing.assert_close(found, pooling(x, LENGTHS), rtol=1e-4, atol=1e-5)


def test_the_files_need_torch_alone(tmp_path):
    (exportable,) = small_model("whole films").exportables()
    export(small_model("whole films"), "torch", tmp_path)
    x = exportable.sample(6, 2, torch.Generator().manual_seed(1))
    lengths = torch.tensor([6, 3])
    save_file({"x": x, "lengths": lengths}, tmp_path / "given.safetensors")
    program = (
        "import sys, torch\n"
        "from safetensors.torch import load_file, save_file\n"
        "from model import Network\n"
        "net = Network().eval()\n"
        "net.load_state_dict(load_file('model.safetensors'))\n"
        "given = load_file('given.safetensors')\n"
        "save_file({'y': net(given['x'], given['lengths']).detach()}, 'found.safetensors')\n"
        "assert 'recurra' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, check=True, env={"PYTHONPATH": ""}
    )
    found = load_file(tmp_path / "found.safetensors")["y"]
    torch.testing.assert_close(found, exportable.called(x, lengths, None)[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("module", "said"),
    [
        (Recurrent("slstm", 5, 6), "no layer with the equations of sLSTM, layer 0"),
        (Stack(5, [Layer("gru", 6, dilation=2)]), "GRU, layer 0 looks several steps back"),
    ],
)
def test_layers_that_torch_has_not_are_named(module, said):
    with pytest.raises(ConfigError, match=said):
        run_of(module, 5, ragged=True)
