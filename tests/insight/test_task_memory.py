"""What a network has learnt, and from which distances, on networks made to look back so far."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from recurra.insight import inspect_model
from recurra.insight.recorded_model import record
from recurra.insight.task_memory import task_memory
from recurra.nn import RNN


class Delay(nn.Module):
    """A simple network whose units hand on the input of one step ago, two, and so on."""

    def __init__(self, distance, readout, units=8):
        super().__init__()
        self.layer = RNN(1, units, nonlinearity="relu").double()
        self.distance, self.readout = distance, readout
        with torch.no_grad():
            for weight in self.layer.parameters():
                weight.zero_()
            self.layer.weight_ih_l0[0] = 1
            self.layer.weight_hh_l0.copy_(torch.eye(units).roll(1, 0).tril())

    def forward(self, x):
        return self.readout * self.layer(x)[0][..., [self.distance]]


def delayed(distance, steps=40, rows=16):
    x = torch.rand(steps, rows, 1, generator=torch.Generator().manual_seed(2)).double()
    return x, functional.pad(x, (0, 0, 0, 0, distance, 0))[:steps]


def measured(model, x, target, reduced=(1, 2)):
    return task_memory(model, x, record(model, x), lambda y: (y - target).square().mean(reduced))


@pytest.mark.parametrize("distance", [0, 3, 6])
def test_a_network_that_has_learnt_a_delay(distance):
    x, target = delayed(distance)
    found = measured(Delay(distance, 1.0), x, target)
    assert found.loss == pytest.approx(0, abs=1e-12)
    assert found.skill == pytest.approx(1.0)
    assert found.constant == pytest.approx(float((target - target.mean()).square().mean()), 1e-4)
    assert found.used == max(0, distance - 1)  # of the next older step there is nothing to use
    assert found.unlearnt is None
    asked = dict(zip(found.distances, found.asked, strict=True))
    assert max(asked, key=asked.get) == distance


def test_a_network_that_answers_another_delay_than_is_asked():
    x, target = delayed(6)
    found = measured(Delay(2, 1.0), x, target)
    assert found.skill < 0.1
    assert found.unlearnt == 6
    missing = dict(zip(found.distances, found.missing, strict=True))
    assert missing[6] > 0.7


def test_targets_that_no_input_tells_ask_for_nothing():
    x, _ = delayed(0)
    noise = torch.rand(x.shape, generator=torch.Generator().manual_seed(9)).double()
    found = measured(Delay(1, 0.0), x, noise)
    assert max(found.asked) == 0
    assert found.unlearnt is None


def test_one_loss_of_the_whole_and_its_distances_from_the_end():
    class Last(Delay):
        def forward(self, x):
            return super().forward(x)[-1]

    x, target = delayed(5, rows=64)
    found = measured(Last(5, 1.0), x, target[-1], reduced=None)
    assert found.skill == pytest.approx(1.0)
    assert found.used == 4
    asked = dict(zip(found.distances, found.asked, strict=True))
    assert asked[5] > 0.9


def test_ragged_rows_count_from_their_own_ends():
    class Ended(nn.Module):
        def __init__(self):
            super().__init__()
            self.own = Delay(4, 1.0)

        def forward(self, x, lengths):
            y = self.own.layer(x, lengths=lengths)[0]
            return y[lengths - 1, torch.arange(y.shape[1])][:, [4]]

    x, _ = delayed(0, rows=32)
    lengths = torch.arange(8, 40)
    target = x[lengths - 5, torch.arange(32)]
    model = Ended()
    found = task_memory(
        model,
        (x, lengths),
        record(model, (x, lengths)),
        lambda y: (y - target).square().mean(),
    )
    assert found.skill == pytest.approx(1.0)
    assert found.used == 3


def test_a_loss_of_the_last_states_is_judged_by_them():
    x, _ = delayed(1)
    model, target = RNN(1, 1).double(), torch.randn(1, 16, 1).double()
    found = task_memory(model, x, record(model, x), lambda o: (o[1] - target).square().mean())
    assert found.constant == pytest.approx(float(target.var(correction=0)), 1e-4)


def test_a_loss_of_several_tensors_has_no_constant_answer():
    x, _ = delayed(1)
    model = RNN(1, 1).double()
    loss = lambda out: out[0].square().sum() + out[1].square().sum()  # noqa: E731
    found = task_memory(model, x, record(model, x), loss)
    assert (found.constant, found.skill, found.used, found.unlearnt) == (None, None, None, None)
    assert "nothing learnt" not in {v.name for v in inspect_model(model, x, loss=loss).verdicts}


def test_random_numbers_and_buffers_are_left_as_they_were():
    class Noisy(Delay):
        def __init__(self):
            super().__init__(1, 1.0)
            self.norm = nn.BatchNorm1d(1).double()

        def forward(self, x):
            y = functional.dropout(super().forward(x), 0.5)
            return self.norm(y.flatten(0, 1)).view(y.shape)

    x, target = delayed(1)
    model = Noisy().train()
    state, mean = torch.get_rng_state(), model.norm.running_mean.clone()
    inspect_model(model, x, loss=lambda y: (y - target).square().mean())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(model.norm.running_mean, mean)
