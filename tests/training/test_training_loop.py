"""The loop: truncated BPTT, schedules, stopping, validation, signals and the lines it writes."""

import math
import os
import signal
import threading

import pytest
import torch
from torch import nn
from training_toys import (
    Noise,
    Toy,
    contents,
    last_checkpoint,
    lines,
    new_toy,
    square_loss,
    validation,
)
from training_toys import train as train_toy

from recurra.errors import ConfigError, DataError, TrainingError
from recurra.interrupts import Interrupted
from recurra.training import Metric, Run


class Line(nn.Module):
    """h_t = w h_{t-1} + x_t over the batch (T,), the plainest recurrence."""

    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.tensor(0.9))

    def forward(self, x, h):
        for x_t in x:
            h = self.w * h + x_t
        return h


def line_loss(model, batch, h):
    h = model(batch, torch.zeros(()) if h is None else h)
    return h.square(), len(batch), h


class Ones(Noise):
    def window(self, epoch, index):
        return torch.ones(4)


def train_line(path, loss=line_loss, **options):
    plain = {"optimizer": "sgd", "learning_rate": 1e-3, "clip_norm": None}
    model = Line()
    train_toy(path, model=model, windows=Ones(), loss=loss, **{**plain, **options})
    return model.w.item()


def by_hand(windows, *, detach, epochs=1, rate=1e-3):
    """Truncated BPTT written out: the state goes on, its gradient does not."""
    w = torch.tensor(0.9, requires_grad=True)
    for _ in range(epochs):
        h = torch.zeros(())
        for _ in range(windows):
            h = h.detach() if detach else torch.zeros(())
            for _ in range(4):
                h = w * h + 1
            (slope,) = torch.autograd.grad(h.square(), w)
            w = (w - rate * slope).detach().requires_grad_()
    return w.item()


def test_the_state_is_carried_and_its_gradient_cut(tmp_path):
    found = train_line(tmp_path, epochs=2)
    assert found == pytest.approx(by_hand(7, detach=True, epochs=2), rel=1e-6)
    assert found != pytest.approx(by_hand(7, detach=False, epochs=2), rel=1e-3)


def test_each_epoch_begins_without_a_state(tmp_path):
    seen = []

    def watching(model, batch, state):
        seen.append(state)
        return square_loss(model, batch, state)

    train_toy(tmp_path, loss=watching, epochs=2)
    assert [at for at, state in enumerate(seen) if state is None] == [0, 7]
    assert all(not part.requires_grad for state in seen if state for part in state)


def test_a_state_of_another_type_is_an_error(tmp_path):
    with pytest.raises(TrainingError, match="a state of type dict; it must be a tensor, None"):
        train_toy(tmp_path, loss=lambda *given: (*square_loss(*given)[:2], {}))


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_torchs_optimisers_agree(tmp_path, name):
    model, windows = new_toy().eval(), Noise()
    make = {"sgd": torch.optim.SGD, "adamw": torch.optim.AdamW}[name]
    optimizer, state = make(model.parameters(), lr=0.01, weight_decay=0.1), None
    for index in range(4):
        optimizer.zero_grad()
        value, _, state = square_loss(model, windows.window(0, index), state)
        state = tuple(part.detach() for part in state)
        value.backward()
        optimizer.step()

    def loss(model, batch, state):
        return square_loss(model.eval(), batch, state)

    given = {"optimizer": name, "weight_decay": 0.1, "learning_rate": 0.01, "clip_norm": None}
    given["decay_all"] = True
    train_toy(tmp_path, loss=loss, max_steps=4, **given)
    for name, tensor in Run.open(tmp_path).load_model().items():
        torch.testing.assert_close(tensor, model.state_dict()[name], rtol=1e-5, atol=1e-6)


def test_momentum_is_resumed(tmp_path):
    given = {"optimizer": "sgd", "momentum": 0.9, "learning_rate": 0.01}
    train_toy(tmp_path / "whole", max_steps=9, **given)
    train_toy(tmp_path / "run", max_steps=5, **given)
    train_toy(tmp_path / "run", max_steps=9, resume=True, **given)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def losses(*values):
    """A validation that gives these losses, one after another."""
    left = iter(values)
    return lambda model: {"loss": next(left)}


def test_early_stopping(tmp_path):
    check = losses(3.0, 3.5, 2.0, 2.5, 2.0, 1.0)
    result = train_toy(tmp_path, check=check, validate_every=2, patience=2)
    assert (result.stopped, result.steps) == ("early", 10)
    assert result.best == {"step": 6, "loss": 2.0}


def accuracies(*values):
    """A validation whose loss falls while these accuracies come one after another."""
    left = enumerate(values)

    def check(model):
        at, value = next(left)
        return {"loss": 1.0 - at / 10, "accuracy": value}

    return check


@pytest.mark.parametrize(
    "how", [{"best": "accuracy:max"}, {"how": {"metric": Metric("accuracy", False)}}]
)
def test_a_metric_that_is_better_when_higher(tmp_path, how):
    check = accuracies(0.3, 0.5, 0.4, 0.4, 0.9)
    result = train_toy(tmp_path, check=check, validate_every=2, patience=2, **how)
    assert (result.stopped, result.steps) == ("early", 8)
    assert result.best == {"step": 4, "loss": 0.9, "accuracy": 0.5}
    found = [line["validation"] for line in lines(tmp_path) if "validation" in line]
    assert found[1] == {"loss": 0.9, "accuracy": 0.5}


def test_the_option_wins_over_the_tasks_own_metric(tmp_path):
    how = {"metric": Metric("accuracy", lower_is_better=False)}
    check = accuracies(0.5, 0.4, 0.3, 0.2)
    result = train_toy(tmp_path, check=check, validate_every=7, best="loss:min", how=how)
    assert result.best["step"] == 21


def test_a_metric_that_the_validation_does_not_give(tmp_path):
    with pytest.raises(ConfigError, match=r"'wer:min', and the validation gives loss, accuracy;"):
        train_toy(tmp_path, check=accuracies(0.5), best="wer:min")


def test_another_metric_is_not_resumed(tmp_path):
    train_toy(tmp_path, check=accuracies(0.5, 0.4), best="accuracy:max", max_steps=8)
    with pytest.raises(ConfigError, match="weights by accuracy:max, and best is loss:min now"):
        train_toy(tmp_path, check=accuracies(0.5), resume=True)


def test_the_best_model_is_kept(tmp_path):
    model, seen = new_toy(), []

    def check(model):
        seen.append(model.head.bias.item())
        return {"loss": [3.0, 1.0, 2.0][len(seen) - 1]}

    train_toy(tmp_path, model=model, check=check, validate_every=None)
    assert Run.open(tmp_path).load_model()["head.bias"].item() == seen[1] != seen[2]
    assert model.head.bias.item() == seen[2]


def test_the_last_model_is_kept_without_validation(tmp_path):
    model = new_toy()
    train_toy(tmp_path, model=model)
    assert torch.equal(Run.open(tmp_path).load_model()["head.bias"], model.head.bias)


def test_validation_is_in_eval_mode_and_modes_come_back(tmp_path):
    model, modes = new_toy(), []

    def check(model):
        modes.append((model.training, model.drop.training, torch.is_grad_enabled()))
        return {"loss": 1.0}

    train_toy(tmp_path, model=model, check=check, max_steps=5)
    assert modes == [(False, False, False)]
    assert model.training
    assert model.drop.training


@pytest.mark.parametrize("options", [{"patience": 3}, {"best": "loss:min"}])
def test_a_choice_by_validation_needs_one(tmp_path, options):
    with pytest.raises(ConfigError, match=f"{next(iter(options))} = .* needs a validation"):
        train_toy(tmp_path, **options)


def test_no_data(tmp_path):
    with pytest.raises(DataError, match="no window"):
        train_toy(tmp_path, windows=Noise(0))


def test_nothing_to_train(tmp_path):
    with pytest.raises(ConfigError, match="no parameter to train"):
        train_toy(tmp_path, model=Toy().requires_grad_(False))


@pytest.mark.parametrize(
    ("options", "stopped", "steps"),
    [
        ({"epochs": 2}, "finished", 14),
        ({"max_steps": 9}, "steps", 9),
        ({"max_minutes": 1e-9}, "time", 1),
    ],
)
def test_reasons_to_stop(tmp_path, options, stopped, steps):
    result = train_toy(tmp_path, **options)
    assert (result.stopped, result.steps, result.path) == (stopped, steps, tmp_path)
    assert last_checkpoint(tmp_path).name == f"step-{steps:08d}"
    assert result.epochs == steps // 7


def interrupting(step, how):
    """A loss that does `how()` in the middle of step number `step`."""
    count = iter(range(1, 1000))

    def loss(model, batch, state):
        found = square_loss(model, batch, state)
        if next(count) == step:
            how()
        return found

    return loss


def press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("session", "number"), [("ctrl_c", signal.SIGINT), ("background", signal.SIGTERM)]
)
def test_a_signal_saves_and_resuming_gives_the_same_bits(tmp_path, request, session, number):
    request.getfixturevalue(session)
    train_toy(tmp_path / "whole", check=validation)
    loss = interrupting(6, lambda: press(number))
    result = train_toy(tmp_path / "run", check=validation, loss=loss)
    assert (result.stopped, result.steps, result.signal) == ("interrupted", 6, number)
    assert last_checkpoint(tmp_path / "run").name == "step-00000006"
    train_toy(tmp_path / "run", check=validation, resume=True, model=Toy())
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")


def test_an_interrupt_raised_in_the_loss_undoes_that_step(tmp_path):
    def raising():
        raise KeyboardInterrupt

    train_toy(tmp_path / "whole", check=validation)
    result = train_toy(tmp_path / "run", check=validation, loss=interrupting(6, raising))
    assert (result.stopped, result.steps) == ("interrupted", 5)
    assert result.signal == signal.SIGINT
    train_toy(tmp_path / "run", check=validation, resume=True)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_a_validation_leaves_it_to_be_done(tmp_path):
    def pressing(model):
        press()
        raise AssertionError("the validation went on")

    train_toy(tmp_path / "whole", check=validation)
    result = train_toy(tmp_path / "run", check=pressing)
    assert (result.stopped, result.steps) == ("interrupted", 5)
    train_toy(tmp_path / "run", check=validation, resume=True)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
    assert lines(tmp_path / "run") == lines(tmp_path / "whole")


@pytest.mark.usefixtures("ctrl_c")
def test_a_second_ctrl_c_while_saving_harms_nothing(tmp_path, monkeypatch):
    train_toy(tmp_path / "whole")
    whole, presses = os.fsync, []

    def pressing(descriptor):
        if not presses and any((tmp_path / "run" / "checkpoints").glob(".tmp-step-00000006")):
            presses.append(1)
            press()
        whole(descriptor)

    monkeypatch.setattr(os, "fsync", pressing)
    with pytest.raises(KeyboardInterrupt):
        train_toy(tmp_path / "run", loss=interrupting(6, press))
    monkeypatch.undo()
    assert last_checkpoint(tmp_path / "run").name == "step-00000004"
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))
    train_toy(tmp_path / "run", resume=True)
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


def test_a_second_sigterm_ends_at_once(tmp_path):
    def twice():
        press(signal.SIGTERM)
        press(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        train_toy(tmp_path, loss=interrupting(6, twice))
    assert caught.value.signal == signal.SIGTERM
    assert last_checkpoint(tmp_path).name == "step-00000004"


@pytest.mark.parametrize("session", ["ctrl_c", "background"])
def test_the_handlers_are_put_back(tmp_path, request, session):
    request.getfixturevalue(session)
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in signals]
    train_toy(tmp_path, max_steps=1)
    assert [signal.getsignal(number) for number in signals] == before


def test_training_in_another_thread(tmp_path):
    found = []
    thread = threading.Thread(target=lambda: found.append(train_toy(tmp_path, max_steps=2)))
    thread.start()
    thread.join()
    assert found[0].steps == 2


def test_the_lines_of_metrics(tmp_path):
    result = train_toy(tmp_path, check=validation, epochs=1)
    found = Run.open(tmp_path).metrics()
    assert [line["step"] for line in found] == [3, 5, 6, 7, 7]
    assert " ".join(found[0]) == (
        "step epoch loss learning_rate gradient_norm clipped_share tokens_per_second "
        "steps_per_second seconds"
    )
    assert found[1] == {"step": 5, "epoch": 1, "validation": {"loss": pytest.approx(0.5, abs=0.5)}}
    assert result.best["loss"] == min(
        line["validation"]["loss"] for line in found if "validation" in line
    )


def test_the_logged_loss_is_the_mean_over_tokens(tmp_path):
    counts = {1.0: 1, 2.0: 3}

    class Two(Noise):
        def window(self, epoch, index):
            return 1.0 + index

    def loss(model, value, state):
        return value + 0 * model.weight.sum(), counts[value], None

    train_toy(tmp_path, model=nn.Linear(1, 1), windows=Two(2), loss=loss, epochs=1, log_every=2)
    assert lines(tmp_path)[0]["loss"] == pytest.approx((1 * 1 + 2 * 3) / 4)


def test_the_seed_decides(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        train_toy(tmp_path / name, seed=seed, max_steps=3)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in "abc"]
    assert weights[0] == weights[1] != weights[2]
    assert math.isfinite(sum(weights[0]))
