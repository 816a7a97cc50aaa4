"""The output of the measurements: JSON, a table, a picture."""

import importlib.util
import json
from pathlib import Path

import pytest
from rich.console import Console

from recurra.bench import SUITES
from recurra.bench.results import as_json, check_plot, picture
from recurra.cli.bench_report import suite_table
from recurra.errors import ConfigError, MissingExtra


def test_json_holds_every_number(layers, compiling):
    text = as_json({"processor": "made up"}, {"rounds": 3}, [layers, compiling])
    told = json.loads(text)
    assert told["machine"] == {"processor": "made up"}
    assert told["options"] == {"rounds": 3}
    suite = told["suites"]["layers"]
    assert suite["peak_gflops"] == {"before": 2.0, "after": 4.0}
    assert suite["grid"] == {"batches": [2], "steps": [3], "sizes": [4, 8]}
    assert suite["layers"][0]["means"]["faster"] == pytest.approx(4)
    assert told["suites"]["compile"]["unit"] == "seconds"


def test_json_of_a_point(layers):
    point = json.loads(as_json({}, {}, [layers]))["suites"]["layers"]["points"][1]
    assert {k: point[k] for k in ("layer", "work", "batch", "steps", "size")} == (
        {"layer": "LSTM", "work": "training", "batch": 2, "steps": 3, "size": 8}
    )
    assert point["values"]["torch.nn"] == {"median": 4.0, "lower": 2.0, "upper": 8.0}
    assert point["ratios"] == {"faster": 8.0}
    assert point["share_of_peak"]["Recurra"] == pytest.approx(0.5)


def shown(result):
    console = Console(width=100)
    with console.capture() as capture:
        console.print(suite_table(result))
    return [line.split() for line in capture.get().splitlines()]


def test_table(layers):
    lines = shown(layers)
    assert ["LSTM", "training", "2", "3", "8", "4000", "500", "8.00", "50%"] in lines
    assert ["mean", "4.00", "35%"] in lines
    assert ["lowest", "2.00"] in lines


def test_table_with_a_second_ratio(own):
    assert ["LSTM", "training", "2", "3", "4", "4000", "1000", "500", "4.00", "0.50", "25%"] in (
        shown(own)
    )


def test_table_without_a_ratio(compiling):
    lines = shown(compiling)
    assert ["GRU", "first", "call", "1", "1", "4", "250"] in lines
    assert not any("mean" in line for line in lines)


def test_table_of_costs(remedies):
    lines = shown(remedies)
    assert ["LSTM", "zoneout", "2", "3", "4", "1500", "1000", "+50%"] in lines
    assert ["LSTM", "dropout", "2", "3", "4", "900", "1000", "-10%"] in lines
    assert not any("mean" in line for line in lines)


def test_picture_shows_ratios_and_shares(layers):
    figure = picture([layers], "made up")
    ratio, share = figure.axes
    assert [bar.get_height() for bar in ratio.patches] == pytest.approx([2, 8, 3])
    assert [bar.get_height() for bar in share.patches] == pytest.approx([25, 50, 25])
    assert "LSTM" in ratio.get_title(loc="left")


def test_picture_leaves_out_suites_without_a_ratio(layers, own, compiling):
    assert len(picture([layers, own, compiling], "made up").axes) == 4


def test_picture_of_costs(layers, remedies):
    *_, costs = picture([layers, remedies], "made up").axes
    assert [bar.get_width() for bar in costs.patches] == pytest.approx([50, -10])
    assert [label.get_text() for label in costs.get_yticklabels()] == ["zoneout", "dropout"]


def test_a_plot_that_cannot_be(monkeypatch):
    with pytest.raises(ConfigError, match=r"p\.txt: the name of a plot ends in \.png"):
        check_plot(Path("p.txt"), [SUITES["layers"]])
    with pytest.raises(ConfigError, match="No ratio to draw in compile;"):
        check_plot(Path("p.png"), [SUITES["compile"]])
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pip install 'recurra\[plot\]'"):
        check_plot(Path("p.png"), [SUITES["layers"]])
