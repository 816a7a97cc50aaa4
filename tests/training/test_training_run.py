"""A run directory: made, opened, damaged, overwritten, and a disk that fills."""

import contextlib
import errno
import json
import os

import pytest
import torch

from recurra.errors import RunError, TrainingError
from recurra.training import Run

WEIGHTS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(True)}


@pytest.fixture
def run(tmp_path):
    made = Run.create(tmp_path / "run", {"hidden": 3, "files": ["x"]})
    made.save_model(WEIGHTS)
    return made


def flip(path, bit):
    data = bytearray(path.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)


def bits_of(path):
    """Some bits of the file: its first, its last and several between."""
    total = 8 * path.stat().st_size
    return {0, 1, total - 1, *range(5, total, total // 29)}


def same(found, wanted):
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


def test_what_is_saved_is_loaded(run):
    opened = Run.open(run.path)
    assert opened.config == {"hidden": 3, "files": ["x"]}
    assert same(opened.load_model(), WEIGHTS)


def test_shared_and_strided_tensors_are_saved(run):
    shared = torch.arange(6.0).reshape(2, 3)
    run.save_model({"a": shared, "b": shared, "c": shared.T, "d": shared[0]})
    assert same(run.load_model(), {"a": shared, "b": shared, "c": shared.T, "d": shared[0]})


def test_loaded_tensors_are_aligned_copies(run):
    run.save_model({str(size): torch.ones(size) for size in range(1, 20)})
    assert all(tensor.data_ptr() % 64 == 0 for tensor in run.load_model().values())


def test_every_flipped_bit_of_the_model_is_noticed(run):
    path = run.path / "model.safetensors"
    for bit in bits_of(path):
        flip(path, bit)
        with pytest.raises(RunError, match=r"model.safetensors of .* is damaged"):
            run.load_model()
        flip(path, bit)
    assert same(run.load_model(), WEIGHTS)


def test_every_flipped_bit_of_the_config_is_noticed(run):
    path = run.path / "config.json"
    for bit in bits_of(path):
        flip(path, bit)
        with pytest.raises(RunError, match=r"config.json of .* is damaged"):
            Run.open(run.path)
        flip(path, bit)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "recurra run 1"}', "\xff"])
def test_a_damaged_manifest_is_noticed(run, text):
    (run.path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(RunError):
        Run.open(run.path)


def test_every_flipped_bit_of_the_manifest_is_noticed(run):
    path = run.path / "manifest.json"
    for bit in range(0, 8 * path.stat().st_size, 11):
        flip(path, bit)
        with pytest.raises(RunError):
            Run.open(run.path).load_model()
        flip(path, bit)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_missing_file_is_named(run, name):
    (run.path / name).unlink()
    with pytest.raises(RunError, match=f"{name} of .* is missing"):
        Run.open(run.path).load_model()


def test_a_cut_file_is_noticed(run):
    path = run.path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RunError, match="damaged"):
        run.load_model()


def test_opening_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match="does not exist"):
        Run.open(tmp_path / "nothing")
    with pytest.raises(RunError, match="is not a run"):
        Run.open(tmp_path)


def test_another_run_is_not_replaced_unasked(run):
    with pytest.raises(RunError, match=r"another run.*--resume.*--overwrite.*another --out"):
        Run.create(run.path, {})
    assert same(run.load_model(), WEIGHTS)


def test_overwriting_leaves_nothing_of_the_old_run_but_foreign_files(run):
    (run.path / "checkpoints" / "step-00000001").mkdir(parents=True)
    (run.path / "notes.txt").write_text("mine")
    Run.create(run.path, {"new": 1}, overwrite=True)
    assert sorted(path.name for path in run.path.iterdir()) == [
        "config.json",
        "manifest.json",
        "notes.txt",
    ]


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_run_is_never_deleted(tmp_path, overwrite):
    (tmp_path / "manifest.json").write_text('{"name": "an extension"}')
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RunError, match="not a run, and those are never deleted"):
        Run.create(tmp_path, {}, overwrite=overwrite)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_file_in_the_way(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="file is a file; a run is a directory"):
        Run.create(tmp_path / "file", {})


def test_an_empty_directory_becomes_a_run(tmp_path):
    assert Run.create(tmp_path, {"a": 1}).config == Run.open(tmp_path).config == {"a": 1}


def test_the_config_can_be_replaced(run):
    run.save_config({"epochs": 5})
    assert Run.open(run.path).config == {"epochs": 5}
    assert same(Run.open(run.path).load_model(), WEIGHTS)


def test_lines_of_metrics(run):
    run.log({"step": 1})
    run.log({"step": 2})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 3')  # still being written
    assert run.metrics() == [{"step": 1}, {"step": 2}]


def test_metrics_that_are_not_json(run):
    (run.path / "metrics.jsonl").write_text("oops\n")
    with pytest.raises(RunError, match=r"metrics.jsonl of .* is damaged"):
        run.metrics()


def test_metrics_are_cut_back(run):
    run.log({"step": 1})
    sizes = run.sync_lines()
    run.log({"step": 2})
    run.truncate_lines(sizes)
    assert run.metrics() == [{"step": 1}]


def test_metrics_shorter_than_at_the_checkpoint_are_told(run, caplog):
    run.truncate_lines({"metrics.jsonl": 100})
    assert "lines are lost" in caplog.text
    assert run.metrics() == []


def test_lines_after_a_loss_are_undone_by_the_next_resume(run, caplog):
    """They are not of the checkpoint, though the file is no longer than at it."""
    run.log({"step": 1, "note": "a long line, which is lost"})
    sizes = run.sync_lines()
    (run.path / "metrics.jsonl").unlink()
    for _ in range(2):  # the second time the file is there
        run.truncate_lines(sizes)
        assert run.metrics() == []
        run.log({"step": 2})
    assert caplog.text.count("metrics.jsonl of") == 1


def test_an_older_checkpoint_cuts_what_is_recorded(run):
    run.log({"step": 1})
    older = run.sync_lines()
    run.log({"step": 2})
    newer = run.sync_lines()
    run.truncate_lines(newer)
    assert run.metrics() == [{"step": 1}, {"step": 2}]
    run.truncate_lines(older)
    assert run.metrics() == [{"step": 1}]


def test_a_reader_waits_for_lines_that_are_cut_back(run, monkeypatch):
    """The manifest was read before a resume, the file after it."""
    run.log({"step": 1})
    sizes, cut = run.sync_lines(), []
    run.log({"step": 2})
    run.sync_lines()
    whole = type(run.path).read_bytes

    def cutting(path):
        if path.name == "metrics.jsonl" and not cut:
            cut.append(None)
            run.truncate_lines(sizes)
        return whole(path)

    monkeypatch.setattr(type(run.path), "read_bytes", cutting)
    assert Run.open(run.path).metrics() == [{"step": 1}]


@pytest.mark.parametrize("call", range(8))
@pytest.mark.parametrize("name", ["fsync", "replace"])
def test_a_save_that_dies_leaves_the_old_model_or_the_new(run, monkeypatch, name, call):
    calls, whole = iter(range(100)), getattr(os, name)

    def failing(*arguments, **named):
        if next(calls) == call:
            raise OSError(errno.EIO, "Input/output error")
        return whole(*arguments, **named)

    monkeypatch.setattr(os, name, failing)
    new = {"a": torch.zeros(2, 3), "b": torch.tensor(False)}
    with contextlib.suppress(TrainingError):
        run.save_model(new)
    found = Run.open(run.path).load_model()
    assert same(found, WEIGHTS) or same(found, new)
    assert not list(run.path.glob(".*"))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
@pytest.mark.parametrize("name", ["model.safetensors", "manifest.json"])
def test_a_full_disk(run, name):
    (run.path / f".{name}.tmp").symlink_to("/dev/full")
    with pytest.raises(TrainingError, match=r"the disk is full.*No checkpoint.*--resume"):
        run.save_model({"a": torch.zeros(2, 3)})
    assert same(Run.open(run.path).load_model(), WEIGHTS)
    assert not list(run.path.glob(".*"))


def test_a_full_disk_says_that_members_are_intact(run):
    (run.path / "members/0/checkpoints/step-00000004").mkdir(parents=True)
    (run.path / ".model.safetensors.tmp").mkdir()
    with pytest.raises(TrainingError, match=r"directory\. The checkpoints of its members are inta"):
        run.save_model({"a": torch.zeros(2, 3)})


def test_texts_are_written_whole(run):
    run.write_text("README.md", "über\n")
    assert (run.path / "README.md").read_text("utf-8") == "über\n"


def test_the_manifest_holds_the_digest_alone(run):
    manifest = json.loads((run.path / "manifest.json").read_text())
    assert [len(known) for known in manifest["files"].values()] == [1, 1]
