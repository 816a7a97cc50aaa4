"""Names of options: a mistake suggests the option that is meant."""

import dataclasses
from pathlib import Path

import pytest

from recurra import Transcriber
from recurra.cells import LSTM
from recurra.cli import main
from recurra.config.options import _USUAL_NAMES, check_seed
from recurra.errors import ConfigError
from recurra.tasks.forecast.config import ForecastConfig
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.registry import TASKS, config_of


def every_option():
    """The names of all settings of the tasks, and of the options of every verb."""
    fields = {field.name for name in TASKS for field in dataclasses.fields(config_of(name))}
    group = main.list_commands(None)
    verbs = [main.get_command(None, verb) for verb in group]
    verbs.append(verbs[0].get_command(None, "language"))
    return fields | {param.name for verb in verbs for param in verb.params}


def test_each_option_with_usual_names_exists():
    assert set(_USUAL_NAMES) <= every_option()


@pytest.mark.parametrize(
    ("config", "name", "meant"),
    [
        (LanguageConfig, "lr", "learning_rate"),
        (LanguageConfig, "h", "hidden"),
        (LanguageConfig, "seq-len", "window"),
        (LanguageConfig, "RNN", "cell"),
        (LanguageConfig, "bacth_size", "batch_size"),
        (ForecastConfig, "h", "horizon"),
        (ForecastConfig, "input_size", "lookback"),
        (ForecastConfig, "futr_exog_list", "future"),
        (ForecastConfig, "random_state", "seed"),
    ],
)
def test_a_setting_by_its_usual_name_is_suggested(config, name, meant):
    with pytest.raises(ConfigError, match=f"'{name}' is not an option; did you mean '{meant}'"):
        config.of({name: 1})


def test_a_cell_given_as_a_class_says_what_names_one():
    with pytest.raises(ConfigError, match=r"it must be the name of a cell, .*package.module:Class"):
        LanguageConfig.of({"cell": LSTM})


@pytest.mark.parametrize("name", ["quiet", "x", "zeal"])
def test_a_name_like_no_option_suggests_none(name):
    with pytest.raises(ConfigError, match="known: ") as caught:
        LanguageConfig.of({name: 1})
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize("seed", [-1, 2**63, 1.5, "1", None])
def test_a_seed_that_cannot_be(seed):
    with pytest.raises(ConfigError, match=r"seed = .* from 0 to"):
        check_seed(seed)
    check_seed(2**63 - 1)


def test_a_path_is_taken_where_a_text_names_one():
    assert Transcriber(valid=Path("a") / "b.csv").config.valid == str(Path("a") / "b.csv")
    with pytest.raises(ConfigError, match="a whole number"):
        Transcriber(hidden=Path("a"))
