"""A running mean of the weights: by torch's own averaging, validated, kept, and resumed."""

import pytest
import torch
from torch.optim.swa_utils import AveragedModel
from training_toys import Toy, contents, new_toy, square_loss, train, validation

from recurra.errors import ConfigError, RunError
from recurra.training import Run


def averaged(steps, **options):
    """The mean as torch has it, over the weights that a training had after each step."""

    def rate(mean, weight, count):
        share = max(1 / steps, 9 / (10 + int(count)))
        return mean + share * (weight - mean)

    model = new_toy()
    mean = AveragedModel(model, avg_fn=rate)
    mean.n_averaged += 1  # it takes the first as the mean, and ours begins with the initial weights

    def loss(model, batch, state):
        nonlocal seen
        if seen:
            mean.update_parameters(model)
        seen = True
        return square_loss(model, batch, state)

    seen = False
    return model, mean, loss


@pytest.mark.parametrize("steps", [2, 50])
def test_the_run_holds_the_mean_as_torch_computes_it(tmp_path, steps):
    model, mean, loss = averaged(steps)
    train(tmp_path / "run", model=model, loss=loss, average_steps=steps)
    mean.update_parameters(model)  # after the last step
    kept = Run.open(tmp_path / "run").load_model()
    for name, weight in mean.module.named_parameters():
        torch.testing.assert_close(kept[name], weight.detach(), rtol=1e-6, atol=1e-7)
        assert not torch.equal(kept[name], model.get_parameter(name).detach())
    for name, buffer in model.named_buffers():
        assert torch.equal(kept[name], buffer)


def test_the_mean_is_validated_and_the_weights_are_trained_as_before(tmp_path):
    models = [new_toy(), new_toy()]
    train(tmp_path / "plain", model=models[0], check=validation)
    result = train(tmp_path / "mean", model=models[1], check=validation, average_steps=20)
    for first, second in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(first, second)
    kept = Toy()
    kept.load_state_dict(Run.open(tmp_path / "mean").load_model())
    assert validation(kept.eval())["loss"] == pytest.approx(result.best["loss"], rel=1e-6)


def test_a_resumed_training_has_the_same_mean(tmp_path):
    options = {"check": validation, "average_steps": 5}
    train(tmp_path / "whole", **options)
    train(tmp_path / "parts", epochs=1, **options)
    other = new_toy()
    with torch.no_grad():
        other.head.weight.add_(1)  # of no consequence: the checkpoint's are taken
    train(tmp_path / "parts", resume=True, model=other, **options)
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_the_mean_is_a_setting_of_the_run(tmp_path):
    train(tmp_path / "run", epochs=1, average_steps=5)
    with pytest.raises((ConfigError, RunError), match="average_steps"):
        train(tmp_path / "run", resume=True)
    with pytest.raises(ConfigError, match="average_steps = 1; it must be"):
        train(tmp_path / "other", average_steps=1)
