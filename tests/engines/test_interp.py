"""The reference engine against the formulas: the contract that every engine is to meet."""

import pytest
import torch
from formulas import FORMULAS, B, H, I, T, assert_same, draw, expected, gradients
from hypothesis import given, settings
from hypothesis import strategies as st
from runs import run_cell

from recurra.cells import CELLS, Cell
from recurra.compile import kernel
from recurra.errors import EngineError

LENGTHS = {
    "none": None,
    "full": [T, T, T, T],
    "zero": [0, T, 0, 2],
    "all zero": [0, 0, 0, 0],
    "mixed": [1, T - 1, 3, T],
}
RESETS = {
    "none": None,
    "first": [(0, 0), (0, 2)],
    "last": [(T - 1, 1), (T - 1, 3)],
    "beyond the length": [(1, 0), (T - 1, 1), (3, 2), (T - 1, 0)],
    "several": [(0, 1), (2, 1), (3, 1), (1, 3), (4, 3)],
    "all": [(t, b) for t in range(T) for b in range(B)],
}


def make(lengths, resets, reverse):
    """The options of `sequence`."""
    marks = torch.zeros(T, B, dtype=torch.bool)
    for t, b in resets or ():
        marks[t, b] = True
    return {
        "lengths": None if lengths is None else torch.tensor(lengths),
        "resets": None if resets is None else marks,
        "reverse": reverse,
    }


def interp(name, **kwargs):
    return kernel(CELLS[name], engine="interp", **kwargs)


def test_every_formula_is_of_a_cell():
    assert CELLS.keys() >= FORMULAS.keys()
    assert len(FORMULAS) == 6


@pytest.mark.parametrize("reverse", [False, True], ids=["forward", "reverse"])
@pytest.mark.parametrize("resets", RESETS)
@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("name", FORMULAS)
def test_contract(name, lengths, resets, reverse):
    options = make(LENGTHS[lengths], RESETS[resets], reverse)
    assert_same(interp(name), name, draw(name), **options)


@pytest.mark.parametrize("name", FORMULAS)
def test_step_is_a_sequence_of_one(name):
    p, x, states = draw(name, steps=1)
    y, last = run_cell(interp(name), x, states, p)
    torch.testing.assert_close(interp(name).step(x[0], states, p), last)
    torch.testing.assert_close(y[0], last[0])


@pytest.mark.parametrize("shape", [(), (2, 3)], ids=["no batch", "two batch dimensions"])
def test_step_takes_any_batch(shape):
    p, _, _ = draw("lstm")
    x, h, c = (torch.randn(*shape, n, dtype=torch.float64) for n in (I, H, H))
    new = interp("lstm").step(x, (h, c), p)
    flat = interp("lstm").step(x.reshape(-1, I), (h.reshape(-1, H), c.reshape(-1, H)), p)
    torch.testing.assert_close(new, tuple(s.reshape(*shape, H) for s in flat))


@st.composite
def problems(draw_):
    size = st.integers(1, 5)
    shape = {"steps": draw_(size), "batch": draw_(st.integers(1, 3))}
    shape |= {"inputs": draw_(size), "hidden": draw_(size)}
    mask = st.lists(st.booleans(), min_size=shape["batch"], max_size=shape["batch"])
    length = st.integers(0, shape["steps"])
    options = {
        "lengths": torch.tensor([draw_(length) for _ in range(shape["batch"])]),
        "resets": torch.tensor([draw_(mask) for _ in range(shape["steps"])]),
        "reverse": draw_(st.booleans()),
    }
    return draw_(st.sampled_from(list(FORMULAS))), shape, options


@given(problems())
@settings(max_examples=60, deadline=None, derandomize=True)
def test_contract_at_random_sizes(problem):
    name, shape, options = problem
    assert_same(interp(name), name, draw(name, **shape), **options)


@pytest.mark.parametrize("garbage", [float("nan"), float("inf"), 1e30])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("name", FORMULAS)
def test_padding_never_leaks(name, reverse, garbage):
    p, x, states = draw(name)
    lengths = torch.tensor([0, 2, T, 1])
    padding = torch.arange(T).unsqueeze(-1) >= lengths
    leaves = [*p.values(), x, *states]
    found = []
    for padded in (x, x.masked_fill(padding.unsqueeze(-1), garbage)):
        y, last = run_cell(interp(name), padded, states, p, lengths=lengths, reverse=reverse)
        assert not y[padding].any()
        found.append((y, *last, *gradients(y, last, leaves)))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)
    assert not found[1][-len(states) - 1][padding].any()


@pytest.mark.parametrize("name", FORMULAS)
def test_reset_cuts_the_gradient(name):
    p, x, states = draw(name, batch=2)
    p, x = {k: v.abs() for k, v in p.items()}, x.detach().abs().requires_grad_()  # relu is alive
    resets = torch.zeros(T, 2, dtype=torch.bool)
    resets[3, 0] = True
    y, last = run_cell(interp(name), x, states, p, resets=resets)
    for outcome in (y[3:], last[0]):
        gradient = torch.autograd.grad(outcome.sum(), [x, *states], retain_graph=True)
        assert not gradient[0][:3, 0].any()
        assert not any(g[0].any() for g in gradient[1:])
        assert gradient[0][:3, 1].any(-1).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_empty_batch(name):
    p, x, states = draw(name, batch=0)
    y, last = run_cell(interp(name), x, states, p)
    assert y.shape == (T, 0, last[0].shape[-1])


@pytest.mark.parametrize("name", FORMULAS)
def test_bfloat16_runs(name):
    p, x, states = draw(name, dtype=torch.bfloat16)
    y, last = run_cell(interp(name), x, states, p)
    exact, _ = run_cell(interp(name), *_doubled(x, states, p))
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.double(), exact, rtol=0.05, atol=0.05)
    assert all(g.isfinite().all() for g in gradients(y, last, [*p.values(), x]))


def _doubled(x, states, p):
    return x.double(), [s.double() for s in states], {k: v.double() for k, v in p.items()}


def test_cell_without_parameters():
    class Average(Cell):
        states = ("h",)
        sizes = {"x": "hidden_size"}

        def step(self, x, h):
            return 0.75 * h + 0.25 * x

    x, h = torch.ones(3, 1, 2), torch.zeros(1, 2)
    y, _ = run_cell(kernel(Average(), engine="interp"), x, (h,), {})
    torch.testing.assert_close(y[:, 0, 0], torch.tensor([0.25, 0.4375, 0.578125]))


@pytest.mark.parametrize("name", FORMULAS)
def test_without_bias(name):
    p, x, states = draw(name)
    left = {k: v for k, v in p.items() if not k.startswith("b")}
    zeroed = {k: v if k in left else torch.zeros_like(v) for k, v in p.items()}
    y, _ = run_cell(interp(name, bias=False), x, states, left)
    torch.testing.assert_close(y, expected(FORMULAS[name], zeroed, x, states)[0])


def test_unknown_engine():
    with pytest.raises(EngineError, match="'gpus'; the engines are auto, cpu, torch, interp"):
        kernel(CELLS["lstm"], engine="gpus")


def test_a_kernel_is_made_once_and_says_which_engine_it_is(caplog):
    class LoggedHereAlone(type(CELLS["lstm"])):  # a process logs a text once
        pass

    with caplog.at_level("INFO", logger="recurra"):
        first, second = (kernel(LoggedHereAlone(), engine="auto") for _ in range(2))
        p, x, states = draw("lstm")
        for _ in range(2):
            run_cell(first, x, states, p)
    assert first is second
    ours = [r.getMessage() for r in caplog.records if r.name.startswith("recurra")]
    assert [text.partition(",")[0] for text in ours] == ["engine auto: LoggedHereAlone runs on cpu"]


def test_engine_of_the_environment(monkeypatch):
    monkeypatch.setenv("RECURRA_ENGINE", "steam")
    with pytest.raises(EngineError, match="'steam'"):
        kernel(CELLS["gru"])
