"""Networks as C, compiled here, beside the modules that they are of."""

import copy
import shutil
import subprocess

import numpy as np
import pytest
import torch
from torch import nn

from helpers.lowered_modules import program_of, scrambled
from helpers.small_models import small_model
from recurra.cells import CELLS
from recurra.deploy.export.c_program import c_files
from recurra.deploy.export.c_target import CRun, CTarget
from recurra.deploy.export.export_target import check_agrees
from recurra.errors import ConfigError, RunError
from recurra.nn import Layer, Recurrent, Stack
from recurra.nn.frontends import (
    Block,
    FilteredFrontEnd,
    PlaneFrontEnd,
    SequenceFrontEnd,
    WordFrontEnd,
)
from recurra.nn.pooling import Pooling, PoolingStream

STRICT = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Wpedantic", "-Werror"]
pytestmark = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


QUICK = {"lstm", "gru", "slstm", "rglru", "lstm_layernorm_joint", "fastgrnn_low_rank", "sru"}
"""Cells that decide whether every operation of the language is right."""


def run_of(program, folder, form="float32"):
    source, header = c_files(program, "net", form, {})
    return CRun(program, {"net.c": source.encode(), "net.h": header.encode()}, folder)


@pytest.mark.parametrize(
    "cell",
    [
        cell if cell in QUICK else pytest.param(cell, marks=pytest.mark.slow)
        for cell in sorted(CELLS)
    ],
)
def test_every_cell_is_as_its_layer(cell, tmp_path):
    torch.manual_seed(1)
    layer = scrambled(Recurrent(cell, 6, 6, num_layers=2))
    exact_layer = copy.deepcopy(layer).double()
    run = run_of(program_of(layer, 6), tmp_path)
    for scale in (1e-4, 1.0, 30.0, 1e4):
        x = scale * torch.randn(9, 3, 6)
        found, own, exact = run(x, None, None)[0], layer(x)[0], exact_layer(x.double())[0]
        error, usual = (float((y - exact).norm() / exact.norm()) for y in (found, own))
        assert error < max(1e-5, 5 * usual)


@pytest.mark.parametrize(
    "stack",
    [
        Stack.of("gru", 5, 6, 3, skip="residual", norm="pre"),
        Stack.of("lstm", 5, 6, 2, skip="highway", norm="post"),
        Stack.of("rnn", 5, 6, 2, skip="dense"),
        Stack.of("gru", 5, 6, 3, dilation=[1, 2, 4]),
        Stack(5, [Layer("lstm", 6, time_skip=3), Layer("gru", 4, dilation=2, time_skip=2)]),
        Stack.of("slstm", 5, 6, 2, layer_options={"zoneout": 0.2}),
        Stack.of("gru", 5, 6, 1, layer_options={"learn_initial_state": True}),
        SequenceFrontEnd(5, [Block(4), Block(8)], causal=True),
        FilteredFrontEnd(
            SequenceFrontEnd(5, [Block(4)], causal=True), torch.randn(2, 5, 5), torch.randn(2)
        ),
    ],
    ids=[
        "residual",
        "highway",
        "dense",
        "dilated",
        "skip",
        "zoneout",
        "learnt",
        "causal",
        "filter",
    ],
)
def test_stacks_and_front_ends_in_parts(stack, tmp_path):
    torch.manual_seed(3)
    scrambled(stack)
    run, x = run_of(program_of(stack, 5), tmp_path), torch.randn(9, 3, 5)
    wanted, _ = stack(x, lengths=torch.full((3,), 9))
    parts, states = [], None
    for begin, end in ((0, 2), (2, 3), (3, 9)):
        y, states = run(x[begin:end], None, states)
        parts.append(y)
    torch.testing.assert_close(torch.cat(parts), wanted, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "front",
    [
        SequenceFrontEnd(6, [Block(4), Block(8)]),
        SequenceFrontEnd(6, [Block(4), Block(8, steps=2), Block(8, steps=2)]),
        SequenceFrontEnd(6, [Block(4, steps=2), Block(8)], causal=True),
        PlaneFrontEnd(6, [Block(4, 2, 2), Block(4, 1, 2), Block(8, 2, 2)]),
    ],
    ids=["look-ahead", "subsampling", "causal subsampling", "planes"],
)
@pytest.mark.parametrize("form", ["float32", "int16"])
def test_front_ends_that_wait_for_later_steps(front, form, tmp_path):
    torch.manual_seed(4)
    scrambled(front)
    run = run_of(program_of(front, 6), tmp_path, form)
    for longest in (12, 9, 2, 1):
        x, lengths = torch.randn(longest, 3, 6), torch.tensor([longest, 1, max(1, longest // 2)])
        found, _ = run(x, lengths, None)
        wanted, after = front(x, lengths)
        close = {"rtol": 2e-4, "atol": 2e-5} if form == "float32" else {"rtol": 0, "atol": 5e-3}
        for row, length in enumerate(after):
            torch.testing.assert_close(found[:length, row], wanted[:length, row], **close)
            assert not found[length:, row].any()


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
def test_poolings_after_every_step(kind, tmp_path):
    pooling = scrambled(nn.ModuleList([Pooling(kind, 6)]))[0]
    x = torch.randn(9, 3, 6)
    found, _ = run_of(program_of(pooling, 6), tmp_path)(x, torch.tensor([9, 1, 4]), None)
    along = PoolingStream(pooling).feed(x)
    for row, length in enumerate((9, 1, 4)):
        torch.testing.assert_close(found[row], along[length - 1, row], rtol=1e-4, atol=1e-5)


def test_words_with_their_letters(tmp_path):
    front = scrambled(WordFrontEnd(30, 8, letters=20, channels=4, widths=(2, 3, 4)))
    x = torch.randint(1, 20, (9, 3, 6))
    x[2:5, :, 4:] = 0
    x[6, 1, 1:] = 0
    found, _ = run_of(program_of(front, 6, kind="tokens"), tmp_path)(x, None, None)
    torch.testing.assert_close(found, front(x, torch.full((3,), 9))[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("form", "bound"), [("int16", 2e-3), ("int8", 0.1)])
@pytest.mark.parametrize("cell", ["lstm", "gru", "slstm"])
def test_whole_numbers_come_near(cell, form, bound, tmp_path):
    torch.manual_seed(1)
    layer = Recurrent(cell, 20, 32).eval()
    x = torch.randn(50, 2, 20)
    found, _ = run_of(program_of(layer, 20), tmp_path, form)(x, None, None)
    wanted, _ = layer(x)
    off = float((found - wanted).norm() / wanted.norm())
    assert 0 < off < bound


def test_a_product_of_whole_numbers_is_the_stated_one(tmp_path):
    torch.manual_seed(1)
    linear = nn.Linear(40, 7)
    x = torch.randn(5, 1, 40)
    found, _ = run_of(program_of(linear, 40), tmp_path, "int8")(x, None, None)
    weight = linear.weight.detach().double().numpy()
    scale = np.abs(weight).max(1) / 127
    whole = np.rint(weight / scale[:, None])
    for step in range(5):
        row = x[step, 0].numpy()
        largest = np.abs(row).max()
        sums = whole @ np.rint(row / largest * np.float32(127)).astype(int)
        wanted = sums * scale * (largest / 127) + linear.bias.detach().numpy()
        np.testing.assert_allclose(found[step, 0], wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("form", ["float32", "int16", "int8"])
@pytest.mark.parametrize("name", ["words", "films", "waves", "speech"])
def test_sources_pass_strict_compilers_and_sanitizers(name, form, tmp_path):
    (exportable, *_) = small_model(name).exportables()
    files = CTarget(form).files(exportable, "my-net", {"task": "a */ b"})
    for file, content in files.items():
        (tmp_path / file).write_bytes(content)
    kind = "int32_t" if exportable.program.input.kind == "tokens" else "float"
    main = f"""#include "my-net.h"
#include <stdio.h>
int main(void) {{
    my_net_state state;
    {kind} x[MY_NET_INPUTS];
    float y[(1 + MY_NET_LAST) * MY_NET_OUTPUTS];
    my_net_init(&state);
    for (int i = 0; i < MY_NET_INPUTS; i++) x[i] = 1;
    for (int t = 0; t < 20; t++) (void)my_net_step(&state, x, y);
    (void)my_net_finish(&state, y);
    printf("%g", (double)y[0]);
}}
"""
    (tmp_path / "main.c").write_text(main)
    sources = [str(tmp_path / "my-net.c"), str(tmp_path / "main.c")]
    shown = []
    for compiler in ("gcc", "clang"):
        if shutil.which(compiler) is None:
            continue
        program = str(tmp_path / compiler)
        checks = ["-fsanitize=undefined", "-fno-sanitize-recover"] if compiler == "gcc" else []
        command = [compiler, *STRICT, *checks, *sources, "-o", program, "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        ran = subprocess.run([program], capture_output=True, text=True, check=True)
        shown.append(float(ran.stdout))
    assert np.isfinite(shown).all()


def test_networks_that_can_not_answer_step_by_step_are_refused():
    (exportable, *_) = small_model("whole films").exportables()
    with pytest.raises(ConfigError, match="reads each sequence from its end; export it to onnx"):
        CTarget().files(exportable, "model", {})


def test_a_spoiled_constant_is_noticed(tmp_path):
    (exportable, *_) = small_model("language").exportables()
    files = dict(CTarget().files(exportable, "model", {}))
    files["model.c"] = files["model.c"].replace(b"sum += w[c] * x[c]", b"sum += w[c] * x[0]")
    run = CTarget().run(exportable, files, tmp_path)
    with pytest.raises(RunError, match="differs by"):
        check_agrees("c", exportable, run)
