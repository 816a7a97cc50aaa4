"""A search: trials until there are so many, continued, shared, pruned, recorded, refused."""

import csv
import json
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

pytest.importorskip("optuna", reason="optuna isn't installed")

from recurra import load, tune
from recurra.cli import main
from recurra.errors import ConfigError, RunError, TrainingError
from recurra.tuning import TuningProgress
from recurra.tuning.settings_search import begin_search, search_at
from recurra.tuning.study import Study
from recurra.tuning.trial_training import TrialWatch, run_next_trial

PARITY = "parity:Parity"
SPACE = {"learning_rate": {"low": 1e-3, "high": 1e-1, "log": True}, "hidden": [2, 8]}
BRIEF = {"max_steps": 8, "validate_every": 2, "watch_every": 0}


@pytest.fixture(autouse=True)
def here(monkeypatch, undrawn):
    """Trials train in this process, by the interpreter; a job of the set `killed` is killed."""
    killed = set()
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tasks"))
    monkeypatch.setenv("RECURRA_ENGINE", "interp")

    def run_jobs(jobs, workers, *, progress, ended, failed):
        for number, job in enumerate(jobs):
            if number in killed:
                study, _ = opened(Path(job.arguments["folder"]))
                with study.taken(job.arguments["trials"]) as taken:
                    progress(job.name, {"trial": taken.number})
                failed(job, job.failure("it was killed"))
                continue
            monkeypatch.setattr(
                "recurra.tuning.trial_training.report_progress",
                lambda name=job.name, **line: progress(name, line),
            )
            ended(job, run_next_trial(**job.arguments))

    monkeypatch.setattr("recurra.tuning.tuning_run.run_jobs", run_jobs)
    yield killed
    sys.modules.pop("parity", None)


def opened(folder):
    search = search_at(folder)
    return Study(folder, search, higher=True), search


def small(out, trials=3, **more):
    return tune(PARITY, out=out, trials=trials, **{"space": SPACE, **BRIEF, **more})


def test_trials_are_compared_by_their_best_validation(tmp_path):
    tuned = small(tmp_path / "s", trials=4)
    assert [record.state for record in tuned.trials] == ["complete"] * 4
    assert tuned.best.value == max(record.value for record in tuned.trials)
    run = load(tuned.run)
    curve = [line["validation"]["accuracy"] for line in run.run.metrics() if "validation" in line]
    assert tuned.best.value == max(curve)
    assert run.config.hidden == tuned.best.settings["hidden"]
    assert run.config.learning_rate == tuned.best.settings["learning_rate"]
    assert {record.settings["learning_rate"] for record in tuned.trials} > {0.002}
    assert tuned.trials[0].settings == {"learning_rate": 0.002, "hidden": 8}  # the task's own


def test_the_best_run_alone_stays_on_the_disk(tmp_path):
    tuned = small(tmp_path / "s", trials=4)
    assert [path.name for path in (tmp_path / "s" / "trials").iterdir()] == [
        f"{tuned.best.number:04d}"
    ]


def test_the_best_settings_train_without_the_budget_of_a_trial(tmp_path):
    tuned = small(tmp_path / "s")
    text = (tmp_path / "s" / "best.toml").read_text()
    written = tomllib.loads(text)
    assert written == tuned.settings
    assert written["hidden"] == tuned.best.settings["hidden"]
    assert "max_steps" not in written
    assert "# max_steps = 8" in text
    words = ["train", PARITY, "--config", str(tmp_path / "s" / "best.toml")]
    result = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "r"), "--max-steps", "2"])
    assert result.exit_code == 0, result.output


def test_a_search_goes_on_until_the_trials_asked_for_are_there(tmp_path):
    first = small(tmp_path / "s", trials=2)
    assert len(first.trials) == 2
    again = tune(PARITY, out=tmp_path / "s", trials=4)
    assert len(again.trials) == 4
    assert again.trials[:2] == first.trials
    assert tune(PARITY, out=tmp_path / "s", trials=4).trials == again.trials
    whole = small(tmp_path / "whole", trials=4)
    assert [r.settings for r in whole.trials] == [r.settings for r in again.trials]
    assert [r.value for r in whole.trials] == [r.value for r in again.trials]


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"max_steps": 9}, "max_steps = 9 was given, and the search in .* has 8"),
        ({"layers": 2}, "layers = 2 was given"),
        ({"space": {"hidden": [1, 2]}}, "space = "),
        ({"prune": False}, "prune = False"),
        ({"data": "here.txt"}, "data = "),
    ],
)
def test_a_search_with_other_settings_is_refused(tmp_path, given, part):
    (tmp_path / "here.txt").touch()
    small(tmp_path / "s", trials=1)
    given = {n: str(tmp_path / v) if n == "data" else v for n, v in given.items()}
    with pytest.raises(RunError, match=part):
        tune(PARITY, out=tmp_path / "s", trials=2, **given)


def test_a_search_whose_data_have_changed_is_refused(tmp_path):
    table = tmp_path / "texts.tsv"
    table.write_text("text\tlabel\n" + "a good one\tyes\na bad one\tno\n" * 20)
    settings = {"watch_every": 0, "max_steps": 1}
    begin_search(tmp_path / "s", "classify", [table], settings, SPACE)
    begin_search(tmp_path / "s", "classify", [], {}, None)
    table.write_text(table.read_text() + "a new one\tno\n")
    with pytest.raises(RunError, match=r"texts\.tsv has changed since the search"):
        begin_search(tmp_path / "s", "classify", [], {}, None)
    begin_search(tmp_path / "s", "classify", [table], settings, SPACE, overwrite=True)


def test_files_of_others_are_never_deleted(tmp_path):
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "letter.txt").write_text("dear")
    with pytest.raises(RunError, match="not a search"):
        small(tmp_path / "s", overwrite=True)
    assert (tmp_path / "s" / "letter.txt").exists()
    small(tmp_path / "t", trials=2)
    assert len(small(tmp_path / "t", trials=1, max_steps=6, overwrite=True).trials) == 1


def test_a_trial_that_fails_is_recorded_and_the_others_go_on(tmp_path):
    tuned = small(tmp_path / "s", trials=8, space={**SPACE, "dilation": [1, 2]}, prune=False)
    failed = [record for record in tuned.trials if record.state == "failed"]
    assert {record.settings["dilation"] for record in failed} == {2}
    assert all("layers" in record.error for record in failed)
    assert 0 < len(failed) < 8
    assert sum(record.state == "complete" for record in tuned.trials) == 8 - len(failed)
    rows = list(csv.DictReader((tmp_path / "s" / "trials.csv").open()))
    assert [row["state"] for row in rows] == [record.state for record in tuned.trials]
    assert "dilation = 2" in (tmp_path / "s" / "report.html").read_text()


def test_a_trial_whose_process_is_killed_fails(tmp_path, here):
    here |= {1}
    tuned = small(tmp_path / "s")
    assert [record.state for record in tuned.trials] == ["complete", "failed", "complete"]
    assert tuned.trials[1].error == "it was killed"


def test_a_search_whose_trials_all_fail_ends(tmp_path):
    with pytest.raises(TrainingError, match=r"first 3 trials all failed.*layers"):
        small(tmp_path / "s", trials=9, space={"dilation": [2, 3]})


def test_what_every_trial_would_meet_ends_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr("parity.Parity.validation", lambda task, data: None)
    with pytest.raises(ConfigError, match="nothing is held out"):
        small(tmp_path / "s")


def test_a_loss_that_is_not_finite_is_a_result(tmp_path, monkeypatch):
    def loss(task, model, batch, state):
        bad = float("nan") if task.config.hidden == 2 else 1.0
        return model(batch).sum() * bad, batch.numel(), None

    monkeypatch.setattr("parity.Parity.loss", loss)
    tuned = small(tmp_path / "s", trials=6)
    for record in tuned.trials:
        assert record.state == ("diverged" if record.settings["hidden"] == 2 else "complete")
    assert tuned.best.settings["hidden"] == 8


class Breaks(TuningProgress):
    """Ctrl-C at the third step of a trial."""

    def progress(self, number, line):
        if number == 1 and line.get("step", 0) >= 3:
            raise KeyboardInterrupt


def test_an_interrupted_trial_is_resumed(tmp_path, monkeypatch):
    monkeypatch.setattr("recurra.training.relayed_progress._BETWEEN_LINES", 0)
    settings = {**BRIEF, "max_steps": 6, "checkpoint_every": 1}
    with pytest.raises((KeyboardInterrupt, SystemExit)):
        small(tmp_path / "s", progress=Breaks(), **settings)
    study, _ = opened(tmp_path / "s")
    assert [record.state for record in study.records()] == ["complete", "running"]
    asked = study.records()[1].settings
    tuned = tune(PARITY, out=tmp_path / "s", trials=2)
    assert len(tuned.trials) == 2
    assert tuned.trials[1].settings == asked
    assert tuned.trials[1].state == "complete"
    whole = small(tmp_path / "whole", trials=2, **settings)
    assert [r.value for r in tuned.trials] == [r.value for r in whole.trials]


def begun(folder, **more):
    search = begin_search(folder, PARITY, (), BRIEF, SPACE, **more)
    return Study(folder, search, higher=True)


def test_workers_take_different_trials_and_one_takes_over_what_another_left(tmp_path):
    one = begun(tmp_path / "s")
    other, _ = opened(tmp_path / "s")
    with one.taken(3) as first, other.taken(3) as second:
        assert (first.number, second.number) == (0, 1)
        other.tell(second.trial, "complete", 0.5)
    with other.taken(3) as again:  # it was told nothing
        assert again.number == 0
        assert again.settings == first.settings
        one.fail(0, "somebody has it")
        assert one.records()[0].state == "running"
        other.tell(again.trial, "complete", 0.75)
    with one.taken(3) as third, other.taken(3) as none:
        assert third.number == 2
        assert none is None
    assert one.best.number == 0


def test_a_journal_cut_short_is_mended(tmp_path):
    study = begun(tmp_path / "s")
    with study.taken(2) as taken:
        study.tell(taken.trial, "complete", 0.5)
    with (tmp_path / "s" / "journal.log").open("a") as file:
        file.write('{"op_code": 5, "wor')
    again, _ = opened(tmp_path / "s")
    with again.taken(2) as taken:
        again.tell(taken.trial, "complete", 0.6)
    assert [record.value for record in opened(tmp_path / "s")[0].records()] == [0.5, 0.6]


@pytest.mark.parametrize(("value", "ends"), [(0.4, True), (0.6, False)])
@pytest.mark.parametrize("prune", [True, False])
def test_a_trial_worse_than_the_median_at_the_same_share_is_ended(tmp_path, value, ends, prune):
    study = begun(tmp_path / "s", prune=prune)
    for better in (0.3, 0.4, 0.5, 0.6, 0.7):
        with study.taken(9) as taken:
            watch = TrialWatch(taken, lambda **line: None, study.search)
            watch.start(20, 0)
            for step in range(1, 20):
                watch.update(step, 1, 1.0, 1.0, validation=better if step < 2 else 0.0)
            study.tell(taken.trial, "complete", better)
    with study.taken(9) as taken:
        watch = TrialWatch(taken, lambda **line: None, study.search)
        watch.start(40, 0)  # twice as many steps
        steps = 0
        try:
            for step in range(1, 40):
                watch.update(step, 1, 1.0, 1.0, validation=value if step < 4 else 0.1)
                steps = step
            ended = False
        except Exception as error:
            ended = type(error).__name__ == "_EndedEarlyError"
    assert ended == (ends and prune)
    if ended:
        assert steps == 7  # a fifth of the budget


def test_of_equal_trials_the_lower_loss_is_better(tmp_path):
    study = begun(tmp_path / "s")
    for value, loss in ((0.5, 0.1), (0.75, 0.9), (0.75, 0.4), (0.75, 0.4)):
        with study.taken(4) as taken:
            study.tell(taken.trial, "complete", value, loss=loss)
    assert study.best.number == 2


def test_importance_names_what_matters(tmp_path):
    study = begun(tmp_path / "s", prune=False)
    for _ in range(12):
        with study.taken(12) as taken:
            rate = taken.settings["learning_rate"]
            study.tell(taken.trial, "complete", -abs(np.log10(rate) + 2))
    shares = study.importance()
    assert shares["learning_rate"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)


def test_data_in_memory_are_trained_on_here(tmp_path):
    generator = np.random.default_rng(0)
    waves = [np.sin(np.arange(12) * (0.3, 0.9)[n % 2] + generator.uniform(0, 6)) for n in range(40)]
    labels = ["slow", "fast"] * 20
    how = {"space": {"hidden": [4, 8]}, "channels": 4, "max_steps": 2, "watch_every": 0}
    tuned = tune("classify", waves, y=labels, out=tmp_path / "s", trials=2, **how)
    assert [record.state for record in tuned.trials] == ["complete"] * 2
    assert load(tuned.run).classes_.tolist() == ["fast", "slow"]
    with pytest.raises(ConfigError, match="jobs = 2 with data in memory"):
        tune("classify", waves, y=labels, out=tmp_path / "t", jobs=2)
    with pytest.raises(ConfigError, match="did you mean 'hidden'"):
        tune("classify", waves, y=labels, out=tmp_path / "t", hiden=2)


def test_the_command_line_searches_shows_and_refits(tmp_path):
    space = tmp_path / "space.toml"
    space.write_text("learning_rate = { low = 1e-3, high = 0.1, log = true }\nhidden = [2, 4]\n")
    out = tmp_path / "s"
    words = ["tune", PARITY, "--out", str(out), "--trials", "2", "--space", str(space)]
    how = ["--max-steps", "4", "--watch-every", "0", "--refit"]
    result = CliRunner().invoke(main, [*words, *how])
    assert result.exit_code == 0, result.output
    for part in ("Best: trial", "best so far", "[2/2] trial 1", "Trained into"):
        assert part in result.output, part
    assert json.loads((out / "study.json").read_text())["settings"]["max_steps"] == 4
    refit = load(out / "refit")
    assert refit.config.max_steps is None
    assert refit.config.hidden == tomllib.loads((out / "best.toml").read_text())["hidden"]
    space.write_text("hiden = [2, 4]\n")
    result = CliRunner().invoke(main, [*words, "--overwrite"])
    assert result.exit_code == 2
    assert "space.toml: 'hiden' is not an option; did you mean 'hidden'?" in result.stderr
