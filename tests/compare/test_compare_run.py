"""A comparison as a directory: begun, gone on with, replaced, refused."""

import json
from dataclasses import asdict

import pytest
from compare_toys import outcome, tiny

from recurra.compare import compare, processes
from recurra.compare.folder import Folder
from recurra.compare.plan import plan
from recurra.errors import ConfigError, DataError, MissingExtra, RunError, TrainingError


def no_matplotlib():
    raise MissingExtra("matplotlib", "plot", "A picture")


@pytest.fixture
def crew(monkeypatch):
    """Instead of processes: outcomes at once, without pictures; who was asked for is kept."""
    asked = []
    monkeypatch.setattr("recurra.compare.report.require_matplotlib", no_matplotlib)

    def carry_out_all(orders, jobs, *, tell, ended):
        for order in orders:
            asked.append(order.trial.name)
            if order.trial.name == getattr(carry_out_all, "breaks", None):
                raise KeyboardInterrupt
            tell(order.trial.name, {"step": 0})
            order.result.write_text(json.dumps(asdict(outcome(order.trial))))
            ended(order)

    monkeypatch.setattr("recurra.compare.run.carry_out_all", carry_out_all)
    carry_out_all.asked = asked
    return carry_out_all


def test_every_cells_first_seed_comes_before_any_second(crew, tmp_path):
    findings = compare(tiny(), out=tmp_path / "c")
    assert crew.asked == ["rnn-0", "gru-0", "rnn-1", "gru-1"]
    assert [row.entry.label for row in findings.rows] == ["rnn", "gru"]
    assert findings.missing == 0


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
    with pytest.raises(RunError, match="holds a comparison; go on with it by --resume"):
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


@pytest.mark.parametrize(
    ("script", "error", "message"),
    [
        (
            """echo '{"error": "DataError", "text": "no digits"}'; exit 2""",
            DataError,
            "^rnn-0: no di",
        ),
        ("echo oh dear >&2; exit 1", TrainingError, r"rnn-0 ended with code 1 \(oh dear\)"),
        ("kill -9 $$", TrainingError, r"rnn-0 ended with code -9 \(it was killed\)"),
    ],
)
def test_a_process_that_fails_is_told_with_its_training(
    tmp_path, monkeypatch, script, error, message
):
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(processes.sys, "executable", str(python))
    order = Folder(tmp_path / "c").order(plan(tiny(cells=["rnn"]))[0].trials[0])
    with pytest.raises(error, match=message):
        processes.carry_out_all([order], 1, tell=lambda *_: None, ended=lambda _: None)


def test_processes_are_side_by_side_and_each_is_told_of(tmp_path, monkeypatch):
    python = tmp_path / "python"
    # Each waits for the other.
    python.write_text(
        """#!/bin/sh
echo '{"step": 1}'
touch $$.here
while [ $(ls *.here | wc -l) -lt 2 ]; do sleep 0.02; done
"""
    )
    python.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(processes.sys, "executable", str(python))
    orders = [Folder(tmp_path).order(e.trials[0]) for e in plan(tiny())]
    told, ended = [], []
    tell = lambda name, line: told.append((name, line["step"]))  # noqa: E731
    processes.carry_out_all(orders, 2, tell=tell, ended=lambda o: ended.append(o.trial.name))
    assert sorted(told) == [("gru-0", 1), ("rnn-0", 1)]
    assert sorted(ended) == ["gru-0", "rnn-0"]
