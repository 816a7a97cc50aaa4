"""The learning rate's schedule: over steps or minutes, whichever end first, and when resumed."""

import math
import types
import warnings

import pytest
from training_toys import Noise, contents, lines, square_loss, train

from recurra.config.training_config import Budget
from recurra.errors import ConfigError, RecurraWarning
from recurra.training import TrainingConfig, training_loop
from recurra.training.optim import learning_rate

COSINE = {"schedule": "cosine", "learning_rate": 1.0, "final_learning_rate": 0.2}
SMALL = {"schedule": "cosine", "learning_rate": 0.01, "log_every": 1}


def cosine(share, final=0.2):
    return final + (1 - final) * (1 + math.cos(math.pi * min(1.0, share))) / 2


def rates(path):
    return [line["learning_rate"] for line in lines(path) if "learning_rate" in line]


@pytest.mark.parametrize(
    ("step", "rate"),
    [(0, 0.1), (4, 0.5), (9, 1.0), (10, 1.0), (60, 0.6), (110, 0.2), (500, 0.2)],
)
def test_warm_up_then_cosine(step, rate):
    config = TrainingConfig(warmup_steps=10, **COSINE)
    assert learning_rate(config, Budget(110), step, 5.0) == pytest.approx(rate)


def test_a_constant_rate():
    config = TrainingConfig(max_minutes=1)
    found = {learning_rate(config, Budget(9, 60), step, 7 * step) for step in range(9)}
    assert found == {2e-3}


@pytest.mark.parametrize("warmup", [0, 20])
@pytest.mark.parametrize(
    ("budget", "speed", "end"),
    [
        (Budget(None, 60), 2, 120),
        (Budget(1000, 60), 2, 120),  # the minutes bind
        (Budget(100, 60), 2, 100),  # the steps do
    ],
)
def test_a_steady_speed_gives_the_cosine_of_the_steps_it_leads_to(budget, speed, end, warmup):
    config = TrainingConfig(warmup_steps=warmup, **COSINE)
    for step in range(warmup, end + 1):
        found = learning_rate(config, budget, step, step / speed)
        assert found == pytest.approx(cosine((step - warmup) / (end - warmup))), step


def test_a_speed_that_changes_never_raises_the_rate():
    """Slow at first (kernels are compiled), then fast, then slow: down all the way, to the end."""
    config = TrainingConfig(warmup_steps=10, **COSINE)
    seconds, found = 0.0, []
    for step in range(10, 1000):
        found.append(learning_rate(config, Budget(2000, 60), step, seconds))
        seconds += 3.0 if step < 14 else 0.01 if step < 500 else 0.5
    assert found == sorted(found, reverse=True)
    assert found[0] == 1
    assert found[-1] == pytest.approx(0.2)


def second_by_second(monkeypatch):
    """A loss whose every call takes a second of the loop's clock."""
    clock = [100.0]
    monkeypatch.setattr(training_loop, "time", types.SimpleNamespace(monotonic=lambda: clock[0]))

    def loss(*given):
        clock[0] += 1
        return square_loss(*given)

    return loss


def test_the_minutes_bring_the_cosine_to_its_end(tmp_path, monkeypatch):
    loss = second_by_second(monkeypatch)
    result = train(tmp_path, loss=loss, epochs=None, max_minutes=0.25, **SMALL)
    assert (result.steps, result.stopped) == (15, "time")
    assert rates(tmp_path) == pytest.approx([0.01 * cosine(n / 15, 0.1) for n in range(15)])


def test_the_schedule_is_used(tmp_path):
    train(tmp_path, warmup_steps=4, learning_rate=0.4, log_every=1, max_steps=6)
    assert rates(tmp_path) == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.4, 0.4])


def test_a_warm_up_longer_than_the_run_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="warmup_steps = 22, and the training has 21 steps: the"):
        train(tmp_path / "a", warmup_steps=22)
    assert train(tmp_path / "b", warmup_steps=21).steps == 21


def test_a_training_that_ends_in_its_warm_up_says_so(tmp_path, monkeypatch):
    loss = second_by_second(monkeypatch)
    with pytest.warns(RecurraWarning, match="ended after step 6, within its warm-up of 9"):
        train(tmp_path, loss=loss, warmup_steps=9, max_minutes=0.1)


def test_a_training_without_an_end_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no end; give epochs, max_steps or max_minutes"):
        train(tmp_path, epochs=None)


def test_without_epochs_the_steps_end_it(tmp_path):
    assert train(tmp_path, epochs=None, max_steps=30).epochs == 30 // 7


def first_then(path, **options):
    """A cosine over 14 steps, resumed to be one of 28; the rates of both."""
    train(path, epochs=2, **SMALL)
    result = train(path, epochs=4, resume=True, **SMALL, **options)
    assert (result.resumed_at, result.steps) == (14, 28)
    return rates(path)


def test_a_cosine_that_is_stretched_says_where_the_rate_jumps(tmp_path):
    with pytest.warns(RecurraWarning, match=r"after step 14 the learning rate is 0.0055, .* 0.001"):
        found = first_then(tmp_path)
    whole = [0.01 * cosine(n / 28, 0.1) for n in range(14, 28)]
    assert found == pytest.approx([0.01 * cosine(n / 14, 0.1) for n in range(14)] + whole)


def test_a_cosine_that_is_kept_stays_at_its_end(tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error", RecurraWarning)
        found = first_then(tmp_path, resume_schedule="keep")
    first = [0.01 * cosine(n / 14, 0.1) for n in range(14)]
    assert found == pytest.approx([*first, *[0.001] * 14])


def test_the_choice_may_be_made_after_all(tmp_path):
    """Stretched, stopped soon after the note, and resumed on the first schedule."""
    train(tmp_path, epochs=2, **SMALL)
    with pytest.warns(RecurraWarning, match="is 0.0055"):
        train(tmp_path, epochs=4, max_steps=28, resume=True, windows=_Stopping(16), **SMALL)
    with pytest.warns(RecurraWarning, match="is 0.001, where it was"):
        train(tmp_path, epochs=4, resume=True, resume_schedule="keep", **SMALL)
    assert rates(tmp_path)[-10:] == pytest.approx([0.001] * 10)


class _Stopping(Noise):
    """Noise that is interrupted at a window of the third epoch."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def window(self, epoch, index):
        if 7 * epoch + index == self.step:
            raise KeyboardInterrupt
        return super().window(epoch, index)


@pytest.mark.parametrize("choice", ["stretch", "keep"])
@pytest.mark.filterwarnings("ignore:The length of the training has changed")
def test_killed_after_it_was_made_longer_it_ends_with_the_same_bits(tmp_path, choice):
    for path in (tmp_path / "whole", tmp_path / "killed"):
        train(path, epochs=2, **SMALL)
    longer = {**SMALL, "epochs": 4, "resume_schedule": choice, "resume": True}
    train(tmp_path / "whole", **longer)
    train(tmp_path / "killed", windows=_Stopping(23), **longer)
    train(tmp_path / "killed", **longer)
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
    assert lines(tmp_path / "killed") == lines(tmp_path / "whole")
