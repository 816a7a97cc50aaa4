"""A step of an LSTM at a time: sessions beside torch and ONNX Runtime, on one core.

    python benchmarks/streams.py

All in turn in each round, medians. A step is a call from Python, state carried, I = H, one layer;
within a chunk it is a hundredth of a call with 100 steps. `weights` is the time of one read of the
weights, by a sum over them. Last, 1,000 sessions of two layers of 256 stepped together, as a share
of the peak that independent multiply-adds reach in the same run. Both int8 columns are dynamic
quantisation with a scale for each row of weights. Needs onnx and onnxruntime.
"""

import functools
import os
import statistics
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic
from torch import nn

from recurra.bench.measurement import peak
from recurra.nn import LSTM
from recurra.nn.module_steps import steps_of

SIZES, ROUNDS, CHUNK, SESSIONS = (64, 256, 512), 15, 100, 1000


def onnx_session(layer, *, quantize=False):
    """The layer as ONNX's operator, or DynamicQuantizeLSTM, states in and out, on one thread."""
    size = layer.hidden_size
    order = np.r_[0:size, 3 * size : 4 * size, size : 3 * size]  # i, o, f, c
    own = {name: weight.detach().numpy() for name, weight in layer.named_parameters()}
    values = {
        "W": own["weight_ih_l0"][order][None],
        "R": own["weight_hh_l0"][order][None],
        "B": np.concatenate([own["bias_ih_l0"][order], own["bias_hh_l0"][order]])[None],
    }
    inputs = ["x", "W", "R", "B", "", "h", "c"]
    node = helper.make_node("LSTM", inputs, ["y", "hn", "cn"], hidden_size=size)
    shapes = {"x": ["T", 1, size], "h": [1, 1, size], "c": [1, 1, size]}
    results = {"y": ["T", 1, 1, size], "hn": [1, 1, size], "cn": [1, 1, size]}
    graph = helper.make_graph(
        [node],
        "lstm",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in shapes.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in results.items()],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    if quantize:
        model = quantised(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def quantised(model):
    """The model with int8 weights, a scale for each row."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder, "model.onnx"), Path(folder, "int8.onnx")
        onnx.save(model, before)
        quantize_dynamic(before, after, weight_type=QuantType.QInt8, per_channel=True)
        found = onnx.load(after)
    assert [node.op_type for node in found.graph.node] == ["DynamicQuantizeLSTM"]
    return found


def contenders(size):
    """Steps of a session, and functions of inputs (T, 1, I) that carry their states, by name."""
    layer, theirs, cell = LSTM(size, size), nn.LSTM(size, size), nn.LSTMCell(size, size)
    theirs.load_state_dict(layer.state_dict())
    steps, session = steps_of(layer), onnx_session(layer)
    small, small_session = steps_of(layer, quantize=True), onnx_session(layer, quantize=True)
    states = {
        "torch.nn.LSTM": (torch.zeros(1, 1, size),) * 2,
        "torch.nn.LSTMCell": (torch.zeros(1, size),) * 2,
        "ONNX Runtime": (np.zeros((1, 1, size), np.float32),) * 2,
        "ONNX Runtime int8": (np.zeros((1, 1, size), np.float32),) * 2,
    }

    def of_torch(x):
        y, states["torch.nn.LSTM"] = theirs(x, states["torch.nn.LSTM"])
        return y

    def of_cell(rows):
        for row in rows:
            states["torch.nn.LSTMCell"] = cell(row, states["torch.nn.LSTMCell"])

    def of_onnx(name, run, x):
        h, c = states[name]
        y, *states[name] = run(None, {"x": x.numpy(), "h": h, "c": c})
        return torch.from_numpy(y[:, 0])

    onnx_float = functools.partial(of_onnx, "ONNX Runtime", session.run)
    onnx_small = functools.partial(of_onnx, "ONNX Runtime int8", small_session.run)

    x = torch.randn(7, 1, size)
    with torch.no_grad():
        for other in (of_torch(x), onnx_float(x)):
            torch.testing.assert_close(steps.feed(x), other, rtol=1e-4, atol=1e-5)
            steps.reset()
        for other in (small.feed(x), onnx_small(x)):
            torch.testing.assert_close(steps.feed(x), other, rtol=0, atol=0.02)
            steps.reset()
    others = {
        "torch.nn.LSTM": of_torch,
        "torch.nn.LSTMCell": of_cell,
        "ONNX Runtime": onnx_float,
        "ONNX Runtime int8": onnx_small,
    }
    return steps, small, others


def medians(runs, rounds=ROUNDS):
    """Seconds of a run of each, all in turn."""
    times = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            begun, count = time.perf_counter(), 0
            while time.perf_counter() - begun < 0.02:
                run()
                count += 1
            times[name].append((time.perf_counter() - begun) / count)
    return {name: statistics.median(own) for name, own in times.items()}


@torch.no_grad()
def one_layer(size):
    """A row of microseconds a step: called one by one, and in chunks."""
    own, small, others = contenders(size)
    weights = torch.randn(2 * 4 * size * size)
    for steps in (1, CHUNK):
        x = torch.randn(steps, 1, size)
        given = {"torch.nn.LSTMCell": list(x)}
        runs = {}
        for name, each in (("Recurra", own), ("Recurra int8", small)):
            one, several = functools.partial(each.step, x[0]), functools.partial(each.feed, x)
            runs[name] = one if steps == 1 else several
        runs |= {n: functools.partial(run, given.get(n, x)) for n, run in others.items()}
        seconds = medians({**runs, "weights": weights.sum})
        read = seconds.pop("weights")
        cells = [f"{1e6 * own / steps:.1f}" for own in seconds.values()]
        what = "a call" if steps == 1 else f"of {steps}"
        print(f"| {size} | {what} | {' | '.join(cells)} | {1e6 * read:.1f} |", flush=True)


@torch.no_grad()
def many_sessions(size=256):
    """The share of the peak of 1,000 sessions stepped together."""
    steps = steps_of(LSTM(size, size, 2), SESSIONS, chunk=1)
    x, rows = torch.randn(SESSIONS, size), torch.arange(SESSIONS)
    seconds = medians({"all": lambda: steps.step(x), "chosen": lambda: steps.step_rows(x, rows)})
    work, most = 2 * 2 * 8 * size * size * SESSIONS, peak()
    for name, own in seconds.items():
        share = f"{1e3 * own:.1f} ms, {100 * work / own / most:.0f} %"
        print(f"{SESSIONS:,} sessions of 2 x {size}, {name}: {share} of {most / 1e9:.0f} GFLOP/s")


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(
        "| H | step | Recurra | Recurra int8 | torch.nn.LSTM | LSTMCell | ONNX Runtime "
        "| ONNX Runtime int8 | weights |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for each in SIZES:
        one_layer(each)
    many_sessions()
