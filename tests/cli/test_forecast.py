"""Forecasting from the command line, as a user does it, mistakes too."""

import dataclasses
import json
import shutil

import numpy as np
import pandas
import pytest
import torch
from click.testing import CliRunner
from test_cli_errors import told

from recurra import Forecaster
from recurra.cli import main
from recurra.cli.forecast_report import _narrow
from recurra.tasks.forecast.config import ForecastEvaluation

SMALL = ("--horizon", 4, "--model", "segments", "--hidden", 5, "--max-steps", 6, "--batch-size", 8)


def table(days=60):
    rng = np.random.default_rng(2)
    y = 20 + 5 * np.sin(np.arange(days) * 2 * np.pi / 7)
    stamps = pandas.date_range("2024-01-01", periods=days)
    names = ("north", "south", "west")
    parts = [{"unique_id": name, "ds": stamps, "y": y + rng.normal(size=days)} for name in names]
    return pandas.concat(map(pandas.DataFrame, parts))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with sales.csv, and the run `run` of it; and what training printed."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("sales")
    table().to_csv(folder / "sales.csv", index=False)
    words = ["train", "forecast", folder / "sales.csv", *SMALL, "--out", folder / "run"]
    result = CliRunner().invoke(main, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture
def shop(made):
    """The forecaster's run; `run` is of the other task."""
    return made[0] / "run"


@pytest.fixture
def sales(here, made):
    shutil.copy(made[0] / "sales.csv", here)
    return here / "sales.csv"


def test_training_tells_how_good_it_is_and_what_to_do_next(made):
    folder, result = made
    for part in ("SeasonalNaive", "MASE", "calibrated on others", f"recurra forecast {folder}/run"):
        assert part in result.stdout
    verdict = result.stdout
    assert "no better than" in verdict or "beats the best baseline" in verdict
    assert (folder / "run/report.html").exists()


def test_options_are_listed_by_what_they_are_of(recurra):
    text = recurra("train", "forecast", "--help-all").stdout
    titles = ("Data:", "Forecasts:", "Model:", "Recurrent layers:", "Training:")
    places = [text.index(f"\n{title}") for title in titles]
    assert places == sorted(places)
    assert places[0] < text.index("--horizon NUMBER") < places[1] < text.index("--holdback")
    assert text.index("--holdback") < places[2] < text.index("--lookback") < places[3]
    assert places[3] < text.index("--cell") < places[4] < text.index("--clip-norm")
    assert "--window " not in text


def test_settings_from_a_file_and_notes_on_series(recurra, here):
    data = table()
    data.loc[data.unique_id == "west", "y"] = 3.0
    data.to_parquet(here / "sales.parquet")
    (here / "c.toml").write_text('horizon = 9\nmodel = "direct"\nmax_steps = 1\n')
    words = ("--config", "c.toml", "--hidden", 4, "--horizon", 3, "--batch-size", 4)
    result = recurra("train", "forecast", "sales.parquet", *words, "--out", "r")
    assert result.exit_code == 0, result.output
    assert "Note: 1 series (west) are constant" in result.stderr
    config = Forecaster.load(here / "r").config
    assert (config.horizon, config.model, config.hidden) == (3, "direct", 4)


def test_a_run_is_resumed_with_its_own_table_and_settings(recurra, made, here):
    shutil.copytree(made[0] / "run", here / "again")
    result = recurra("train", "forecast", "--resume", "--out", "again")
    assert result.exit_code == 0, result.output
    told(
        recurra("train", "forecast", "--resume", "--out", "again", "--hidden", 9),
        "hidden = 9 was given",
        "started with hidden = 5",
    )


def test_forecasts_are_those_of_python(recurra, shop, here):
    result = recurra("forecast", shop, "-o", "out.csv")
    assert result.exit_code == 0, result.output
    assert "12 forecasts of 3 series: out.csv" in result.stdout
    found = pandas.read_csv("out.csv", parse_dates=["ds"])
    pandas.testing.assert_frame_equal(found, Forecaster.load(shop).predict(), check_dtype=False)


def test_forecasts_of_new_data_as_parquet_with_a_picture(recurra, shop, here):
    table(40).to_csv(here / "new.csv", index=False)
    words = ("-o", "out.parquet", "--plot", "out.png", "--series", "south", "--horizon", 2)
    result = recurra("forecast", shop, "new.csv", *words)
    assert result.exit_code == 0, result.output
    found = pandas.read_parquet("out.parquet")
    assert found.ds.min() == pandas.Timestamp("2024-01-01") + pandas.Timedelta(days=40)
    assert len(found) == 6
    assert (here / "out.png").read_bytes().startswith(b"\x89PNG")


def test_without_a_file_the_head_is_shown(recurra, shop):
    shown = recurra("forecast", shop).stdout
    assert "The first of 12 rows" in shown
    assert "recurra-hi-95" in shown
    assert shown.count("north") == 4


def test_sample_paths(recurra, shop, here):
    assert recurra("forecast", shop, "--samples", 3, "-o", "paths.csv").exit_code == 0
    found = pandas.read_csv("paths.csv")
    assert found.sample_id.unique().tolist() == [0, 1, 2]
    assert len(found) == 3 * 4 * 3


def test_anomalies_of_the_training_table_and_of_another(recurra, shop, here):
    data = table()
    data.loc[(data.unique_id == "west") & (data.ds == "2024-02-20"), "y"] = 90.0
    data.to_csv(here / "odd.csv", index=False)
    words = ("--anomalies", "--last", 20, "-o", "a.csv", "--plot", "a.svg")
    assert recurra("forecast", shop, "odd.csv", *words).exit_code == 0
    top = pandas.read_csv("a.csv").nlargest(1, "score").iloc[0]
    assert (top.unique_id, top.ds) == ("west", "2024-02-20")
    assert "<!-- west -->" in (here / "a.svg").read_text()
    assert "The highest scores of 30 rows" in recurra(
        "forecast", shop, "--anomalies", "--last", 10
    ).stdout  # fmt: skip


def test_evaluate_forecasts_the_table_of_the_run(recurra, shop):
    numbers = json.loads(recurra("evaluate", shop, "--windows", 2, "--json").stdout)
    expected = Forecaster.load(shop).evaluate(table(), windows=2).judgement
    assert numbers["windows"] == 6
    assert numbers["table"]["recurra"]["MASE"] == pytest.approx(
        expected.table["recurra"]["MASE"], rel=1e-4
    )
    shown = recurra("evaluate", shop, "--windows", 2).stdout
    assert "Naive2" in shown
    assert expected.verdict("recurra")[:30] in shown


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("--windows", 2), "calibrated on them"),
        (("--windows", 9), "were trained on"),
        (("--windows", 3, "--step", 2), "calibrated on them"),
    ],
)
def test_evaluate_says_what_the_windows_were_used_for(recurra, shop, words, part):
    assert part in recurra("evaluate", shop, *words).stdout


def test_evaluate_tells_other_data_apart(recurra, shop, here):
    table(50).to_csv(here / "new.csv", index=False)
    assert "These values differ" in recurra("evaluate", shop, "new.csv").stdout


def test_a_backtest_trains_again(recurra, shop):
    result = recurra("evaluate", shop, "--backtest", 2, "--json")
    assert result.exit_code == 0, result.output
    numbers = json.loads(result.stdout)
    assert (numbers["windows"], numbers["remarks"]) == (6, [])


def test_a_table_that_is_gone(recurra, made, here, monkeypatch):
    folder = made[0]
    monkeypatch.chdir(folder)
    (folder / "sales.csv").rename(folder / "elsewhere.csv")
    try:
        told(recurra("evaluate", "run"), "sales.csv: no such file")
        assert recurra("evaluate", "run", "elsewhere.csv").exit_code == 0
    finally:
        (folder / "elsewhere.csv").rename(folder / "sales.csv")


TRAIN = ("train", "forecast")


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ((*TRAIN, *SMALL, "--out", "r"), ("No table to train on",)),
        ((*TRAIN, "none.csv", *SMALL, "--out", "r"), ("none.csv: no such file",)),
        ((*TRAIN, "sales.csv", "--out", "r"), ("horizon is missing",)),
        ((*TRAIN, "sales.csv", *SMALL, "--target", "z", "--out", "r"), ("no column 'z'", "y")),
        ((*TRAIN, "sales.csv", *SMALL, "--freq", "h", "--out", "r"), ("freq='h'",)),
        ((*TRAIN, "sales.csv", *SMALL, "--freq", "dd", "--out", "r"), ("freq='dd'",)),
        ((*TRAIN, "sales.csv", "--horizon", 400, "--out", "r"), ("smaller horizon",)),
        ((*TRAIN, "sales.csv", *SMALL, "--hiden", 3, "--out", "r"), ("--hidden",)),
        ((*TRAIN, "sales.csv", *SMALL, "--model", "best", "--out", "r"), ("'segments'",)),
        ((*TRAIN, "--resume", "--out", "none"), ("none does not exist",)),
        (("forecast", "nowhere"), ("nowhere does not exist",)),
        (("forecast", "sales.csv"), ("is a file and not a run",)),
        (("forecast", "RUN", "none.csv"), ("none.csv: no such file",)),
        (("forecast", "RUN", "-o", "x.txt"), ("x.txt", ".csv or .parquet")),
        (("forecast", "RUN", "-o", "none/x.csv"), ("no folder none",)),
        (("forecast", "RUN", "--plot", "x.jpg"), (".png or .svg",)),
        (("forecast", "RUN", "--horizon", 5), ("trained for 4 steps",)),
        (("forecast", "RUN", "--samples", 0), ("--samples",)),
        (("forecast", "RUN", "--seed", 2**80, "--samples", 3), ("seed = ", "2**63 - 1")),
        (("forecast", "RUN", "--seed", 1), ("draws nothing", "--samples")),
        (("forecast", "RUN", "--anomalies", "--seed", 0), ("draws nothing",)),
        (("forecast", "RUN", "--last", 3), ("--anomalies",)),
        (("forecast", "RUN", "--anomalies", "--horizon", 2), ("--horizon",)),
        (("forecast", "RUN", "--series", "west"), ("--plot",)),
        (("forecast", "RUN", "--plot", "x.png", "--series", "x"), ("no series 'x'", "west")),
        (("forecast", "RUN", "--future-data", "sales.csv"), ("--future-data",)),
        (("evaluate", "RUN", "--windows", 0), ("windows = 0", "1 or more")),
        (("evaluate", "RUN", "--refit"), ("refit is for backtest",)),
        (("evaluate", "RUN", "--adapt", 100, "--backtest", 2), ("adapt", "give backtest alone")),
        (("evaluate", "RUN", "--adapt", 0.02), ("--adapt", "whole number")),
        (("evaluate", "RUN", "--windows", 2, "--backtest", 2), ("give backtest alone",)),
        (("generate", "RUN"), ("'forecast'",)),
    ],
)
def test_a_mistake_is_told_in_a_line(recurra, shop, sales, words, parts):
    told(recurra(*[shop if word == "RUN" else word for word in words]), *parts)
    assert not (sales.parent / "r").exists()


def test_an_output_that_cannot_be_written(recurra, shop, here, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("recurra.files.write_synced", full)
    told(recurra("forecast", shop, "-o", "x.csv"), "x.csv: cannot be written", "No space")
    assert not list(here.glob("*x.csv*"))


def test_a_table_makes_room_on_a_narrow_terminal():
    names = (
        "id",
        "recurra",
        "recurra-lo-80",
        "recurra-hi-80",
        "recurra-lo-95",
        "recurra-hi-95",
        "score",
    )
    cells = {name: ["1"] for name in names}
    _narrow(cells, 60)
    assert list(cells) == ["id", "recurra", "recurra-lo-80", "recurra-hi-80", "score"]


def test_a_run_of_the_other_task_has_no_options_of_this_one(recurra, run):
    told(recurra("evaluate", run, "--windows", 2), "There is no option --windows")
    told(recurra("forecast", run), "'language'")


def test_the_help_of_evaluate_lists_the_options_of_the_runs_task(recurra, shop):
    text = recurra("evaluate", shop, "--help").stdout
    assert text.index("Options of the run's task:") < text.index("--backtest NUMBER")
    assert "Options of the run's task" not in recurra("evaluate", "--help").stdout
    for field in dataclasses.fields(ForecastEvaluation):
        assert f"--{field.name}" in text


def test_a_forecasters_run_is_inspected(recurra, shop):
    result = recurra("inspect", shop, "--rows", 2)
    assert result.exit_code == 0, result.output
    assert "horizon" in result.stdout
    assert "<h2>Verdicts</h2>" in (shop / "report.html").read_text()
