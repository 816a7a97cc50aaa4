"""One process at a time writes to a run: the second is refused, readers and heirs are not."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys

import pytest
import torch
from training_toys import last_checkpoint, train, train_in_child

from recurra.errors import RunError
from recurra.training import Run

HOLD = """
import sys
from recurra.runs import Run
with Run.open(sys.argv[1]).locked():
    print("locked", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold():
    """`hold(path)` locks a run in another process and gives that process."""
    held = []

    def start(path):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        held.append(subprocess.Popen([sys.executable, "-c", HOLD, str(path)], **pipes))
        assert held[-1].stdout.readline() == "locked\n"
        return held[-1]

    yield start
    for process in held:
        process.kill()
        process.communicate()


def weights():
    return {"a": torch.zeros(2)}


WRITERS = {
    "resume": lambda path: train(path, resume=True),
    "overwrite": lambda path: Run.create(path, {}, overwrite=True),
    "save_config": lambda path: Run.open(path).save_config({"epochs": 2}),
    "save_model": lambda path: Run.open(path).save_model(weights()),
}


@pytest.mark.parametrize("write", WRITERS.values(), ids=WRITERS)
def test_a_second_writer_is_refused(tmp_path, hold, write):
    train(tmp_path, max_steps=3)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    process = hold(tmp_path)
    with pytest.raises(RunError, match=rf"by process {process.pid} on {socket.gethostname()};"):
        write(tmp_path)
    assert before.items() <= {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}.items()


def test_readers_are_not_hindered(tmp_path, hold):
    train(tmp_path, max_steps=3)
    hold(tmp_path)
    run = Run.open(tmp_path)
    assert run.load_model()
    run.metrics()
    run.write_text("report.html", "of who reads")


def test_the_lock_of_a_killed_process_is_gone(tmp_path, hold):
    train(tmp_path, max_steps=3)
    process = hold(tmp_path)
    process.kill()
    process.wait()
    assert (tmp_path / "training.lock").exists()
    assert train(tmp_path, resume=True, max_steps=5).steps == 5
    assert not (tmp_path / "training.lock").exists()


def test_a_killed_training_is_resumed_and_overwritten(tmp_path):
    assert train_in_child(tmp_path, kill="loss", at=6) == -signal.SIGKILL
    assert (tmp_path / "training.lock").read_text().endswith(f" on {socket.gethostname()}\n")
    assert train(tmp_path, resume=True, max_steps=9).steps == 9
    Run.create(tmp_path, {}, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "manifest.json"]


def test_training_holds_the_lock(tmp_path):
    def writing(model, batch, state):
        with pytest.raises(RunError, match=f"by process {os.getpid()} on"):
            Run.open(tmp_path).save_model(weights())
        raise KeyboardInterrupt

    assert train(tmp_path, loss=writing).stopped == "interrupted"
    assert last_checkpoint(tmp_path).name == "step-00000000"


def test_a_member_that_is_trained_keeps_its_ensemble(tmp_path, hold):
    Run.create(tmp_path, {})
    Run.create(tmp_path / "members/0/final", {})
    hold(tmp_path / "members/0/final")
    with pytest.raises(RunError, match=r"members/0/final is being trained by process"):
        Run.create(tmp_path, {}, overwrite=True)
    assert Run.open(tmp_path / "members/0/final").config == {}


def test_a_folder_that_vanishes_meanwhile_hinders_no_refusal(tmp_path, hold, monkeypatch):
    """A training that saves makes folders and renames them while another process looks."""
    train(tmp_path, max_steps=3)
    process, scan = hold(tmp_path), os.scandir

    def vanishing(path="."):
        if str(path).endswith(".tmp-step-3"):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        return scan(path)

    (tmp_path / "checkpoints" / ".tmp-step-3").mkdir()
    monkeypatch.setattr(os, "scandir", vanishing)
    with pytest.raises(RunError, match=f"trained by process {process.pid}"):
        Run.create(tmp_path, {}, overwrite=True)


def test_a_run_that_was_replaced_is_not_trained(tmp_path):
    run = Run.create(tmp_path, {"hidden": 3})
    Run.create(tmp_path, {"hidden": 4}, overwrite=True)
    with pytest.raises(RunError, match="changed by another process in the meantime"):
        run.save_model(weights())
    assert not (tmp_path / "model.safetensors").exists()


def test_locks_are_nested(tmp_path):
    run = Run.create(tmp_path, {"a": 1})
    with run.locked():
        with run.locked():
            run.save_config({"a": 2})
        assert (tmp_path / "training.lock").exists()
    assert not (tmp_path / "training.lock").exists()


def test_a_lock_that_was_deleted_while_waited_for_is_made_again(tmp_path, monkeypatch):
    run, whole, deleted = Run.create(tmp_path, {}), fcntl.flock, []

    def deleting(file, how):
        whole(file, how)
        if not deleted:
            deleted.append((tmp_path / "training.lock").unlink())

    monkeypatch.setattr(fcntl, "flock", deleting)
    with run.locked():
        assert (tmp_path / "training.lock").read_text().startswith(f"{os.getpid()} on ")


def test_a_disk_without_locks_is_told(tmp_path, monkeypatch, caplog):
    def refusing(file, how):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refusing)
    Run.create(tmp_path, {})
    assert "can't be locked on this disk" in caplog.text
    assert not (tmp_path / "training.lock").exists()


def test_a_reader_waits_for_a_file_that_is_replaced(tmp_path, monkeypatch):
    """The manifest was read before a save, the file after it."""
    run = Run.create(tmp_path, {})
    run.save_model(weights())
    whole, saved = type(tmp_path).read_bytes, []

    def saving(path):
        if path.name == "model.safetensors" and not saved:
            saved.append(run.save_model({"a": torch.ones(2)}))
        return whole(path)

    monkeypatch.setattr(type(tmp_path), "read_bytes", saving)
    assert Run.open(tmp_path).load_model()["a"].tolist() == [1, 1]
