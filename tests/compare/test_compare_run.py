"""A comparison as a directory: begun, resumed, replaced, refused."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest
from compare_toys import outcome, tiny

from recurra.compare import compare
from recurra.compare.comparison import comparison_at
from recurra.compare.outcomes import Folder
from recurra.compare.trial_process import TrialProgress, outcome_of
from recurra.compare.trials import Trial, plan
from recurra.errors import ConfigError, MissingExtra, RunError
from recurra.processes import run_jobs


def no_matplotlib():
    raise MissingExtra("matplotlib", "plot", "A picture")


@pytest.fixture
def crew(monkeypatch):
    """Instead of processes: outcomes at once, without pictures; the jobs' names are recorded."""
    asked = []
    monkeypatch.setattr("recurra.compare.findings.require_matplotlib", no_matplotlib)

    def run_jobs(jobs, workers, *, progress, ended):
        for job in jobs:
            asked.append(job.name)
            if job.name == getattr(run_jobs, "breaks", None):
                raise KeyboardInterrupt
            progress(job.name, {"step": 0})
            trial = run_jobs.trials[job.name] = Trial(**job.arguments["trial"])
            diverged = "At step 2" if job.name in run_jobs.diverging else None
            found = outcome(trial, run_jobs.losses.get(job.name, 0.5), diverged)
            Path(job.arguments["outcome"]).write_text(json.dumps(asdict(found)))
            ended(job, None)

    monkeypatch.setattr("recurra.compare.comparison_run.run_jobs", run_jobs)
    run_jobs.asked, run_jobs.trials, run_jobs.losses, run_jobs.diverging = asked, {}, {}, ()
    return run_jobs


def test_every_cells_first_seed_comes_before_any_second(crew, tmp_path):
    findings = compare(tiny(), out=tmp_path / "c")
    assert crew.asked == ["rnn-0", "gru-0", "rnn-1", "gru-1"]
    assert [result.entry.label for result in findings.results] == ["rnn", "gru"]
    assert findings.missing == 0


RATES = [1e-3, 1e-2, 1e-1]


def test_every_cell_gets_the_learning_rate_of_its_best_validation(crew, tmp_path):
    crew.losses = {"rnn-rate-0.001": 0.1, "gru-rate-0.1": 0.15, "gru-rate-0.001": 0.18}
    findings = compare(tiny(rates=RATES, seeds=1, steps=7), out=tmp_path / "c")
    searched = ["rnn-rate-0.001", "gru-rate-0.001", "rnn-rate-0.01", "gru-rate-0.01"]
    assert crew.asked == [*searched, "rnn-rate-0.1", "gru-rate-0.1", "rnn-0", "gru-0"]
    assert [result.learning_rate for result in findings.results] == [0.001, 0.1]
    assert crew.trials["gru-rate-0.01"].settings["max_steps"] == 3  # a third of 7, rounded up
    assert crew.trials["gru-0"].settings["max_steps"] == 7
    table = (tmp_path / "c/table.md").read_text()
    assert "rnn 0.001 (the lowest), gru 0.1 (the highest)" in table


def test_a_search_is_resumed_where_it_stopped(crew, tmp_path):
    crew.breaks = "gru-rate-0.01"
    with pytest.raises(KeyboardInterrupt):
        compare(tiny(rates=RATES), out=tmp_path / "c")
    crew.breaks = None
    crew.asked.clear()
    compare(tiny(rates=RATES), out=tmp_path / "c", resume=True)
    assert crew.asked[:3] == ["gru-rate-0.01", "rnn-rate-0.1", "gru-rate-0.1"]
    crew.asked.clear()
    again = compare(comparison_at(tmp_path / "c"), out=tmp_path / "c", resume=True)
    assert crew.asked == []
    assert again.missing == 0


def test_a_rate_that_diverges_is_not_the_best(crew, tmp_path):
    crew.diverging = {"rnn-rate-0.1"}
    crew.losses = {"rnn-rate-0.1": 0.0, "rnn-rate-0.01": 0.1, "rnn-rate-0.001": 0.15}
    findings = compare(tiny(rates=RATES, cells=["rnn"]), out=tmp_path / "c")
    assert findings.results[0].learning_rate == 0.01


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rates": [1e-3]}, "give two learning rates or more"),
        ({"rates": [1e-3, 1e-3]}, "all different"),
        ({"rates": [1e-3, -1]}, "above 0"),
        ({"rates": ["fast", 1]}, "a list of learning rates"),
        ({"rates": 1e-3}, "a list of learning rates"),
        ({"rates": RATES, "learning_rate": 1}, "learning_rate is set for all"),
        ({"rates": RATES, "cells": {"gru": {"learning_rate": 1}}}, "is set for gru"),
    ],
)
def test_rates_that_can_not_be_searched(settings, words):
    with pytest.raises(ConfigError, match=words):
        tiny(**settings)


def test_nothing_is_tested_in_a_search(tmp_path):
    trial = plan(tiny(cells=["gru"], rates=RATES, seeds=1, steps=3))[0].search[0]
    found = outcome_of(trial, tmp_path / "run", TrialProgress(lambda **line: None))
    assert (found.test, found.steps, found.diverged) == ({}, 1, None)
    assert found.best_validation == min(loss for _, loss in found.curve)


def test_what_has_ended_is_not_done_again(crew, tmp_path):
    crew.breaks = "rnn-1"
    with pytest.raises(KeyboardInterrupt):
        compare(tiny(), out=tmp_path / "c")
    assert "2 trainings have not ended" in (tmp_path / "c" / "table.md").read_text()
    crew.breaks = None
    crew.asked.clear()
    assert compare(tiny(), out=tmp_path / "c", resume=True).missing == 0
    assert crew.asked == ["rnn-1", "gru-1"]


def test_cells_and_seeds_may_be_added(crew, tmp_path):
    compare(tiny(), out=tmp_path / "c")
    crew.asked.clear()
    compare(tiny(cells=["rnn", "gru", "lstm"], seeds=1), out=tmp_path / "c", resume=True)
    assert crew.asked == ["lstm-0"]


def test_other_settings_are_refused(crew, tmp_path):
    compare(tiny(), out=tmp_path / "c")
    with pytest.raises(RunError, match=r"rnn-0\.json is of a training with other settings"):
        compare(tiny(length=9), out=tmp_path / "c", resume=True)


def test_a_damaged_outcome_is_named(crew, tmp_path):
    compare(tiny(), out=tmp_path / "c")
    (tmp_path / "c" / "outcomes" / "gru-1.json").write_text("{}")
    with pytest.raises(RunError, match=r"gru-1\.json is damaged; delete it"):
        compare(tiny(), out=tmp_path / "c", resume=True)


def test_a_comparison_is_replaced_only_when_asked_to(crew, tmp_path):
    compare(tiny(), out=tmp_path / "c")
    with pytest.raises(RunError, match="holds a comparison; resume it with --resume"):
        compare(tiny(length=9), out=tmp_path / "c")
    compare(tiny(length=9, seeds=1), out=tmp_path / "c", overwrite=True)
    assert len(list((tmp_path / "c" / "outcomes").iterdir())) == 2


def test_what_is_no_comparison_is_never_deleted(crew, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="holds files that are not a comparison"):
        compare(tiny(), out=tmp_path, overwrite=True)
    assert (tmp_path / "mine.txt").exists()


def test_resumed_or_overwritten(tmp_path):
    with pytest.raises(ConfigError, match="give one of the two"):
        compare(tiny(), out=tmp_path / "c", resume=True, overwrite=True)


def test_a_job_trains_and_writes_its_outcome(tmp_path):
    folder = Folder(tmp_path / "c")
    folder.begin({}, resume=False, overwrite=False)
    entries = plan(tiny(cells=["gru"], seeds=1))
    steps = []
    run_jobs(
        [folder.job(entries[0].trials[0])],
        1,
        progress=lambda name, line: steps.append((name, line["step"])),
        ended=lambda job, result: None,
    )
    assert folder.outcomes([t for e in entries for t in e.trials])["gru-0"].steps == 2
    assert steps[0] == ("gru-0", 0)
