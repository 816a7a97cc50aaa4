"""Outcomes, and the findings: table, pictures and page."""

import json
from dataclasses import asdict

import pytest
from compare_toys import findings, outcome, tiny

from helpers.kill_states import KillStates, contents_of
from recurra.compare.comparison import comparison_from
from recurra.compare.findings import _curves, comparison_table, write_findings
from recurra.compare.outcomes import Folder, outcome_from
from recurra.compare.trial_process import TrialProgress, outcome_of
from recurra.compare.trials import Contest, plan
from recurra.errors import ConfigError, DataError, RunError
from recurra.training import Run


def quiet():
    return TrialProgress(lambda **line: None)


def test_an_outcome_is_kept_as_json():
    found = outcome(plan(tiny())[0].trials[1])
    assert outcome_from(json.loads(json.dumps(asdict(found)))) == found


def test_the_table_has_mean_and_spread_over_seeds():
    table = comparison_table(findings(tiny()))
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert (row["cell"], row["H"], row["test loss"]) == ("rnn", "3", "0.150 ± 0.071")
    assert (row["best seed"], row["steps/s"], row["memory, MiB"]) == ("0.100", "2.5", "6")
    assert (row["minutes"], row["horizon"]) == ("1.0", "3 → ≥ 7")
    assert (table.others[0][0], table.others[0][3]) == ("by chance", "0.167")


def test_published_figures_stand_below():
    table = comparison_table(findings(tiny(length=600)))
    shown = {line[0].partition(" ")[0]: line[3] for line in table.others}
    assert shown == {
        "by": "0.167",
        "LSTM": "0.164",
        "GRU": "5.3e-05",
        "RNN": "0.177",
        "TCN": "5.8e-05",
    }


def test_a_problem_of_classes_is_told_in_shares():
    table = comparison_table(findings(tiny(problem="temporal-order", length=10)))
    assert table.columns[3] == "test accuracy"
    assert table.rows[0][3] == "50.0 % ± 0.0 %"
    assert table.others[0][3] == "25.0 %"


def test_what_diverged_is_told_and_takes_no_part_in_the_mean():
    table = comparison_table(findings(tiny(), bad=("rnn-1", "gru-0", "gru-1")))
    assert table.rows[0][3] == "0.100 (1 of 2 diverged)"
    assert table.rows[1][3:5] == ("2 of 2 diverged", "-")


SHARES = {"problem": "temporal-order", "length": 10}


@pytest.mark.parametrize(
    ("settings", "losses", "note"),
    [
        ({}, (0.5, 0.2), "no cell is better than chance (0.167), so their order"),
        ({}, (0.5, 0.1), "not better than chance (0.167): rnn"),
        ({}, (0.5, 1 / 6), "no cell is better than chance (0.167)"),
        ({}, (0.1, 0.1), None),
        ({}, (None, None), None),
        (
            SHARES,
            (0.2, 0.9),
            "not better than chance (25.0 %): rnn",
        ),
        (
            SHARES,
            (0.2, 0.25),
            "no cell is better than chance (25",
        ),
    ],
)
def test_cells_no_better_than_chance_are_said(settings, losses, note):
    found = findings(tiny(**settings))
    for result, value in zip(found.results, losses, strict=True):
        for each in result.outcomes:
            each.test.clear()
            each.test.update({} if value is None else dict.fromkeys(("loss", "accuracy"), value))
    said = [text for text in comparison_table(found).notes if "than chance" in text]
    assert len(said) == (note is not None)
    assert note is None or said[0].startswith(note)


def test_what_has_not_ended_is_told():
    table = comparison_table(findings(tiny(), missing=("rnn-0", "rnn-1")))
    assert "2 trainings have not ended yet" in table.notes
    assert table.rows[0][3:] == ("-",) * 6


def test_markdown_has_every_row():
    found = findings(tiny())
    lines = comparison_table(found).markdown().splitlines()
    assert lines[2].startswith("| rnn | 3 |")
    assert len({line.count("|") for line in lines[:5]}) == 1


@pytest.mark.parametrize("bad", [(), ("rnn-0", "rnn-1", "gru-0", "gru-1")])
def test_everything_is_written(tmp_path, bad):
    folder, found = Folder(tmp_path / "c"), findings(tiny(length=600), bad=bad)
    folder.begin({}, resume=False, overwrite=False)
    write_findings(folder, found)
    names = {path.name for path in folder.path.iterdir() if path.is_file()}
    made = {"table.json", "table.md", "report.html", "curves.png", "curves.svg", "table.png"}
    made |= {"flow_at_start.png"} if bad else {"flow_at_start.png", "flow.png"}
    assert names == {*made, "comparison.json"}
    page = (folder.path / "report.html").read_text()
    assert page.count("<svg") == (2 if bad else 3)
    assert ("<h2>Diverged</h2>" in page) == bool(bad)
    assert json.loads((folder.path / "table.json").read_text())["rows"][0]["diverged"] == sum(
        name.startswith("rnn") for name in bad
    )


def test_the_curves_have_a_line_for_each_cell_and_each_level():
    axes = _curves(findings(tiny(length=600))).axes[0]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["rnn", "gru"]
    solid = [line for line in axes.lines if line.get_linestyle() == "-"]
    assert [list(line.get_ydata()) for line in solid] == [[0.2, pytest.approx(0.15)]] * 2
    assert len([line for line in axes.lines if line.get_linestyle() == "--"]) == 5


def test_cells_have_the_same_colours_in_all_pictures(tmp_path, monkeypatch):
    drawn = []

    def draw(figure, label):
        drawn.append(figure)
        return f"<svg>{label}</svg>"

    monkeypatch.setattr("recurra.compare.findings.image", lambda *given: b"")
    monkeypatch.setattr("recurra.compare.findings.svg", draw)
    folder = Folder(tmp_path / "c")
    folder.begin({}, resume=False, overwrite=False)
    write_findings(folder, findings(tiny(), bad=("rnn-0", "rnn-1")))
    curves, before, after = (
        {line.get_label().removesuffix(": diverged"): line for line in figure.axes[0].lines}
        for figure in drawn
    )
    assert list(before["rnn"].get_xdata()) == [0, 3]  # of the seed in the middle
    assert list(before["gru"].get_ydata()) == [1.0, 0.001]
    assert "rnn" not in after
    for name, figure in (("rnn", before), ("gru", before), ("gru", after)):
        assert figure[name].get_color() == curves[name].get_color()


def test_without_matplotlib_the_page_says_how_to_have_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    folder = Folder(tmp_path / "c")
    folder.begin({}, resume=False, overwrite=False)
    write_findings(folder, findings(tiny()))
    assert "pip install" in (folder.path / "report.html").read_text()
    assert not (folder.path / "curves.png").exists()


def test_a_comparison_that_is_killed_as_it_begins_is_begun_again(tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="holds files that are not a comparison"):
        Folder(tmp_path / "c").begin({"a": 1}, resume=True, overwrite=True)
    (tmp_path / "c" / "mine.txt").unlink()
    with KillStates(tmp_path / "c", tmp_path / "first") as first:
        Folder(tmp_path / "c").begin({"a": 1}, resume=False, overwrite=False)
    whole = contents_of(tmp_path / "c")
    (tmp_path / "c" / "outcomes" / "gru-0.json").write_text("{}")
    (tmp_path / "c" / "report.html").write_text("old")
    with KillStates(tmp_path / "c", tmp_path / "next") as following:
        Folder(tmp_path / "c").begin({"a": 1}, resume=False, overwrite=True)
    assert min(len(first.paths), len(following.paths)) > 4
    for path in first.paths[:-1] + following.paths[2:-1]:  # of the next, two are still the old one
        Folder(path).begin({"a": 1}, resume=False, overwrite=False)
        assert contents_of(path) == whole
    for path in (first.paths[-1], following.paths[0], following.paths[-1]):
        with pytest.raises(RunError, match="resume it with --resume"):
            Folder(path).begin({"a": 1}, resume=False, overwrite=False)


def test_a_training_that_was_killed_as_its_run_was_made_is_trained(tmp_path):
    trial = plan(tiny(cells=["gru"]))[0].trials[0]
    with KillStates(tmp_path / "run", tmp_path / "killed") as killed:
        Run.create(tmp_path / "run", {})
    unmade = next(path for path in killed.paths if (path / "manifest.json").exists())
    assert outcome_of(trial, unmade, quiet()).steps == 2


def test_a_training_and_its_outcome(tmp_path, monkeypatch):
    monkeypatch.setattr("recurra.compare.trial_process.reset_peak_memory", lambda: 300)
    monkeypatch.setattr("recurra.compare.trial_process.peak_memory", lambda: 1000)
    trial = plan(tiny(cells=["gru"]))[0].trials[0]
    found = outcome_of(trial, tmp_path / "run", quiet())
    assert (found.name, found.key, found.steps, found.diverged) == ("gru-0", trial.key(), 2, None)
    assert found.test.keys() == {"loss"}
    assert found.curve[-1] == (2, pytest.approx(found.curve[-1][1]))
    assert found.horizon_at_start.steps <= 7
    assert len(found.horizon_at_start.norms) == 8
    assert found.bytes == 700  # above what the process took before
    assert found.steps_per_second > 0


def test_a_training_that_diverges_is_an_outcome(tmp_path):
    wild = {"learning_rate": 1e30, "clip_norm": "none", "steps": 5}
    trial = plan(tiny(cells=["rnn_relu"], **wild))[0].trials[0]
    found = outcome_of(trial, tmp_path / "run", quiet())
    assert "the loss is" in found.diverged
    assert found.test == {}
    assert 0 < found.steps < 5
    assert found.horizon is None


def test_a_language_model_and_its_outcome(tmp_path):
    (tmp_path / "a.txt").write_text("to be or not to be, that is the question\n" * 20)
    settings = {"problem": "language", "data": [str(tmp_path / "a.txt")], "window": 4, "steps": 2}
    settings |= {"cells": ["rnn"], "hidden": 3, "batch_size": 2, "seeds": 1}
    trial = plan(comparison_from(settings))[0].trials[0]
    found = outcome_of(trial, tmp_path / "run", quiet())
    assert 2 < found.test["nats"] < 5
    assert found.horizon.steps <= 3


def test_a_forecaster_and_its_outcome(tmp_path):
    rows = [f"{series},{step},{series + step % 7}" for series in (1, 2) for step in range(60)]
    (tmp_path / "a.csv").write_text("\n".join(["unique_id,ds,y", *rows]))
    settings = {"problem": "forecast", "data": [str(tmp_path / "a.csv")], "model": "direct"}
    settings |= {"horizon": 3, "cells": ["rnn"], "hidden": 3, "batch_size": 2, "seeds": 1}
    trial = plan(comparison_from({**settings, "steps": 2}))[0].trials[0]
    found = outcome_of(trial, tmp_path / "run", quiet())
    assert found.test["MASE"] > 0
    assert found.horizon is not None


def test_progress_is_passed_on_a_few_times_a_second():
    told = []
    progress = TrialProgress(lambda **line: told.append(line))
    progress.start(10, 3)
    for step in range(4, 10):
        progress.update(step, 1, 0.5, 100.0, validation=0.25)
    assert told == [{"step": 3, "total": 10}, {"step": 4, "loss": 0.5, "validation": 0.25}]
    assert progress.step == 9


def of_classes(tmp_path, rows, **settings):
    """A comparison of one cell on texts whose test rows are those of `split=test`."""
    table = tmp_path / "texts.csv"
    table.write_text("text,label,split\n" + "".join(f"{text},{part}\n" for text, part in rows))
    shared = {"data": [str(table)], "where": "split=train", "cells": ["rnn"], "hidden": 3}
    more = {"problem": "classify", "steps": 2, "batch_size": 4, "seeds": 1}
    return comparison_from({**shared, **more, **settings})


ROWS = [(f"a b {name},{name}", "train") for name in ("yes", "no") for _ in range(20)]
ROWS += [("a b c,yes", "test"), ("a b d,no", "test"), ("a b e,no", "test")]


def test_a_training_is_tested_on_rows_of_its_own(tmp_path):
    comparison = of_classes(tmp_path, ROWS, test_where="split=test")
    trial = plan(comparison)[0].trials[0]
    found = outcome_of(trial, tmp_path / "run", quiet())
    assert found.test["items"] == 3
    assert found.test["accuracy"] in (1 / 3, 2 / 3)


def test_a_training_is_tested_on_a_file_of_its_own(tmp_path):
    comparison = of_classes(tmp_path, ROWS, test=str(tmp_path / "texts.csv"))
    found = outcome_of(plan(comparison)[0].trials[0], tmp_path / "run", quiet())
    assert found.test["items"] == len(ROWS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"problem": "language", "data": [__file__], "test": "none.csv"},
            r"none\.csv: no such file",
        ),
        ({"problem": "copy", "test": "a.csv"}, "copy has test sequences of its own"),
        ({"problem": "classify", "test_where": "a=b"}, "there are no files; name some to test on"),
        (
            {"problem": "forecast", "horizon": 2, "test_where": "a=b"},
            "forecast measures whole files",
        ),
    ],
)
def test_tests_that_cannot_be(settings, message):
    with pytest.raises((ConfigError, DataError), match=message):
        plan(comparison_from({"problem": "copy", "cells": ["rnn"], **settings}))


def test_a_translator_and_its_outcome(tmp_path):
    lines = [f"{a}{b}\t{b}{a}" for a in "abcdefgh" for b in "abcdefgh"]
    (tmp_path / "a.tsv").write_text("\n".join(["source\ttarget", *lines]))
    settings = {"problem": "translate", "data": [str(tmp_path / "a.tsv")], "steps": 2}
    settings |= {"cells": ["rnn"], "hidden": 3, "batch_size": 2, "seeds": 1}
    comparison = comparison_from(settings)
    trial = plan(comparison)[0].trials[0]
    found = outcome_of(trial, tmp_path / "run", quiet())
    assert Contest("translate").facts(trial.settings).measure in found.test
