"""Killed between any two writes, a training is resumed from what is there to the same bits."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
import torch
from parity import Parity

import recurra
from helpers.kill_states import KillStates, contents_of
from recurra.errors import RunError
from recurra.tasks.estimator import estimator_for
from recurra.training import Run

NAMES = b"seconds|tokens_per_second|steps_per_second|lines_bytes|(?:first_)?budget"
TIMES = re.compile(rb'"(?:' + NAMES + rb')": (?:{.*?}|\[.*?\]|[^,}]+)', re.DOTALL)
LATE = "members/0/checkpoints/step-00000002"


@pytest.fixture(autouse=True)
def _quick(undrawn, monkeypatch):
    """No pictures, and no waiting for the disk: what is killed here is a process."""
    monkeypatch.setattr("recurra.tasks.description.plot_members", lambda lines, loss: None)
    monkeypatch.setattr(os, "fsync", lambda file: None)


def parity(**settings):
    """Epochs of two steps, with a checkpoint after each."""
    given = {"epochs": 1, "sequences": 16, "batch_size": 8, "hidden": 2, "bits": 3}
    return estimator_for(Parity)(**{**given, "checkpoint_every": 2, **settings})


def timeless(run):
    """Everything in a run but what tells of time: speeds, digests of what has them, the card.

    Nor the budget that a run was begun with, which a resumed one may have less of.
    """
    return {
        name: TIMES.sub(b"", data) if data and name.endswith((".json", ".jsonl")) else data
        for name, data in contents_of(run).items()
        if not name.endswith(("manifest.json", "README.md"))
    }


def finish(out, **settings):
    """Do as the messages say: resume where a run is, else start one."""
    told = refusal(Run.open, out)
    assert told is None or re.search("does not exist|start its training without --resume", told)
    return parity(**settings).fit(out=out, resume=told is None)


def refusal(call, *arguments):
    """The text of the RunError that a call raises, None where it raises none."""
    try:
        call(*arguments)
    except RunError as error:
        return str(error)


def differences(run, whole):
    """The names of the files that differ."""
    return {name for name in run | whole if run.get(name, 0) != whole.get(name, 0)}


def identity(folder):
    """Which directory lies there, the same until it is deleted or replaced."""
    return folder.stat().st_ino if folder.exists() else None


def check_every_state(states, whole, **settings):
    """Resume each state; the whole run comes out, and what was finished was kept."""
    for out in states:
        member = identity(out / LATE)
        if out.exists():
            assert "damaged" not in (refusal(recurra.load, out) or "")
        finish(out, **settings)
        assert differences(timeless(out), whole) == set(), out
        assert member in (None, identity(out / LATE)), out


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The current directory, so that all runs of a test have one name."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_training(here):
    with KillStates("run", here / "killed") as killed:
        parity().fit(out="run")
    assert len(killed.paths) > 60
    check_every_state(killed.paths, timeless("run"))


def test_an_ensemble(here):
    """Of the first member's training, one state in eight: it is written as that of one model."""
    with KillStates("run", here / "killed") as killed:
        parity(ensemble=2).fit(out="run")
    assert len(killed.paths) > 120
    made = [n for n, path in enumerate(killed.paths) if (path / "members/1").exists()]
    begun = made[0] + 16
    chosen = killed.paths[: made[0] : 8] + killed.paths[made[0] : begun] + killed.paths[begun::8]
    check_every_state(chosen, timeless("run"), ensemble=2)


def test_a_run_that_is_resumed(here):
    """One state in three, so that it takes a second or two; old checkpoints are deleted in some."""
    parity(epochs=2).fit(out="run")
    whole = timeless("run")
    parity().fit(out="run", overwrite=True)
    with KillStates("run", here / "killed") as killed:
        parity(epochs=2).fit(out="run", resume=True)
    assert timeless("run") == whole
    check_every_state(killed.paths[::3], whole, epochs=2)


def test_a_run_that_is_replaced(here):
    """At each instant the old run is there, whole, or room for one, or the new one."""
    parity(ensemble=2).fit(out="run")
    Path("run/notes.txt").write_text("mine")
    old = contents_of("run")
    with KillStates("run", here / "killed") as killed:
        Run.create("run", {"new": 1}, overwrite=True)
    new, seen = contents_of("run"), set()
    for state in killed.paths:
        there = contents_of(state)
        names = {name for name in there if Path(name).name not in ("training.lock",)}
        kind = "room" if Run.has_room(state) else json.dumps(Run.open(state).config)
        if kind == json.dumps({"new": 1}):
            assert names == new.keys()
        elif kind != "room":
            assert {name: there[name] for name in old} == old
            kind = "old"
        seen.add(kind)
        Run.create(state, {"new": 1}, overwrite=kind != "room")
        assert contents_of(state) == new
    assert seen == {"old", "room", json.dumps({"new": 1})}


def test_a_folder_with_files_of_others_has_no_room(tmp_path):
    assert Run.has_room(tmp_path)
    (tmp_path / "notes.txt").write_text("mine")
    assert not Run.has_room(tmp_path)
    assert not Run.has_room(tmp_path / "notes.txt")
    assert Run.has_room(tmp_path / "nothing")


@pytest.mark.parametrize("damage", ["manifest.json", "config.json", "checkpoints"])
def test_a_damaged_member_costs_its_own_training_alone(here, damage):
    parity(ensemble=2).fit(out="run")
    whole, member = timeless("run"), Path("run/members/1")
    paths = [*(member / damage).rglob("state.json")] or [member / damage]
    for path in paths:
        path.write_bytes(b"\xff" + path.read_bytes()[1:])
    with pytest.raises(RunError, match=r"or delete run/members/1 and resume with --resume") as told:
        parity(ensemble=2).fit(out="run", resume=True)
    assert "--overwrite" not in str(told.value)
    first = identity(Path("run") / LATE)
    shutil.rmtree(member)
    parity(ensemble=2).fit(out="run", resume=True)
    assert timeless("run") == whole
    assert identity(Path("run") / LATE) == first


class Noted(Parity):
    """Parity whose product is networks and what was noted of them when they were complete."""

    def artefacts(self, product):
        first = next(self.models(product)[0].parameters())
        return {"first": first.detach().clone()}, {"noted": first.sum().item()}

    def restore(self, models, tensors, facts):
        product = super().restore(models, tensors, facts)
        if facts:
            first = next(models[0].parameters())
            assert torch.equal(first, tensors["first"])
            assert first.sum().item() == facts["noted"]
            product.noted = facts["noted"]
        elif tensors:
            raise RunError("incomplete")
        return product


@pytest.mark.parametrize("ensemble", [1, 2])
def test_a_finished_run_whose_resume_is_refused_midway_loads(here, ensemble):
    """What it was when it was finished, although it is to be trained for longer."""
    kind, settings = estimator_for(Noted), {"hidden": 2, "bits": 3, "ensemble": ensemble}
    kind(epochs=1, **settings).fit(out="run")
    product = kind.load("run")._product
    last = sorted(Path("run").rglob("step-*/state.json"))[-1]
    last.write_bytes(b"\xff")
    with pytest.raises(RunError, match="damaged"):
        kind(epochs=2, **settings).fit(out="run", resume=True)
    found = kind.load("run")
    assert found.config.epochs == 2
    assert found._product.noted == product.noted
    weights = [dict(p.named_parameters()) for p in (found._product, product)]
    torch.testing.assert_close(*weights, rtol=0, atol=0)


def test_a_finished_ensemble_that_is_trained_further_loads_whenever_it_is_killed(here):
    """As it was, or as it becomes; never new weights with what was noted of the old ones."""
    kind, settings = estimator_for(Noted), {"hidden": 2, "bits": 3, "ensemble": 2}
    settings |= {"sequences": 32, "learning_rate": 0.05, "best": "loss:min"}
    kind(epochs=1, **settings).fit(out="run")
    old = kind.load("run")._product.noted
    with KillStates("run", here / "killed") as killed:
        kind(epochs=2, **settings).fit(out="run", resume=True)
    told = [noted(kind, path) for path in killed.paths]
    assert set(told) == {old, noted(kind, "run"), "incomplete"}
    assert told.count("incomplete") < len(told) / 10


def noted(kind, path):
    """What a run keeps of its product, or why it doesn't load."""
    try:
        return kind.load(path)._product.noted
    except RunError as error:
        return str(error)
