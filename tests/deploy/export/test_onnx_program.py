"""Programs in ONNX Runtime beside the modules that they are of."""

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from helpers.lowered_modules import LENGTHS, assert_same_steps, program_of, scrambled
from recurra.cells import CELLS
from recurra.deploy.export.onnx_program import onnx_model, state_shapes
from recurra.nn import Layer, Recurrent, Stack
from recurra.nn.frontends import (
    Block,
    FilteredFrontEnd,
    PlaneFrontEnd,
    SequenceFrontEnd,
    WordFrontEnd,
)
from recurra.nn.pooling import Pooling

QUICK = {"lstm", "gru", "slstm", "rglru", "lstm_layernorm_joint", "fastgrnn_low_rank", "sru"}
"""Cells that decide whether every operation of the language is right."""


def session_of(program):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    model = onnx_model(program, {}).SerializeToString()
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(program, x, lengths=None, states=None):
    given = {"input": x.numpy()} | ({} if lengths is None else {"lengths": lengths.numpy()})
    for name, (rows, size, start) in state_shapes(program).items():
        own = np.broadcast_to(start, (rows, x.shape[1], size)).astype(np.float32)
        given[name] = own if states is None else states[name]
    session = session_of(program)
    found = session.run(None, given)
    by_name = {o.name: f for o, f in zip(session.get_outputs(), found, strict=True)}
    after = {n.removesuffix("_after"): v for n, v in by_name.items() if n.endswith("_after")}
    return torch.from_numpy(by_name["output"]), after


@pytest.mark.parametrize(
    "cell",
    [
        cell if cell in QUICK else pytest.param(cell, marks=pytest.mark.slow)
        for cell in sorted(CELLS)
    ],
)
@pytest.mark.parametrize("scale", [1e-4, 1.0, 30.0])
def test_every_cell_is_as_its_layer(cell, scale):
    torch.manual_seed(1)
    layer = scrambled(Recurrent(cell, 6, 6, num_layers=2))
    x = scale * torch.randn(9, 3, 6)
    found, after = run(program_of(layer, 6, ragged=False), x)
    wanted, states = layer(x)
    torch.testing.assert_close(found, wanted, rtol=2e-4, atol=2e-5)
    flat = [state[number] for number in range(2) for state in states]
    for own, value in zip(flat, after.values(), strict=True):
        torch.testing.assert_close(torch.from_numpy(value)[0], own, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "gru_original", "slstm", "lstm_layernorm"])
def test_ragged_rows_in_both_directions(cell):
    torch.manual_seed(2)
    layer = scrambled(Recurrent(cell, 5, 7, num_layers=2, bidirectional=True))
    x = torch.randn(9, 3, 5)
    found, after = run(program_of(layer, 5, ragged=True), x, LENGTHS)
    assert after == {}
    torch.testing.assert_close(found, layer(x, lengths=LENGTHS)[0], rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn", "slstm"])
def test_a_row_without_steps_keeps_its_states(cell):
    layer = scrambled(Recurrent(cell, 5, 7, learn_initial_state=True))
    x, lengths = torch.randn(4, 3, 5), torch.tensor([4, 0, 2])
    found, after = run(program_of(layer, 5, ragged=True), x, lengths)
    wanted, states = layer(x, lengths=lengths)
    torch.testing.assert_close(found, wanted, rtol=2e-4, atol=2e-5)
    for own, value in zip(states, after.values(), strict=True):
        torch.testing.assert_close(torch.from_numpy(value), own, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "stack",
    [
        Stack.of("gru", 5, 6, 3, skip="residual", norm="pre"),
        Stack.of("lstm", 5, 6, 2, skip="highway", norm="post"),
        Stack.of("rnn", 5, 6, 2, skip="dense"),
        Stack.of("gru", 5, 6, 3, dilation=[1, 2, 4]),
        Stack(5, [Layer("lstm", 6, time_skip=3), Layer("gru", 4, dilation=2, time_skip=2)]),
        Stack.of("slstm", 5, 6, 2, layer_options={"zoneout": 0.2}),
    ],
    ids=["residual", "highway", "dense", "dilated", "time skip", "zoneout"],
)
@pytest.mark.parametrize("ragged", [False, True])
def test_stacks_in_parts(stack, ragged):
    torch.manual_seed(3)
    scrambled(stack)
    program = program_of(stack, 5, ragged=ragged)
    x, lengths = torch.randn(9, 3, 5), LENGTHS if ragged else None
    wanted, _ = stack(x, lengths=lengths)
    assert_same_steps(run(program, x, lengths)[0], wanted, lengths)
    parts, states = [], None
    for begin, end in ((0, 2), (2, 3), (3, 9)):
        own = None if lengths is None else (lengths - begin).clamp(0, end - begin)
        y, states = run(program, x[begin:end], own, states)
        parts.append(y)
    assert_same_steps(torch.cat(parts), wanted, lengths)


def test_both_directions_of_layers_that_look_back():
    torch.manual_seed(3)
    stack = scrambled(Stack.of("gru", 5, 6, 2, dilation=[1, 3], bidirectional=True))
    x = torch.randn(9, 3, 5)
    found, _ = run(program_of(stack, 5, ragged=True), x, LENGTHS)
    torch.testing.assert_close(found, stack(x, lengths=LENGTHS)[0], rtol=2e-4, atol=2e-5)


FRONT_ENDS = {
    "ink": SequenceFrontEnd(6, [Block(4), Block(8, steps=2), Block(8, steps=2)]),
    "causal": SequenceFrontEnd(6, [Block(4), Block(8)], causal=True),
    "filtered": FilteredFrontEnd(
        SequenceFrontEnd(6, [Block(4)], causal=True), torch.randn(2, 6, 5), torch.randn(2)
    ),
    "sound": PlaneFrontEnd(6, [Block(4, 2, 2), Block(4, 1, 2), Block(8, 2, 2)]),
}


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_front_ends(name):
    torch.manual_seed(4)
    front = scrambled(FRONT_ENDS[name])
    x = torch.randn(9, 3, 6)
    for row, length in enumerate(LENGTHS):
        x[length:, row] = 0 if name == "filtered" else torch.nan
    wanted, lengths = front(x.nan_to_num(), LENGTHS)
    found, _ = run(program_of(front, 6, ragged=True), x, LENGTHS)
    assert_same_steps(found, wanted, lengths)


def test_a_causal_front_end_in_parts_of_ragged_rows():
    front = scrambled(FRONT_ENDS["causal"])
    program, x = program_of(front, 6, ragged=True), torch.randn(9, 3, 6)
    wanted, _ = front(x, LENGTHS)
    parts, states = [], None
    for begin, end in ((0, 1), (1, 4), (4, 9)):
        y, states = run(program, x[begin:end], (LENGTHS - begin).clamp(0, end - begin), states)
        parts.append(y)
    found = torch.cat(parts)
    assert_same_steps(found, wanted, LENGTHS)


def test_words_with_their_letters():
    front = scrambled(WordFrontEnd(30, 8, letters=20, channels=4, widths=(2, 3, 4)))
    x = torch.randint(1, 20, (9, 3, 6))
    x[2:5, :, 4:] = 0
    x[6, 1, 1:] = 0
    found, _ = run(program_of(front, 6, ragged=True, kind="tokens"), x, LENGTHS)
    wanted, _ = front(x, LENGTHS)
    assert_same_steps(found, wanted, LENGTHS)


@pytest.mark.parametrize("kind", ["last", "mean", "max", "attention"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_poolings(kind, bidirectional):
    pooling = scrambled(nn.ModuleList([Pooling(kind, 6, bidirectional=bidirectional)]))[0]
    x = torch.randn(9, 3, 6)
    found, _ = run(program_of(pooling, 6, ragged=True), x, LENGTHS)
    torch.testing.assert_close(found, pooling(x, LENGTHS), rtol=1e-4, atol=1e-5)
    found, _ = run(program_of(pooling, 6, ragged=False), x)
    torch.testing.assert_close(found, pooling(x, torch.full((3,), 9)), rtol=1e-4, atol=1e-5)
