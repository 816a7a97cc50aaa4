"""README.md and report.html of a forecaster's run."""

import importlib.util

import numpy as np
import pandas
import pytest
import torch

from recurra import Forecaster
from recurra.reports import report as report_page
from recurra.tasks.forecast import ForecastWarning
from recurra.tasks.forecast.evaluation.holdout import spread_evenly
from recurra.tasks.forecast.evaluation.judge import Judgement
from recurra.tasks.forecast.facts import facts_of, headline_of, judgement_table
from recurra.tasks.forecast.figures import anomaly_figure, backtest_figures
from recurra.tasks.forecast.windows.splits import Origins

HORIZON = 7


def table():
    """Four weeks' patterns; the last series is constant, the one before it short."""
    rng = np.random.default_rng(1)
    parts = []
    for name, size in (("north", 80), ("south", 80), ("east", 80), ("short", 12), ("flat", 80)):
        y = 5 + np.sin(np.arange(size) * 2 * np.pi / 7) + rng.normal(size=size) / 3
        y = np.full(size, 2.0) if name == "flat" else y
        days = pandas.date_range("2024-01-01", periods=size)
        parts.append(pandas.DataFrame({"unique_id": name, "ds": days, "y": y}))
    frame = pandas.concat(parts)
    frame.loc[frame.index == 30, "y"] = np.nan
    return frame


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    torch.set_num_threads(1)
    out = tmp_path_factory.mktemp("forecast") / "run"
    model = Forecaster(
        horizon=HORIZON,
        model="segments",
        hidden=6,
        max_steps=8,
        ensemble=2,
        log_every=4,
        batch_size=8,
    )
    with pytest.warns(ForecastWarning):
        model.fit(table(), out=out)
    return model


@pytest.fixture(scope="module")
def card(trained):
    return (trained.run.path / "README.md").read_text()


@pytest.fixture(scope="module")
def report(trained):
    return (trained.run.path / "report.html").read_text()


def test_both_tell_the_data_and_what_was_wrong_with_them(card, report):
    for told in (
        "332",
        "4 missing",
        "a season of 7 steps",
        "2024-01-01",
        "(short)",
        "(flat)",
        "a frame",
        "rest on 8 held-out windows",
    ):
        assert told in card
        assert told in report


def test_both_have_the_verdict_and_say_what_the_windows_were_used_for(trained, card, report):
    verdict = trained.validation.judgement.verdict("recurra")
    assert verdict in card
    assert report.count(verdict.replace("'", "&#x27;").replace(" %", "&nbsp;%")) == 1
    assert report.index("class='headline'") < report.index("<svg") < report.index("<table")
    for text in (card, report):
        assert "the best weights were chosen on them" in text


def test_the_table_has_the_model_and_every_baseline(trained, card):
    rows = {line.split(" | ")[0]: line for line in card.splitlines() if line.startswith("| ")}
    mase = trained.validation.judgement.table["recurra"]["MASE"]
    headline = headline_of(trained.validation)
    assert headline.own.value == mase
    assert headline.measure == "MASE"
    assert f"{mase:.3f}" in rows["| recurra"]
    assert "| SeasonalNaive" in rows
    assert card.count("SeasonalNaive: repeating the last season") == 1
    for name in ("SeasonalNaive", "Naive2"):
        assert trained.validation.judgement.table[name]["MASE"] == pytest.approx(
            {mark.name.partition(":")[0]: mark.value for mark in headline.others}[name]
        )


def test_a_metric_that_nobody_has_is_left_out(trained):
    table = trained.validation.judgement.table
    nan = {name: {**row, "OWA": np.nan} for name, row in table.items()}
    judgement = Judgement(nan, {}, (), {})
    assert "OWA" not in judgement_table(judgement).columns
    assert "MSE" in judgement_table(judgement).columns
    assert "MSE" not in judgement_table(judgement, brief=True).columns


def test_each_member_has_a_row_and_a_curve(card, report):
    assert "| 1 | 8 | 0 |" in card
    assert "<!-- member 2: training -->" in report


def test_the_report_shows_the_worst_and_the_best(trained, report):
    ranked = trained.validation.judgement.ranked("recurra")
    panels = [draw().axes[0] for draw in backtest_figures(trained.validation, 7)]
    titles = [axes.get_title(loc="left") for axes in panels]
    assert titles == [series for series, _ in ranked]
    assert ", the worst" in panels[0].get_title(loc="right")
    assert f"<!-- {titles[0]} -->" in report


def test_the_windows_are_spread_over_all():
    many = Origins(np.repeat(np.arange(10), 100), np.tile(np.arange(100), 10))
    few = spread_evenly(many, 20)
    assert len(few.series) == 20
    assert set(few.series.tolist()) == set(range(10))
    assert spread_evenly(few, 99).cutoffs.tolist() == few.cutoffs.tolist()


def test_a_run_in_a_temporary_folder_is_not_described():
    model = Forecaster(horizon=3, model="segments", hidden=4, max_steps=1, batch_size=4)
    days = pandas.date_range("2024-01-01", periods=40)
    model.fit(pandas.DataFrame({"unique_id": "a", "ds": days, "y": np.arange(40.0) % 5}))
    assert not (model.run.path / "report.html").exists()
    assert "MASE" in model.validation.judgement.table["recurra"]


def test_series_too_short_to_hold_anything_back_are_told(tmp_path):
    days = pandas.date_range("2024-01-01", periods=9)
    data = pandas.DataFrame({"unique_id": "a", "ds": days, "y": np.arange(9.0) % 4})
    model = Forecaster(horizon=4, model="segments", hidden=4, max_steps=1, batch_size=4)
    model.fit(data, out=tmp_path / "r")
    assert model.validation is None
    assert "too short" in (tmp_path / "r/README.md").read_text()
    assert "too short" in (tmp_path / "r/report.html").read_text()


def test_without_matplotlib_a_sentence_stands_for_the_pictures(trained, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    facts = facts_of(trained._ready(), trained._own_data().panel, None, trained.validation)
    text = report_page(facts.title, facts.pictures)
    assert "<svg" not in text
    assert "recurra[plot]" in text


def test_what_comes_is_drawn_for_the_series_that_were_asked_for(trained):
    figure = trained.plot(series=["south"], horizon=3)
    axes = figure.axes[0]
    drawn = {line.get_label(): line.get_ydata() for line in axes.lines}["forecast"]
    expected = trained.predict(horizon=3).query("unique_id == 'south'")["recurra"]
    np.testing.assert_allclose(drawn[-3:], expected, rtol=1e-6)
    assert len(trained.plot().axes) >= 5


def test_the_most_surprising_series_are_drawn_first(trained):
    with pytest.warns(ForecastWarning, match="flat"):
        found = trained.anomalies(table(), last=10)
    figure = anomaly_figure(found, trained.config, most=2)
    peaks = found.groupby("unique_id")["score"].max().sort_values(ascending=False)
    assert figure.axes[0].get_title(loc="left") == peaks.index[0]
    assert len(figure.axes) == 4
