"""TrainingConfig and building a configuration from a mapping."""

import dataclasses
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from recurra.config.training_config import (
    TrainingConfig,
    check_options,
    config_from_mapping,
    new_default,
    option,
)
from recurra.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class Example:
    name: str
    files: tuple[str, ...] = option((), "files")
    where: Path | None = option(None, "a folder")  # noqa: RUF009  it gives a field
    share: float = option(0.1, "a share", minimum=0, maximum=1)


def test_importing_it_loads_no_torch():
    code = "import sys; from recurra.config.training_config import TrainingConfig; TrainingConfig()"
    code += "; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_every_field_has_help():
    assert all(field.metadata["help"] for field in dataclasses.fields(TrainingConfig))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs = 0; it must be a whole number at least 1."),
        ({"epochs": 2.5}, "epochs = 2.5; it must be a whole number at least 1."),
        ({"epochs": True}, "epochs = True; it must be a whole number at least 1."),
        ({"max_steps": -1}, "max_steps = -1; .* at least 1, or left out."),
        ({"learning_rate": 0}, "learning_rate = 0; it must be a number above 0."),
        ({"learning_rate": float("nan")}, "learning_rate = nan; it must be a number above 0."),
        ({"clip_norm": float("inf")}, "clip_norm = inf"),
        ({"optimizer": "adam"}, "optimizer = 'adam'; it must be 'adamw' or 'sgd'."),
        ({"final_learning_rate": 2}, "at least 0 and at most 1"),
        ({"tensorboard": 1}, "tensorboard = 1; it must be true or false."),
        ({"momentum": 0.9}, "only 'sgd' has momentum"),
        ({"decay_all": True}, "decay_all = true with weight_decay = 0: nothing would decay"),
        ({"final_learning_rate": 0.5}, "schedule = 'constant'; only the cosine has a final rate"),
        ({"warmup_steps": 9, "max_steps": 8}, "warmup_steps = 9, and the training has 8 steps"),
        ({"best": "accuracy"}, "best = 'accuracy'; it must be NAME:min or NAME:max"),
        ({"best": ":max"}, "best = ':max'; it must be NAME:min or NAME:max"),
    ],
)
def test_wrong_values(given, message):
    with pytest.raises(ConfigError, match=message):
        TrainingConfig(**given)


def test_a_mapping_becomes_a_config():
    found = config_from_mapping(TrainingConfig, {"epochs": 3, "learning_rate": 1, "clip_norm": 2})
    assert found == TrainingConfig(epochs=3, learning_rate=1.0, clip_norm=2.0)
    assert isinstance(found.learning_rate, float)


def test_lists_and_paths_are_adapted():
    found = config_from_mapping(Example, {"name": "n", "files": ["a"], "where": "x/y"})
    assert found == Example(name="n", files=("a",), where=Path("x/y"))


def test_none_is_none_where_there_may_be_none():
    assert config_from_mapping(TrainingConfig, {"clip_norm": "none"}).clip_norm is None
    with pytest.raises(ConfigError, match="batch_size = 'none'; it must be a whole number"):
        config_from_mapping(TrainingConfig, {"batch_size": "none"})


def test_a_new_default_has_the_help_and_limits_of_the_old():
    @dataclass(frozen=True, kw_only=True)
    class Between(TrainingConfig):
        width: int = option(3, "how wide", minimum=2)

    @dataclass(frozen=True, kw_only=True)
    class Task(Between):
        window: int = new_default("window", 7)
        width: int = new_default("width", 5, help="how wide a row is")

    fields = Task.__dataclass_fields__
    assert fields["window"].metadata == TrainingConfig.__dataclass_fields__["window"].metadata
    assert fields["width"].metadata == {"help": "how wide a row is", "minimum": 2}
    assert (Task().window, Task().width, Between().width) == (7, 5, 3)
    with pytest.raises(ConfigError, match="width = 1; it must be a whole number at least 2"):
        Task(width=1)


def test_a_new_default_needs_an_inherited_field():
    with pytest.raises(TypeError, match=r"Task\.widow: there is no inherited field 'widow'"):

        class Task(TrainingConfig):
            widow: int = new_default("widow", 7)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "n", "fils": []}, "'fils' is not an option; did you mean 'files'?"),
        ({"name": "n", "zzzz": 1}, "'zzzz' is not an option; known: files, name, share, where."),
        ({}, "name is missing; it must be a text."),
        ({"name": 3}, "name = 3; it must be a text."),
        ({"name": "n", "files": [1]}, "files = .* a list, each item a text."),
        ({"name": "n", "share": "0.5"}, "share = '0.5'; it must be a number at least 0"),
    ],
)
def test_wrong_mappings(given, message):
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        config_from_mapping(Example, given)


def test_limits_are_checked_for_any_dataclass():
    with pytest.raises(ConfigError, match="share = 3"):
        check_options(Example(name="n", share=3))
