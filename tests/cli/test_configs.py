"""The files in configs/: each says what it is for, and is made of known settings."""

import tomllib
from pathlib import Path

import pytest

from recurra.tasks.language.config import LanguageConfig

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.toml"))


def test_they_are_all_here():
    assert {"demo.toml", "ptb.toml", "shakespeare.toml"} <= {path.name for path in CONFIGS}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_configuration_tells_its_command_metric_and_hardware(path):
    text = path.read_text()
    header = [line for line in text.splitlines() if line.startswith("#")]
    assert text.startswith("#")
    for word in ("command", "metric", "hardware"):
        assert any(line.removeprefix("#").split()[:1] == [word] for line in header)
    assert f"configs/{path.name}" in text
    LanguageConfig.of(tomllib.loads(text))
