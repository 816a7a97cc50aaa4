"""What a search tries: ranges and lists, held to the task's settings."""

import re
import tomllib
from pathlib import Path

import pytest

from recurra.config.options import config_from_mapping
from recurra.errors import ConfigError
from recurra.tasks.registry import TASKS, config_of
from recurra.tuning.search_space import NumberRange, ValueList, default_space, space_from

CLASSIFY = config_of("classify")


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_default_space_whose_ends_are_settings(task):
    config = config_of(task)
    given = {"horizon": 7} if task == "forecast" else {}
    space = space_from(config, default_space(config, given), given)
    assert {"learning_rate", "hidden", "layers", "cell", "batch_size"} <= space.keys()
    for name, values in space.items():
        ends = values.values if isinstance(values, ValueList) else (values.low, values.high)
        for end in ends:
            assert getattr(config_from_mapping(config, {**given, name: end}), name) == end
        assert config.__dataclass_fields__[name].default in values, name


def test_what_is_given_is_not_searched_by_default():
    space = default_space(CLASSIFY, {"hidden": 64})
    assert "hidden" not in space
    assert "pooling" in space


def test_ranges_know_what_lies_in_them():
    steps = NumberRange(0.0, 0.6, step=0.05)
    assert 0.3 in steps
    assert 0.3 + 1e-3 not in steps
    assert 3 in NumberRange(1, 3)
    assert 4 not in NumberRange(1, 3)
    assert "gru" not in NumberRange(1, 3)
    assert str(NumberRange(1e-4, 1e-2, log=True)) == "0.0001 to 0.01 (log)"


@pytest.mark.parametrize(
    ("table", "part"),
    [
        ({}, "is empty"),
        ({"lr": [1e-3, 1e-2]}, "'lr' is not an option; did you mean 'learning_rate'"),
        ({"label_column": ["a", "b"]}, "can't be searched: .* Searchable are .*learning_rate"),
        ({"seed": [0, 1]}, "can't be searched"),
        ({"several": [True, False]}, "what they are measured on"),
        ({"hidden": 64}, "is one value"),
        ({"hidden": [64]}, "two values or more"),
        ({"hidden": [64, 64]}, "all different"),
        ({"hidden": [64, [1]]}, "a number, a text"),
        ({"hidden": [0, 64]}, "hidden = 0; it must be a whole number at least 1"),
        ({"hidden": {"low": 1.5, "high": 8}}, "hidden = 1.5; it must be a whole number"),
        ({"hidden": {"low": 8}}, "low and high must be numbers"),
        ({"hidden": {"low": 8, "hihg": 9}}, "'hihg' is not part of a range"),
        ({"hidden": {"low": 8, "high": 8}}, "low must be below high"),
        ({"hidden": {"low": 8, "high": 9, "log": 1}}, "log must be true or false"),
        ({"hidden": {"low": 8, "high": 9, "step": 2}}, "at most the range"),
        ({"dropout": {"low": 0, "high": 0.5, "log": True}}, "low must be above 0"),
        ({"dropout": {"low": 0.0, "high": 1.5}}, "dropout = 1.5; it must be a number"),
        ({"pooling": ["mean", "median"]}, "pooling = 'median'; it must be 'last'"),
        ({"cell": ["gru", "lstn"]}, "did you mean lstm"),
        ({"layers": [1, 2]}, "layers = 2 is given for all trials"),
    ],
)
def test_what_cannot_be_searched_is_refused(table, part):
    with pytest.raises(ConfigError, match=part):
        space_from(CLASSIFY, table, {"layers": 2})


@pytest.mark.parametrize(
    ("task", "name"),
    [("translate", "target_tokens"), ("translate", "model"), ("classify", "window_length")],
)
def test_what_decides_what_is_counted_is_refused(task, name):
    with pytest.raises(ConfigError, match=f"{name} can't be searched"):
        space_from(config_of(task), {name: [1, 2]}, {})


def test_the_space_of_the_document_is_one():
    page = (Path(__file__).parents[2] / "docs" / "tuning.md").read_text()
    table = tomllib.loads(re.search(r"```toml\n(.*?)```", page, re.S)[1])
    assert space_from(CLASSIFY, table, {}).keys() == table.keys()


def test_none_is_a_value_where_a_setting_may_be_none():
    assert space_from(CLASSIFY, {"clip_norm": ["none", 1.0]}, {})["clip_norm"].values[0] == "none"
    with pytest.raises(ConfigError, match="hidden = 'none'"):
        space_from(CLASSIFY, {"hidden": ["none", 1]}, {})
