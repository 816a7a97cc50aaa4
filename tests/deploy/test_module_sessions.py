"""Sessions of modules: equal to the whole sequence for any chunks, rows, resets and cells."""

import copy
import itertools
import random

import numpy as np
import pytest
import torch
from torch import nn

import recurra
from helpers.own_cells import EVERY
from recurra.deploy import SessionPool, stream
from recurra.errors import ConfigError, RunError
from recurra.nn import GRU, LSTM, RNN, Layer, Recurrent, Stack
from recurra.nn.module_steps import steps_of

I, H, T = 6, 6, 150


def drawn(module):
    """The module with weights that learnt starts have, too, in evaluation mode."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.startswith("initial"):
                weight.normal_(generator=torch.Generator().manual_seed(1))
    return module.eval()


def stack(**options):
    return Stack(I, [Layer("lstm", H), Layer("gru", H, **options), Layer("rnn", 4)])


MODULES = {
    "LSTM": lambda: LSTM(I, H, 2),
    "LSTM, wide": lambda: LSTM(I, 96, 2),
    "LSTM, projected": lambda: LSTM(I, H, 2, proj_size=3),
    "LSTM, batch first": lambda: LSTM(I, H, batch_first=True),
    "LSTM, float64": lambda: LSTM(I, H, dtype=torch.float64),
    "GRU, no bias": lambda: GRU(I, H, bias=False),
    "RNN, relu": lambda: RNN(I, H, nonlinearity="relu"),
    "torch's LSTM": lambda: nn.LSTM(I, H, 3),
    "torch's GRU, batch first": lambda: nn.GRU(I, H, batch_first=True),
    "learnt states": lambda: Recurrent("lstm", I, H, 2, learn_initial_state=True),
    "zoneout": lambda: Recurrent("gru", I, H, zoneout=0.2),
    "interpreted": lambda: Recurrent("gru", I, H, engine="interp"),
    "stack": lambda: Stack(I, [Layer("lstm", H), Layer("gru", 4)]),
    "dilated stack": lambda: stack(dilation=3),
    "skipping stack": lambda: stack(time_skip=4),
    "residual stack": lambda: Stack(I, [Layer("lstm", H)] * 2, skip="residual", norm="pre"),
    **{f"cell {name}": lambda cell=cell: Recurrent(cell, I, H, 2) for name, cell in EVERY.items()},
}


def whole(module, x):
    """Outputs of the whole sequences, (T, B, O)."""
    turned = getattr(module, "batch_first", False)
    with torch.no_grad():
        y = module(x.transpose(0, 1) if turned else x)[0]
    return y.transpose(0, 1) if turned else y


def inputs(module, steps=T, batch=3, seed=0):
    dtype = next(module.parameters()).dtype
    return torch.randn(steps, batch, I, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def chunks(generator, steps):
    """Lengths of chunks, 0 for a single step, that make up so many steps."""
    while steps:
        length = min(steps, generator.choice([0, 0, 1, 2, 7, 63, 64, 65, 100]))
        yield length
        steps -= max(1, length)


def check_chunks(module, seed):
    """Random chunks of a batch, with sequences that begin anew in between."""
    generator, x, steps = random.Random(seed), inputs(module, seed=seed), steps_of(module, 3)
    outputs, place = [], 0
    expected = torch.zeros_like(whole(module, x))
    restarts = []
    for length in chunks(generator, T):
        if generator.random() < 0.2:
            rows = generator.sample(range(3), generator.randint(1, 3))
            steps.reset(torch.tensor(rows))
            restarts += [(place, row) for row in rows]
        part = x[place : place + max(1, length)]
        outputs.append(steps.feed(part) if length else steps.step(part[0])[None])
        place += max(1, length)
    for row in range(3):
        cuts = [0, *sorted(at for at, own in restarts if own == row), T]
        for first, last in itertools.pairwise(cuts):
            if last > first:
                expected[first:last, row] = whole(module, x[first:last, row : row + 1])[:, 0]
    found = torch.cat(outputs)
    assert (found - expected).norm() <= 1e-6 * expected.norm()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", MODULES)
def test_chunks_give_what_the_whole_sequence_does(name):
    module = drawn(MODULES[name]())
    check_chunks(module, 0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200))
@pytest.mark.parametrize("name", MODULES)
def test_any_chunks_give_what_the_whole_sequence_does(name, seed):
    check_chunks(drawn(MODULES[name]()), seed)


@pytest.mark.parametrize("name", ["LSTM", "learnt states", "dilated stack", "zoneout", "cell sru"])
def test_sessions_of_a_pool_go_on_by_themselves(name):
    module = drawn(MODULES[name]())
    generator, pool = random.Random(3), SessionPool(module, most=5)
    open_ones, done = [], []
    for number in range(120):
        if len(pool) < 5 and generator.random() < 0.3:
            open_ones.append((pool.open(), inputs(module, 40, 1, seed=number), []))
        chosen = [each for each in open_ones if generator.random() < 0.6]
        if chosen:
            x = torch.stack([own[len(found), 0] for _, own, found in chosen])
            for (_, _, found), y in zip(chosen, pool.step([e[0] for e in chosen], x), strict=True):
                found.append(y)
        for each in [e for e in open_ones if len(e[2]) == 40 or generator.random() < 0.02]:
            each[0].close()
            open_ones.remove(each)
            done.append(each)
    assert len(done) > 5
    for _, x, found in done:
        if found:
            expected = whole(module, x[: len(found)])[:, 0]
            torch.testing.assert_close(torch.stack(found), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["LSTM, projected", "learnt states", "skipping stack"])
def test_a_session_is_saved_restored_and_begun_anew(name):
    module = drawn(MODULES[name]())
    x, session = inputs(module)[:, 0], stream(module)
    session.feed(x[:30])
    saved = session.save()
    after = session.feed(x[30:60])
    session.reset()
    torch.testing.assert_close(session.feed(x[:30]), whole(module, x[:30, None])[:, 0])
    other = stream(copy.deepcopy(module))
    other.restore(saved)
    torch.testing.assert_close(other.feed(x[30:60]), after)
    pool = SessionPool(module, most=3)
    pool.open()
    member = pool.open()
    member.restore(saved)
    y = torch.cat([pool.step([member], step[None]) for step in x[30:60]])
    torch.testing.assert_close(y, after, rtol=1e-5, atol=1e-6)
    other.restore(member.save())
    torch.testing.assert_close(other.step(x[60]), whole(module, x[:61, None])[-1, 0])
    assert session.finish().shape == (0, after.shape[1])


def test_another_model_is_refused():
    module = drawn(LSTM(I, H))
    saved = stream(module).save()
    other = stream(drawn(LSTM(I, H)))
    with pytest.raises(RunError, match="saved by another model, or by other weights"):
        other.restore(saved)
    with pytest.raises(RunError, match="not a saved session"):
        other.restore(b"nothing")


def test_weights_are_copies_until_they_are_taken_over():
    module = drawn(MODULES["learnt states"]())
    session, x = stream(module), inputs(module)[:, 0]
    before = session.feed(x[:5])
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(1.5)
    session.reset()
    assert torch.equal(session.feed(x[:5]), before)
    session.refresh()
    session.reset()
    torch.testing.assert_close(session.feed(x[:5]), whole(module, x[:5, None])[:, 0])


def test_what_a_pool_saves_is_of_the_weights_that_it_has():
    module = drawn(LSTM(I, H))
    pool = SessionPool(module, most=2)
    member = pool.open()
    before = member.save()
    with torch.no_grad():
        module.weight_hh_l0.mul_(1.5)
    pool.refresh()
    with pytest.raises(RunError, match="other weights"):
        member.restore(before)
    stream(module).restore(member.save())


def test_what_one_session_gets_never_reaches_another():
    module = drawn(LSTM(I, H, 2))
    pool, x = SessionPool(module, most=8), inputs(module, 20, 8)
    sessions = [pool.open() for _ in range(8)]
    x[3, 2] = float("nan")
    x[4, 5] = float("inf")
    y = torch.stack([pool.step(sessions, step) for step in x])
    good = [0, 1, 3, 4, 6, 7]
    torch.testing.assert_close(y[:, good], whole(module, x[:, good]), rtol=1e-5, atol=1e-6)
    assert y[3:, 2].isnan().all()


def test_arrays_are_taken_too():
    module = drawn(GRU(I, H))
    session, x = stream(module), inputs(module)[:, 0]
    torch.testing.assert_close(session.feed(x[:9].numpy()), whole(module, x[:9, None])[:, 0])
    assert session.step(np.zeros(I, np.float32)).shape == (H,)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTM(I, H, bidirectional=True), "LSTM is bidirectional: .* train one with bid"),
        (lambda: Stack(I, [Layer("gru", 4, bidirectional=True)]), "is bidirectional"),
        (lambda: nn.Linear(I, H), "Linear has no input_size"),
        (lambda: Odd(), "Odd doesn't give outputs and states"),
    ],
)
def test_modules_without_a_stream(make, message):
    with pytest.raises(ConfigError, match=message):
        stream(make())


class Odd(nn.Module):
    """A module whose states are lost."""

    def __init__(self):
        super().__init__()
        self.input_size = I
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, x, states):
        return x * self.weight


def test_steps_of_another_form_are_refused():
    session = stream(drawn(LSTM(I, H)))
    for wrong in (torch.zeros(I + 1), torch.zeros(2, I)):
        with pytest.raises(ValueError, match=rf"they are \(B, I\) with B = 1 and I = {I}"):
            session.step(wrong)
    with pytest.raises(ValueError, match=r"they are \(T, B, I\)"):
        session.feed(torch.zeros(I))
    with pytest.raises(ValueError, match=r"torch\.float64 .*weights torch\.float32"):
        session.step(torch.zeros(I, dtype=torch.float64))
    with pytest.raises(ConfigError, match="rate: a module's stream has no options"):
        stream(LSTM(I, H), rate=8000)


def test_sessions_of_a_pool_are_told_apart():
    module = drawn(GRU(I, H))
    pool, other = SessionPool(module, most=2), SessionPool(module, most=2)
    first, second = pool.open(), pool.open()
    with pytest.raises(ConfigError, match="2 sessions are open, and more can't be"):
        pool.open()
    with pytest.raises(ConfigError, match="given twice"):
        pool.step([first, first], torch.zeros(2, I))
    with pytest.raises(ConfigError, match="closed, or another pool's"):
        other.step([first], torch.zeros(1, I))
    with pytest.raises(ValueError, match=rf"it is \(2, {I}\)"):
        pool.step([first, second], torch.zeros(3, I))
    first.close()
    first.close()
    assert len(pool) == 1
    with pytest.raises(ConfigError, match="closed, or another pool's"):
        pool.step([first], torch.zeros(1, I))
    assert pool.open().row == 0


def test_a_run_and_an_estimator_have_their_tasks_stream(tmp_path):
    (tmp_path / "book.txt").write_text("to be or not to be, that is the question\n" * 20)
    model = recurra.LanguageModel(max_steps=2, hidden=8, window=8, batch_size=2)
    model.fit(tmp_path / "book.txt", out=tmp_path / "run")
    first, second = stream(model), stream(tmp_path / "run")
    found = first.feed("to be or")
    assert found == pytest.approx(second.feed("to be or"))
    first.reset()
    assert first.feed("to be or") == pytest.approx(found)
    with pytest.raises(TypeError, match="unexpected keyword argument 'speed'"):
        stream(model, speed=2)


def test_quantised_sessions_are_near_those_of_float32_and_equal_those_of_a_pool():
    layer, x = LSTM(I, 32), torch.randn(20, I, generator=torch.Generator().manual_seed(2))
    session, pool = stream(layer, quantize=True), SessionPool(layer, 3, quantize=True)
    outputs, one = session.feed(x), pool.open()
    assert torch.equal(torch.cat([pool.step([one], row[None]) for row in x]), outputs)
    assert 0 < (outputs - stream(layer).feed(x)).abs().max() < 0.02


def test_the_stream_of_a_run_is_not_quantised():
    with pytest.raises(ConfigError, match="quantize is for the stream of a module"):
        stream(recurra.LanguageModel(), quantize=True)
