"""Inputs as they come: ragged, packed, marked, strided, expanded, with NaN and infinity."""

import pytest
import torch
from contract import COMPILED, ENGINES_OF, assert_same, distance, draw, everything, marks, slow_but
from odd_cells import ODD
from runs import run_cell
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import recurra.nn
from recurra.cells import CELLS
from recurra.compile import ENGINES
from recurra.engines.cpu.run import compiled_loop

T, B = 7, 6
LENGTHS = {
    "none at all": [0] * B,
    "equal": [T] * B,
    "equal and short": [3] * B,
    "sorted": [7, 6, 4, 4, 1, 0],
    "unsorted": [0, 3, 7, 1, 3, 5],
    "one goes on": [1, 1, 7, 1, 1, 1],
    "rising": [0, 1, 2, 3, 4, 5],
}


def mark(where):
    found = torch.zeros(T, B, dtype=torch.bool)
    for t, b in where:
        found[t, b] = True
    return found


RESETS = {
    "none": None,
    "first and last": mark([(0, 2), (T - 1, 2), (T - 1, 3), (0, 4)]),
    "beyond the end": mark([(4, 3), (6, 1), (2, 2), (5, 5)]),
    "next to each other": mark([(2, 2), (3, 2), (4, 2), (1, 5), (2, 5)]),
    "everywhere": mark([(t, b) for t in range(T) for b in range(B)]),
}


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("resets", RESETS)
@pytest.mark.parametrize("lengths", [*LENGTHS, None])
def test_lengths_and_resets(lengths, resets, reverse):
    options = {"resets": RESETS[resets], "reverse": reverse}
    options["lengths"] = None if lengths is None else torch.tensor(LENGTHS[lengths])
    for name in ("gru", "lstm_projected"):
        assert_same(CELLS[name], draw(CELLS[name], steps=T, batch=B), **options)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_is_never_read(bad, reverse):
    params, x, states = drawn = draw(CELLS["lstm"], steps=T, batch=B)
    lengths = torch.tensor(LENGTHS["unsorted"])
    padding = (torch.arange(T).unsqueeze(1) >= lengths).unsqueeze(-1)
    other = (params, x.detach().masked_fill(padding, bad).requires_grad_(), states)
    options = {"lengths": lengths, "reverse": reverse}
    found, wanted = (everything(CELLS["lstm"], "cpu", d, **options) for d in (other, drawn))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


MODULES = [("LSTM", {}), ("GRU", {}), ("RNN", {}), ("RNN", {"nonlinearity": "relu"})]
MODULES += [("LSTM", {"proj_size": 2})]


def pair(kind, **options):
    """The same layer of torch and of Recurra, in float64."""
    torch.manual_seed(1)
    theirs = getattr(torch.nn, kind)(3, 5, **options).double()
    mine = getattr(recurra.nn, kind)(3, 5, engine="cpu", **options).double()
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def gradients(module, inputs, *values):
    leaves = [*inputs, *module.parameters()]
    total = sum((v * torch.linspace(-1, 1, v.numel()).view(v.shape)).sum() for v in values)
    return torch.autograd.grad(total, leaves)


def states_of(module, batch):
    layers = module.num_layers * (1 + module.bidirectional)
    sizes = [module.proj_size or module.hidden_size, module.hidden_size]
    shapes = sizes if module.mode == "LSTM" else sizes[1:]
    random = torch.Generator().manual_seed(2)
    return [
        torch.randn(layers, batch, n, generator=random, dtype=torch.float64).requires_grad_()
        for n in shapes
    ]


def flat(module, x, states):
    y, last = module(x, tuple(states) if module.mode == "LSTM" else states[0])
    data = y.data if isinstance(y, torch.nn.utils.rnn.PackedSequence) else y
    return y, [data, *(last if isinstance(last, tuple) else (last,))]


@pytest.mark.parametrize("lengths", [[7, 5, 5, 1], [1, 7, 3, 7], [2, 2, 2, 2]], ids=str)
@pytest.mark.parametrize("both", [False, True], ids=["one way", "both ways"])
@pytest.mark.parametrize(("kind", "options"), MODULES)
def test_packed_sequences_are_torchs(kind, options, both, lengths):
    mine, theirs = pair(kind, bidirectional=both, num_layers=2, **options)
    x = torch.randn(T, 4, 3, dtype=torch.float64, requires_grad=True)
    states, found = states_of(theirs, 4), []
    for module in (mine, theirs):
        packed = pack_padded_sequence(x, torch.tensor(lengths), enforce_sorted=False)
        y, values = flat(module, packed, states)
        padded, _ = pad_packed_sequence(y)
        found.append([padded, *values, *gradients(module, [x, *states], *values)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(("kind", "options"), MODULES[:4])
def test_what_is_not_finite_comes_out_as_torch_gives_it(kind, options, bad):
    mine, theirs = pair(kind, **options)
    x = torch.randn(T, 4, 3, dtype=torch.float64)
    x[2, 1, 0] = bad
    x.requires_grad_()
    states, found = states_of(theirs, 4), []
    for module in (mine, theirs):
        _, values = flat(module, x, states)
        found.append([*values, *gradients(module, [x, *states], *values)])
    torch.testing.assert_close(found[0], found[1], rtol=1e-11, atol=1e-12, equal_nan=True)
    assert any(not v.isfinite().all() for v in found[1])


LAYOUTS = {
    "batch first": lambda x: x.transpose(0, 1).contiguous().transpose(0, 1),
    "part of a wider one": lambda x: torch.cat([x, x], -1)[..., : x.shape[-1]],
    "every other step": lambda x: x.repeat_interleave(2, 0)[::2],
    "every other row": lambda x: x.repeat_interleave(2, 1)[:, ::2],
    "transposed": lambda x: x.permute(2, 0, 1).contiguous().permute(1, 2, 0),
}


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("steps", [2, 40])
@pytest.mark.parametrize("how", LAYOUTS)
def test_inputs_of_any_layout(how, steps, masked):
    params, x, states = draw(CELLS["lstm"], steps=steps)
    lengths, resets = marks(steps, x.shape[1]) if masked else (None, None)
    other = LAYOUTS[how](x.detach()).requires_grad_()
    drawn = (params, other, states)
    assert_same(CELLS["lstm"], drawn, lengths=lengths, resets=resets)


@pytest.mark.parametrize("axis", [0, 1])
def test_expanded_input(axis):
    """One step, or one row, that stands for all: its gradient is their sum."""
    params, x, states = draw(CELLS["gru"], steps=40)
    one = x.detach().narrow(axis, 0, 1).requires_grad_()
    results = []
    for engine_name in ("cpu", "interp"):
        given = (params, one.expand_as(x), states)
        results.append(everything(CELLS["gru"], engine_name, given))
    assert distance(*results) < 1e-12
    layer = recurra.nn.GRU(3, 5, engine="cpu").double()
    layer(one.expand_as(x))[0].sum().backward()
    assert one.grad is not None
    assert one.grad.shape == one.shape


def test_batch_first_is_read_where_it_lies(monkeypatch):
    seen = []
    for name in ("forward", "backward"):
        real = getattr(compiled_loop.Compiled, name)

        def spy(self, outside, *args, real=real, **kwargs):
            seen.append([t.data_ptr() for t in outside if t is not None])
            return real(self, outside, *args, **kwargs)

        monkeypatch.setattr(compiled_loop.Compiled, name, spy)
    layer = recurra.nn.LSTM(3, 5, batch_first=True, engine="cpu")
    x = torch.randn(4, 9, 3)
    layer(x)[0].sum().backward()
    assert len(seen) == 2
    assert all(x.data_ptr() in pointers for pointers in seen)


def test_output_gradients_of_any_layout():
    params, x, states = draw(CELLS["lstm"], steps=9)
    seed = torch.randn(7, 9, 5, dtype=torch.float64).permute(1, 2, 0)
    found = []
    for engine_name in ENGINES:
        loop = recurra.compile.kernel(CELLS["lstm"], engine=engine_name)
        y, _ = run_cell(loop, x, states, params)
        found += [
            torch.autograd.grad(y, [x, *states], given, retain_graph=True)
            for given in (seed, seed[:1].expand_as(seed))
        ]
    torch.testing.assert_close(found[:2], found[4:], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(found[2:4], found[4:], rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", ["lstm", "lstm_projected", "Delay", "gru"])
def test_gradients_of_single_values(name):
    """Nothing flows into the others: outputs, or one of the last states, alone."""
    cell = (CELLS | ODD)[name]
    params, x, states = draw(cell)
    found, names = [], [*ENGINES_OF.get(name, ["cpu"]), "interp"]
    for engine_name in names:
        y, last = run_cell(recurra.compile.kernel(cell, engine=engine_name), x, states, params)
        for value in (y, *last):
            leaves = [*params.values(), x, *states]
            found.append(
                torch.autograd.grad(value.sum(), leaves, retain_graph=True, materialize_grads=True)
            )
    each = len(found) // len(names)
    for first in range(0, len(found) - each, each):
        theirs = found[first : first + each]
        torch.testing.assert_close(theirs, found[-each:], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("wanted", ["W", "U", "b", "x", "h"])
def test_only_some_gradients_are_wanted(wanted):
    params, x, states = draw(CELLS["gru"])
    leaves = {**params, "x": x, "h": states[0]}
    for name, leaf in leaves.items():
        leaf.requires_grad_(name == wanted)
    found = []
    for engine_name in ENGINES:
        y, _ = run_cell(recurra.compile.kernel(CELLS["gru"], engine=engine_name), x, states, params)
        found.append(torch.autograd.grad(y.square().sum(), leaves[wanted]))
    torch.testing.assert_close(found[0], found[2], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(found[1], found[2], rtol=1e-11, atol=1e-12)


INFERRED = [
    "lstm",
    "sru",
    "lstm_layernorm_joint",
    "Chain",
    "Delay",
    "Late",
    "Stale",
    "Half",
]


@pytest.mark.parametrize("name", slow_but(INFERRED, [*INFERRED[:3], *ODD]))
def test_inference_is_training_without_what_is_kept(name):
    cell = (COMPILED | ODD)[name]
    params, x, states = draw(cell, hidden=38, scale=0.1)
    kernel = recurra.compile.kernel(cell, engine="cpu")
    with torch.no_grad():
        y, last = run_cell(kernel, x, states, params)
        single, _ = run_cell(kernel, x[:1], states, params)
    wanted, wanted_last = run_cell(kernel, x, states, params)
    torch.testing.assert_close((y, last), (wanted.detach(), tuple(s.detach() for s in wanted_last)))
    torch.testing.assert_close(single[0], y[0], rtol=1e-12, atol=1e-13)
