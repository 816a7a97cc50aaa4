"""Killed at any moment and resumed, a run ends with the bits it would have ended with anyhow."""

import dataclasses
import json
import random

import pytest
import torch
from training_toys import (
    Toy,
    contents,
    last_checkpoint,
    lines,
    new_toy,
    square_loss,
    train,
    train_in_child,
    validation,
)

from recurra.config.training_config import EXTENDABLE
from recurra.errors import ConfigError, DataError, RunError
from recurra.training import Run, TrainingConfig

MOMENTS = random.Random(0)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run of 21 steps that nothing interrupted."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("whole") / "run"
    train(path, check=validation)
    return path


def finish(path):
    """Resume in a new process until the run is at its end, as a user would."""
    assert train_in_child(path, resume=not Run.has_room(path)) == 0


@pytest.mark.parametrize("at", sorted(MOMENTS.sample(range(21), 4)))
def test_killed_in_a_step(tmp_path, whole, at):
    path = tmp_path / "run"
    assert train_in_child(path, kill="loss", at=at) == -9
    finish(path)
    assert contents(path) == contents(whole)
    assert lines(path) == lines(whole)


@pytest.mark.parametrize("at", [0, 12, *sorted(MOMENTS.sample(range(13, 170), 7))])
def test_killed_in_a_save(tmp_path, whole, at):
    path = tmp_path / "run"
    assert train_in_child(path, kill="disk", at=at) == -9
    if (path / "model.safetensors").exists():
        assert Run.open(path).load_model()
    finish(path)
    assert contents(path) == contents(whole)
    assert lines(path) == lines(whole)


def test_killed_again_and_again(tmp_path, whole):
    path = tmp_path / "run"
    assert train_in_child(path, kill="loss", at=9) == -9
    assert train_in_child(path, resume=True, kill="disk", at=20) == -9
    assert train_in_child(path, resume=True, kill="loss", at=5) == -9
    finish(path)
    assert contents(path) == contents(whole)
    assert lines(path) == lines(whole)


def test_stopped_by_steps_then_extended(tmp_path, whole):
    train(tmp_path / "run", check=validation, max_steps=11)
    train(tmp_path / "run", resume=True, model=Toy(), check=validation)
    assert contents(tmp_path / "run") == contents(whole)
    assert lines(tmp_path / "run") == lines(whole)


def test_more_epochs_go_on(tmp_path, whole):
    train(tmp_path / "run", check=validation, epochs=1)
    assert train(tmp_path / "run", resume=True, check=validation).epochs == 3
    assert contents(tmp_path / "run") == contents(whole)


def test_resuming_what_is_finished_changes_nothing(tmp_path):
    train(tmp_path, check=validation, max_steps=11)
    before = contents(tmp_path), lines(tmp_path)
    assert train(tmp_path, resume=True, check=validation, max_steps=11).stopped == "steps"
    assert (contents(tmp_path), lines(tmp_path)) == before


def test_validation_leaves_training_alone(tmp_path, whole):
    train(tmp_path / "run")
    assert last_checkpoint(tmp_path / "run").name == last_checkpoint(whole).name
    assert (
        contents(tmp_path / "run")[1]["model.safetensors"]
        == (contents(whole)[1]["model.safetensors"])
    )


def test_a_carried_state_is_in_the_checkpoint(tmp_path):
    train(tmp_path, max_steps=3)
    state = json.loads((last_checkpoint(tmp_path) / "state.json").read_text())
    assert (state["epoch"], state["index"], state["carried"]) == (0, 3, [["tensor", "tensor"]])


def test_training_twice_in_one_run_is_an_error(tmp_path):
    train(tmp_path, max_steps=2)
    with pytest.raises(RunError, match=r"checkpoint of step 2; resume from it .*--resume"):
        train_again_without_resume(tmp_path)


def train_again_without_resume(path):
    from recurra.training import TrainingConfig, fit

    fit(new_toy(), [0], square_loss, config=TrainingConfig(), run=Run.open(path))


def test_other_data_is_an_error(tmp_path):
    from training_toys import Noise

    train(tmp_path, max_steps=2)
    with pytest.raises(DataError, match="has 8 windows an epoch, but had 7"):
        train(tmp_path, resume=True, windows=Noise(8))


CHANGED = {
    "average_steps": 7,
    "batch_size": 4,
    "window": 9,
    "optimizer": "sgd",
    "learning_rate": 0.5,
    "weight_decay": 0.1,
    "decay_all": True,
    "momentum": 0.9,
    "schedule": "cosine",
    "warmup_steps": 1,
    "final_learning_rate": 0.5,
    "clip_norm": 9.0,
    "clip_value": 9.0,
    "clip_bptt": 9.0,
    "validate_every": 3,
    "seed": 1,
}
FREE = {*EXTENDABLE, "best", "checkpoint_every", "log_every", "watch_every", "tensorboard"}
WITH = {
    "decay_all": {"weight_decay": 0.1},
    "momentum": {"optimizer": "sgd"},
    "final_learning_rate": {"schedule": "cosine"},
}
"""What else a setting needs to be allowed."""


def test_every_setting_that_weights_depend_on_is_changed_here():
    assert {field.name for field in dataclasses.fields(TrainingConfig)} == {*CHANGED, *FREE}


@pytest.mark.parametrize("name", CHANGED)
def test_another_setting_is_an_error_that_names_it(tmp_path, name):
    """Both ways round: an optimiser's state would not be found, or silently be left out."""
    with_it = {**WITH.get(name, {}), name: CHANGED[name]}
    for number, (first, second) in enumerate([(WITH.get(name, {}), with_it), (with_it, {})]):
        path, model = tmp_path / str(number), clipped_toy()
        train(path, model=model, max_steps=1, **first)
        with pytest.raises(ConfigError, match=rf"^{name} = .* given, .* was started with {name} ="):
            train(path, model=model, max_steps=2, resume=True, **second)


def clipped_toy():
    """A toy with a layer that `clip_bptt` can be set for."""
    model = new_toy()
    model.rnn.bptt_clip = None
    return model


def test_another_model_is_an_error(tmp_path):
    train(tmp_path, max_steps=2)
    with pytest.raises(RunError, match="another model"):
        train(tmp_path, resume=True, model=torch.nn.Linear(3, 1))
