"""A task of a user's own, in one file, has everything that the built-in ones have."""

import itertools
import json
import shutil
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import recurra
from recurra.cli import main
from recurra.errors import ConfigError, RunError, RunWarning
from recurra.tasks.registry import estimator_of, task_named

FILE = Path(__file__).parent / "parity.py"
NAME = "parity:Parity"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty current directory with the task's file in it."""
    shutil.copy(FILE, tmp_path / "parity.py")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    for name in [name for name in list(__import__("sys").modules) if name == "parity"]:
        monkeypatch.delitem(__import__("sys").modules, name)
    return tmp_path


def command(*words):
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return result.output


def weights(run):
    return recurra.training.Run.open(run).load_model()


def same(run, other):
    first, second = weights(run), weights(other)
    return first.keys() == second.keys() and all(first[k].equal(second[k]) for k in first)


def test_the_file_is_short():
    assert len(FILE.read_text().splitlines()) < 120


def test_it_trains_evaluates_and_is_loaded(here):
    shown = command("train", NAME, "--out", "run", "--epochs", 2, "--hidden", 6)
    assert "accuracy" in shown
    assert json.loads(command("evaluate", "run", "--json"))["accuracy"] > 0.3
    model = recurra.load("run")
    assert repr(model) == "ParityEstimator(epochs=2, hidden=6)"
    assert (
        model.evaluate()["accuracy"] == model.evaluate(model.task(model.config).read())["accuracy"]
    )
    header = ["---", 'library_name: "recurra"', "tags:", '- "recurrent-neural-network"']
    header += ['- "parity:Parity"', '- "gru"', "---", "", "# A run of parity:Parity"]
    assert (here / "run" / "README.md").read_text().splitlines()[: len(header)] == header
    assert "Gradient" in (here / "run" / "report.html").read_text()


def test_the_same_training_has_the_same_report(here, monkeypatch):
    """However long each takes: the card has the minutes."""
    pages = []
    for seconds in (0, 600):
        monkeypatch.setattr(time, "monotonic", itertools.count(0, seconds).__next__)
        estimator_of(NAME)(epochs=1).fit(out="run", overwrite=True)
        assert ("| 0.0 |" in (here / "run/README.md").read_text()) == (seconds == 0)
        pages.append((here / "run/report.html").read_bytes())
    assert pages[0] == pages[1]
    assert b"<h2>Training</h2>" in pages[0]


def test_it_resumes_to_the_same_bits(here):
    estimator = estimator_of(NAME)
    estimator(epochs=4).fit(out="whole")
    estimator(epochs=2).fit(out="parts")
    command("train", NAME, "--resume", "--out", "parts", "--epochs", 4)
    assert same("whole", "parts")
    with pytest.raises(ConfigError, match="hidden = 9 was given"):
        estimator(hidden=9).fit(out="parts", resume=True)


def test_it_is_inspected(here):
    command("train", NAME, "--out", "run", "--epochs", 1)
    assert "horizon" in command("inspect", "run", "--rows", 2, "--steps", 8)


def test_it_is_compared(here):
    shown = command(
        "compare", NAME, "--cells", "gru", "--steps", 4, "--seeds", 1, "--hidden", 4,
        "--out", "table",
    )  # fmt: skip
    assert "validation accuracy" in shown
    assert "gru" in shown


def test_ensembles_average_and_load(here):
    model = estimator_of(NAME)(epochs=1, ensemble=2).fit(out="two")
    first, second = (recurra.training.Run.open(f"two/members/{n}").load_model() for n in (0, 1))
    bits = model.task(model.config).read()
    nets = []
    for state in (first, second):
        net = model._task.build()
        net.load_state_dict(state)
        nets.append(net(bits))
    together = recurra.load("two")._product(bits)
    assert torch.allclose(together, torch.stack(nets).mean(0))
    assert len(model.results) == 2


def test_a_warm_start_takes_weights_over_and_freezes_some(here):
    estimator = estimator_of(NAME)
    estimator(epochs=1).fit(out="old")
    estimator(epochs=1, start="old", freeze="recurrent", seed=5).fit(out="new")
    old, new = weights("old"), weights("new")
    assert all(old[name].equal(new[name]) for name in old if name.startswith("recurrent"))
    assert not old["head.weight"].equal(new["head.weight"])
    assert "copied" in recurra.training.Run.open("new").config["start"]
    with pytest.raises(ConfigError, match="the model has head, recurrent"):
        estimator(start="old", freeze="encoder").fit(out="third")


def test_changed_code_is_noticed(here):
    estimator_of(NAME)(epochs=1).fit(out="run")
    run = recurra.training.Run.open("run")
    run.save_config({**run.config, "task_digest": "0"})
    with pytest.warns(RunWarning, match="has changed"):
        recurra.load("run")
    with pytest.raises(RunError, match="has changed"):
        estimator_of(NAME)(epochs=2).fit(out="run", resume=True)


def test_names_of_tasks_that_do_not_exist():
    with pytest.raises(ConfigError, match="There is no task 'langauge'"):
        task_named("langauge")
    with pytest.raises(ConfigError, match="no module 'nowhere'"):
        task_named("nowhere:Task")
    with pytest.raises(ConfigError, match="subclass"):
        task_named("json:loads")
