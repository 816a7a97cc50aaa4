"""The way of a call from a layer to compiled code and back: short, and safe where it saves work."""

import sys
from pathlib import Path

import pytest
import torch
from fresh import renamed, threads
from torch.autograd.graph import saved_tensors_hooks

import recurra
from recurra.cells import CELLS
from recurra.engines.cpu.run import bound_call, compiled_loop
from recurra.nn import GRU, LSTM, RNN, Recurrent

ROOT = Path(recurra.__file__).parent
B, I, H, T = 5, 3, 7, 6
LAYERS = {
    "lstm": lambda **o: LSTM(I, H, engine="cpu", **o),
    "gru": lambda **o: GRU(I, H, engine="cpu", **o),
    "rnn": lambda **o: RNN(I, H, engine="cpu", **o),
    "cell": lambda **o: Recurrent("lstm_peephole", I, H, engine="cpu", **o),
}


def files_of(call):
    """The files of this package with functions that a call enters."""
    entered = set()

    def note(frame, event, _):
        if event == "call":
            entered.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        call()
    finally:
        sys.setprofile(None)
    return {Path(name).name for name in entered if Path(name).is_relative_to(ROOT)}


@pytest.mark.parametrize("is_training", [True, False])
@pytest.mark.parametrize("has_states", [True, False])
@pytest.mark.parametrize("kind", [LSTM, GRU, RNN])
def test_a_warm_call_passes_few_files(kind, has_states, is_training):
    layer, x, states = kind(I, H), torch.randn(T, B, I), None
    if has_states:
        states = layer(x)[1]
        states = states.detach() if kind is not LSTM else tuple(s.detach() for s in states)
    with torch.set_grad_enabled(is_training):
        layer(x, states)
        assert len(files_of(lambda: layer(x, states))) <= 8


def gradients(layer, x, reduce):
    """Gradients of all parameters and the input of what `reduce` makes of the results."""
    leaves = [x, *layer.parameters()]
    return torch.autograd.grad(reduce(layer(x)), leaves, allow_unused=True)


def last_of(results):
    return results[1] if isinstance(results[1], torch.Tensor) else results[1][-1]


PARTS = {
    "sum": lambda r: r[0].sum(),
    "mean": lambda r: -3 * r[0].mean(),
    "over time": lambda r: r[0].mean(0).square().sum(),
    "over units": lambda r: r[0].sum(2).square().sum(),
    "over rows": lambda r: r[0].sum(1).square().sum(),
    "last step": lambda r: r[0][-1].square().sum(),
    "last state alone": lambda r: last_of(r).square().sum(),
    "sum of a state": lambda r: last_of(r).sum(),
    "both": lambda r: r[0].sum() + last_of(r).square().sum(),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("options", [{}, {"batch_first": True}, {"bidirectional": True}])
def test_gradients_that_nobody_gives_or_that_are_one_number(options, name, part):
    layer = LAYERS[name](**options, dtype=torch.double)
    x = torch.randn(T, B, I, dtype=torch.double, requires_grad=True)
    found = gradients(layer, x, PARTS[part])
    layer._engine = "interp"
    for own, wanted in zip(found, gradients(layer, x, PARTS[part]), strict=True):
        torch.testing.assert_close(own, wanted)


@pytest.mark.parametrize("name", LAYERS)
def test_saved_tensors_may_come_back_in_another_layout(name):
    layer = LAYERS[name](dtype=torch.double)
    x = torch.randn(T, B, I + 2, dtype=torch.double)[..., :I].requires_grad_()
    wanted = gradients(layer, x, PARTS["both"])
    copies = []

    def keep(tensor):
        # As `save_on_cpu` does: the same values in memory of its own, side by side.
        copies.append(tensor.stride())
        return tensor.detach().clone(memory_format=torch.contiguous_format)

    with saved_tensors_hooks(keep, lambda copy: copy):
        found = gradients(layer, x, PARTS["both"])
    assert x.stride() in copies
    for own, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize(("before", "after"), [(1, 2), (3, 1)])
def test_the_backward_pass_may_have_another_number_of_threads(before, after):
    layer = Recurrent(renamed(CELLS["lstm"]), I, 40, engine="cpu", dtype=torch.double)
    x = torch.randn(30, 9, I, dtype=torch.double, requires_grad=True)
    wanted = gradients(layer, x, PARTS["both"])
    with threads(before):
        loss = PARTS["both"](layer(x))
    with threads(after):
        found = torch.autograd.grad(loss, [x, *layer.parameters()])
    for own, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(own, other)


def test_scratch_memory_is_one_callers_at_a_time():
    first, second = bound_call.take(1000), bound_call.take(1000)
    assert first.data_ptr() != second.data_ptr()
    assert min(first.nbytes, second.nbytes) >= 1000
    bound_call.give(first)
    assert bound_call.take(10).data_ptr() == first.data_ptr()
    assert bound_call.take(first.nbytes + 1).nbytes > first.nbytes


def test_scratch_memory_has_limits():
    bound_call.give(bound_call.take(bound_call._MOST_KEPT + 1))
    blocks = [bound_call.take(64) for _ in range(20)]
    for block in blocks:
        bound_call.give(block)
    kept = bound_call._FREE
    assert len(kept) <= bound_call._MOST_BLOCKS
    assert max(block.nbytes for block in kept) <= bound_call._MOST_KEPT


@pytest.mark.parametrize("least", ["LEAST", "LEAST_OUTPUT"])
def test_results_in_large_memory_may_be_changed(monkeypatch, least):
    """Memory of a size that the system gives page by page: some, or all, is kept memory then."""
    monkeypatch.setattr(compiled_loop.workspace, "LEAST", 0)
    if least == "LEAST_OUTPUT":
        monkeypatch.setattr(compiled_loop, "_LEAST_OUTPUT", 0)
    layer, x, found = LAYERS["rnn"](), torch.randn(T, B, I), []
    for is_copied in (False, True):
        y, _ = layer(x)
        y = y.clone() if is_copied else y
        total = y.mul_(2).sum()
        y.data.zero_()
        found.append(torch.autograd.grad(total, list(layer.parameters())))
    torch.testing.assert_close(*found, rtol=0, atol=0)


def test_what_is_bound_has_limits():
    layer = LAYERS["lstm"](batch_first=True)
    compiled = layer._kernel.choose([torch.empty(1), *layer.parameters()], None).code.compiled
    for steps in range(2, 300):  # strides of (B, T, I), and so what is bound, depend on the steps
        layer(torch.randn(2, steps, I))[0].square().sum().backward()
    assert len(compiled._bindings) <= 256
    layer = LAYERS["lstm"]()
    for rows in range(2, 50):  # and strides of gradients on whatever they were cut from
        layer(torch.randn(9, 2, I))[0].backward(torch.randn(9, rows, H)[:, :2])
    assert max(len(b.backward) for b in compiled._bindings.values()) <= 32


def test_layers_take_the_setting_when_they_are_made(monkeypatch):
    monkeypatch.setenv("RECURRA_ENGINE", "interp")
    layers = [LSTM(I, H), Recurrent("gru", I, H), recurra.nn.GRUCell(I, H)]
    monkeypatch.delenv("RECURRA_ENGINE")
    assert [layer.engine for layer in layers] == ["interp"] * 3
    assert LSTM(I, H).engine == "cpu"
