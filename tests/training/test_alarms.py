"""Warnings while training: networks built to be ill, and healthy ones, which must stay silent."""

import warnings

import pytest
import torch
from torch import nn
from training_toys import train

from recurra.nn import RNN
from recurra.training import Run


class Recall(nn.Module):
    """A simple RNN whose last output is to be one of its inputs."""

    def __init__(self, gain):
        super().__init__()
        torch.manual_seed(0)
        self.rnn = RNN(1, 8, nonlinearity="relu" if gain > 1 else "tanh")
        self.head = nn.Linear(8, 1)
        with torch.no_grad():
            self.rnn.weight_hh_l0.copy_(gain * torch.eye(8))

    def forward(self, x):
        return self.head(self.rnn(x)[0][-1])


class Signals:
    """Windows (T=40, B=8, 1) of 1 and -1."""

    def __len__(self):
        return 1000

    def window(self, epoch, index):
        draw = torch.randint(0, 2, (40, 8, 1), generator=torch.Generator().manual_seed(index))
        return 2.0 * draw - 1


def recalled(back):
    def loss(model, x, state):
        return (model(x) - x[-1 - back]).square().mean(), x.shape[1], None

    return loss


def told(path, gain, back, **options):
    """The warnings of a training."""
    options = {"max_steps": 500, "checkpoint_every": 500, "validate_every": 500} | options
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        train(path, model=Recall(gain), windows=Signals(), loss=recalled(back), **options)
    return [str(w.message) for w in found]


def test_a_vanishing_gradient_is_told_once(tmp_path):
    found = told(tmp_path, gain=0.2, back=39)
    assert len(found) == 1
    assert "fades to 1 %" in found[0]
    assert "forget-bias:1" in found[0]


def test_a_task_that_asks_for_no_memory_has_no_warning(tmp_path):
    assert told(tmp_path, gain=0.2, back=0, learning_rate=1e-2) == []


def test_an_exploding_gradient_is_told_once(tmp_path):
    found = told(tmp_path, gain=1.4, back=39, max_steps=200, learning_rate=1e-6, clip_norm=None)
    assert len(found) == 1
    assert "grows" in found[0]


def test_clipped_steps_are_told_once(tmp_path):
    found = told(tmp_path, gain=0.2, back=0, clip_norm=1e-6)
    assert len(found) == 1
    assert "100 % of the last 200 steps were clipped" in found[0]


def test_no_watching_no_warning_of_gradients(tmp_path):
    assert told(tmp_path, gain=0.2, back=39, watch_every=0) == []


@pytest.mark.parametrize("at", [0, 5])
def test_lines_tell_where_the_loss_arrives(tmp_path, at):
    class Ends(Recall):
        def forward(self, x):
            y = self.rnn(x)[0]
            return self.head(2 * y[-1 - at] + y[-3])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        train(
            tmp_path,
            model=Ends(0.5),
            windows=Signals(),
            loss=lambda model, x, _: (model(x).square().mean(), 8, None),
            max_steps=1,
            watch_every=1,
        )
    line = Run.open(tmp_path).gradients()[0]
    shares = dict(zip(line["distances"], line["loss_shares"], strict=True))
    assert shares[at] == pytest.approx(0.8, abs=1e-3)
    assert shares[2] == pytest.approx(0.2, abs=1e-3)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-3)
