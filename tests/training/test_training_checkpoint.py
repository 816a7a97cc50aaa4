"""Checkpoints: whole or not there, every flipped bit noticed, the remedy named."""

import errno
import os

import pytest
from test_training_run import bits_of, flip
from training_toys import contents, last_checkpoint, square_loss, train, validation

from recurra.errors import RunError, TrainingError
from recurra.training import checkpointing, training_loop

FILES = [
    "model.safetensors",
    "training.safetensors",
    "best.safetensors",
    "state.json",
    "manifest.json",
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    path = tmp_path_factory.mktemp("trained") / "run"
    train(path, check=validation)
    return path


def resume(path):
    return train(path, resume=True, check=validation)


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_bit_is_noticed(trained, name):
    before = contents(trained)
    path = last_checkpoint(trained) / name
    for bit in bits_of(path):
        flip(path, bit)
        with pytest.raises(RunError, match=r"damaged.*step-00000020 is intact: delete step-000000"):
            resume(trained)
        flip(path, bit)
    assert contents(trained) == before


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_noticed(tmp_path, name):
    train(tmp_path, check=validation, max_steps=8)
    (last_checkpoint(tmp_path) / name).unlink()
    with pytest.raises(RunError, match=rf"{name}.* delete step-00000008 in .*checkpoints"):
        resume(tmp_path)


def test_the_remedy_works(tmp_path, trained):
    train(tmp_path / "run", check=validation, max_steps=8)
    for path in last_checkpoint(tmp_path / "run").iterdir():
        path.unlink()
    last_checkpoint(tmp_path / "run").rmdir()
    resume(tmp_path / "run")
    assert contents(tmp_path / "run") == contents(trained)


def test_no_checkpoint_is_intact(tmp_path):
    train(tmp_path, max_steps=8)
    for path in tmp_path.glob("checkpoints/*/state.json"):
        flip(path, 3)
    with pytest.raises(RunError, match="No other checkpoint is intact"):
        resume(tmp_path)


def test_the_last_two_are_kept(trained):
    names = [path.name for path in sorted((trained / "checkpoints").iterdir())]
    assert names == ["step-00000020", "step-00000021"]


def test_leftovers_are_ignored_and_removed(tmp_path):
    train(tmp_path, max_steps=3)
    (tmp_path / "checkpoints" / ".tmp-step-00000007").mkdir()
    assert resume(tmp_path).steps == 21
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_a_damaged_model_is_written_anew_by_resuming(tmp_path):
    train(tmp_path, check=validation, max_steps=8)
    whole = contents(tmp_path)
    flip(tmp_path / "model.safetensors", 700)
    train(tmp_path, resume=True, check=validation, max_steps=8)
    assert contents(tmp_path) == whole


@pytest.mark.parametrize("name", ["fsync", "rename"])
def test_a_full_disk(tmp_path, monkeypatch, name):
    train(tmp_path / "run", check=validation, max_steps=8)
    before, whole = contents(tmp_path / "run"), getattr(os, name)

    def full(*arguments, **named):
        if any((tmp_path / "run" / "checkpoints").glob(".tmp-*")):
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(*arguments, **named)

    monkeypatch.setattr(os, name, full)
    with pytest.raises(
        TrainingError, match=r"step 12 .*the disk is full\. .*step-00000008 is intact; .*--resume"
    ):
        resume(tmp_path / "run")
    monkeypatch.undo()
    assert contents(tmp_path / "run")[:2] == before[:2]
    assert not list((tmp_path / "run" / "checkpoints").glob(".*"))
    assert resume(tmp_path / "run").stopped == "finished"


class Clock:
    """Time that passes only in steps, `second` each, and in saves of a checkpoint."""

    def __init__(self, monkeypatch, second, saving=0):
        self.now, self.second, self.saving, self.saves = 0.0, second, saving, []
        self._save = checkpointing.save
        monkeypatch.setattr(checkpointing, "save", self.save)
        for module in (checkpointing, training_loop):
            monkeypatch.setattr(module, "time", self)

    def monotonic(self):
        return self.now

    def save(self, folder, checkpoint):
        self.saves.append((checkpoint.step, self.now))
        self.now += self.saving
        self._save(folder, checkpoint)

    def loss(self, *given):
        self.now += self.second
        return square_loss(*given)


UNTOLD = {"checkpoint_every": None, "validate_every": None}


@pytest.mark.parametrize(
    ("second", "saving", "steps"),
    [
        (1, 0, [0, 30, 60, 70]),  # not at the end of each epoch, of 7 steps
        (29, 0, [0, 2, 4, 6, 7]),
        (40, 1, [*range(8)]),
        (1, 3, [0, 60, 70]),  # the first one has shown what one costs
        (1, 0.1, [0, 30, 60, 70]),
    ],
)
def test_by_the_clock_a_checkpoint_comes_each_half_minute(
    tmp_path, monkeypatch, second, saving, steps
):
    clock = Clock(monkeypatch, second, saving)
    train(tmp_path, loss=clock.loss, check=validation, epochs=None, max_steps=max(steps), **UNTOLD)
    assert [step for step, _ in clock.saves] == steps


def test_a_long_validation_is_not_lost(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, 1)

    def slow(model):
        clock.now += 100
        return validation(model)

    train(tmp_path, loss=clock.loss, check=slow, epochs=2, **UNTOLD)
    assert [step for step, _ in clock.saves] == [0, 7, 14]


def test_what_is_resumed_waits_half_a_minute_again(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, 1)
    train(tmp_path, loss=clock.loss, epochs=None, max_steps=50, **UNTOLD)
    train(tmp_path, loss=clock.loss, epochs=None, max_steps=90, resume=True, **UNTOLD)
    assert [step for step, _ in clock.saves] == [0, 30, 50, 80, 90]


def test_by_steps_no_epoch_ends_with_a_checkpoint(tmp_path, monkeypatch):
    clock = Clock(monkeypatch, 60)
    train(tmp_path, loss=clock.loss, check=validation, checkpoint_every=9)
    assert [step for step, _ in clock.saves] == [0, 9, 18, 21]
