"""Gradients clipped by norm, by value and inside BPTT; shares against hand computation."""

import math

import pytest
import torch
from torch import nn
from training_toys import Noise, new_toy, train

from recurra.errors import ConfigError, TrainingError
from recurra.training import Run, TrainingConfig
from recurra.training.step import clip, measure


def clipped(gradients, **options):
    config = TrainingConfig(**{"clip_norm": None, **options})
    measured = measure(gradients[0].sum(), gradients, largest=config.clip_value is not None)
    return clip(gradients, measured, config), measured.norm


def two(*values):
    return [torch.tensor(values[:1]), torch.tensor(values[1:])]


def test_by_norm():
    gradients = two(3.0, 0.0, -4.0)
    assert clipped(gradients, clip_norm=1.0) == (True, 5.0)
    torch.testing.assert_close(torch.cat(gradients), torch.tensor([0.6, 0.0, -0.8]))


def test_a_norm_below_the_limit_is_left_alone():
    gradients = two(3.0, 0.0, -4.0)
    assert clipped(gradients, clip_norm=5.0) == (False, 5.0)
    assert torch.equal(torch.cat(gradients), torch.tensor([3.0, 0.0, -4.0]))


def test_by_value():
    gradients = two(0.5, 2.0, -4.0)
    assert clipped(gradients, clip_value=1.0)[0]
    assert torch.equal(torch.cat(gradients), torch.tensor([0.5, 1.0, -1.0]))


def test_by_norm_then_by_value():
    gradients = two(3.0, 0.0, -4.0)
    assert clipped(gradients, clip_norm=1.0, clip_value=0.7)[0]
    torch.testing.assert_close(torch.cat(gradients), torch.tensor([0.6, 0.0, -0.7]))


def test_the_norm_is_known_without_clipping():
    assert clipped(two(3.0, 0.0, -4.0)) == (False, 5.0)


def test_squares_that_overflow_are_no_gradient_that_does():
    gradients = two(3e25, 0.0, -4e25)
    done, norm = clipped(gradients, clip_norm=1.0)
    assert done
    assert norm == pytest.approx(5e25)
    torch.testing.assert_close(torch.cat(gradients), torch.tensor([0.6, 0.0, -0.8]))


def test_torch_agrees_on_the_norm():
    gradients = [torch.randn(7, 5, dtype=torch.double), torch.randn(3, dtype=torch.double)]
    wanted = torch.cat([gradient.flatten() for gradient in gradients]).norm().item()
    assert clipped(gradients)[1] == pytest.approx(wanted, rel=1e-12)


class Slopes(Noise):
    """Window k's loss has the gradient k + 1 in every step."""

    def window(self, epoch, index):
        return float(index + 1)


def test_the_share_of_clipped_steps(tmp_path):
    model = nn.Linear(1, 1, bias=False)

    def loss(model, slope, state):
        return slope * model.weight.sum(), 1, None

    result = train(
        tmp_path, model=model, windows=Slopes(), loss=loss, epochs=1, clip_norm=5.0, log_every=3
    )
    found = [line for line in Run.open(tmp_path).metrics() if "loss" in line]
    assert [line["gradient_norm"] for line in found] == [2.0, 5.0, 7.0]
    assert [line["clipped_share"] for line in found] == [0.0, pytest.approx(1 / 3), 1.0]
    assert result.clipped_share == pytest.approx(2 / 7)


def test_clip_bptt_reaches_the_layers(tmp_path):
    model = new_toy()
    model.rnn.bptt_clip = None
    train(tmp_path, model=model, max_steps=1, clip_bptt=0.5)
    assert model.rnn.bptt_clip == 0.5


def test_clip_bptt_with_no_layer_that_can(tmp_path):
    with pytest.raises(ConfigError, match=r"clip_bptt = 0.5, but no layer .* recurra.nn"):
        train(tmp_path, clip_bptt=0.5)


def test_a_loss_that_depends_on_no_parameter(tmp_path):
    def loss(model, batch, state):
        return torch.zeros((), requires_grad=True) * math.pi, 1, None

    with pytest.raises(TrainingError, match="No parameter got a gradient"):
        train(tmp_path, loss=loss)


def test_clipping_changes_the_update(tmp_path):
    train(tmp_path / "a", max_steps=3, optimizer="sgd", clip_norm=None)
    train(tmp_path / "b", max_steps=3, optimizer="sgd", clip_norm=1e-3)
    moved = [
        sum(
            (tensor - new_toy().state_dict()[name]).abs().sum()
            for name, tensor in Run.open(tmp_path / at).load_model().items()
            if "norm" not in name
        )
        for at in "ab"
    ]
    assert 0 < moved[1] < moved[0] / 10
