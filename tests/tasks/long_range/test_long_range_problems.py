"""The problems as the papers define them, and figures that follow from the definitions."""

import math

import pytest
import torch

from recurra.errors import ConfigError
from recurra.tasks.long_range.config import PROBLEMS, LongRangeConfig
from recurra.tasks.long_range.sequences import DRAW, adding, copy_memory

A, X, Y, E, B = 0, 4, 5, 6, 7
MANY = 4000


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_adding_marks_two_steps_and_asks_for_their_sum():
    inputs, targets = adding(30, MANY, generator())
    values, marker = inputs.unbind(-1)
    assert inputs.shape == (30, MANY, 2)
    assert (marker.sum(0) == 2).all()
    assert set(marker.unique().tolist()) == {0, 1}
    torch.testing.assert_close((values * marker).sum(0), targets)


def test_adding_marks_every_step_as_often_and_draws_every_value():
    inputs, targets = adding(10, MANY, generator())
    shares = inputs[..., 1].mean(1)
    torch.testing.assert_close(shares, torch.full((10,), 0.2), atol=0.03, rtol=0)
    assert targets.var().item() == pytest.approx(PROBLEMS["adding"].chance(10), rel=0.1)
    assert inputs[..., 0].min() < 0.001
    assert inputs[..., 0].max() > 0.999


def test_copy_memory_shows_waits_and_asks():
    inputs, targets = copy_memory(7, 5, generator())
    symbols = inputs.argmax(-1)
    assert inputs.shape == (27, 5, 10)
    assert (inputs.sum(-1) == 1).all()
    assert (symbols[10:16] == 0).all()
    assert (symbols[16:] == 9).all()
    assert (targets[:17] == 0).all()
    assert (targets[17:] == symbols[:10]).all()


def test_copy_memory_draws_8_symbols_and_its_chance_is_theirs():
    symbols = copy_memory(1, MANY, generator()).targets[-10:]
    assert symbols.unique().tolist() == list(range(1, 9))
    chance = PROBLEMS["copy"].chance
    assert chance(1000) == pytest.approx(10 * math.log(8) / 1020)
    assert chance(1000) == pytest.approx(0.0204, abs=5e-5)  # as the published LSTM


@pytest.mark.parametrize(
    ("name", "spans"),
    [
        ("temporal-order", [(10, 20), (50, 60)]),
        ("temporal-order-3", [(10, 20), (33, 43), (66, 76)]),
    ],
)
def test_temporal_order_has_its_symbols_where_the_paper_has_them(name, spans):
    inputs, targets = DRAW[name](100, MANY, generator())
    symbols = inputs.argmax(-1)
    assert (symbols[0] == E).all()
    assert (symbols[-1] == B).all()
    is_told = (symbols == X) | (symbols == Y)
    assert (is_told.sum(0) == len(spans)).all()
    for low, high in spans:
        assert (is_told[low:high].sum(0) == 1).all()
        assert is_told[low:high].any(1).all()
    digits = symbols.t()[is_told.t()].view(MANY, -1) - X
    assert (targets == (digits * 2 ** torch.arange(len(spans)).flip(0)).sum(1)).all()
    assert len(targets.unique()) == 2 ** len(spans)


def test_distractors_are_drawn_alike():
    symbols = DRAW["temporal-order"](100, 500, generator()).inputs.argmax(-1)
    counts = symbols.flatten().bincount()[:4] / symbols.numel()
    torch.testing.assert_close(counts, torch.full((4,), 0.24), atol=0.01, rtol=0)


@pytest.mark.parametrize("name", DRAW)
def test_sequences_are_their_generators(name):
    first, again, other = (DRAW[name](12, 3, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(first.inputs, again.inputs)
    assert not torch.equal(first.inputs, other.inputs)


@pytest.mark.parametrize("name", DRAW)
def test_the_shortest_can_be_drawn_and_a_shorter_one_is_refused(name):
    problem = PROBLEMS[name]
    config = LongRangeConfig(problem=name, length=problem.least_length)
    inputs = DRAW[name](config.length, 2, generator()).inputs
    assert inputs.shape == (config.steps, 2, problem.inputs)
    if problem.least_length > 1:
        with pytest.raises(ConfigError, match=f"length = {problem.least_length - 1} is too short"):
            LongRangeConfig(problem=name, length=problem.least_length - 1)


def test_published_figures_are_those_of_the_table():
    figures = {p.name: p.value for p in PROBLEMS["adding"].published[600]}
    assert figures == {"LSTM": 0.164, "GRU": 5.3e-5, "RNN": 0.177, "TCN": 5.8e-5}
    figures = {p.name: p.value for p in PROBLEMS["copy"].published[1000]}
    assert figures == {"LSTM": 0.0204, "GRU": 0.0197, "RNN": 0.0202, "TCN": 3.5e-5}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"problem": "ading"}, "There is no problem 'ading'"),
        ({"problem": "mnist", "length": 100}, "mnist always has 784 steps"),
        ({"window": 10}, "leave window out"),
        ({"max_steps": "none"}, "Training has no end"),
        ({"init": "orthogonal,chroni"}, "'chroni' is not an initialiser"),
        ({"init": "identity, orthogonal"}, "set the same weights"),
        ({"bidirectional": True}, "the answer of adding is read at the last step"),
        ({"hiden": 3}, "did you mean 'hidden'"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ConfigError, match=message):
        LongRangeConfig.of(settings)


def test_none_is_a_word_of_its_own_for_skip():
    config = LongRangeConfig.of({"skip": "none", "norm": "none", "clip_norm": "none"})
    assert (config.skip, config.norm, config.clip_norm) == ("none", "none", None)
