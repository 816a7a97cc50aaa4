"""Settings of recurrent layers: the grammar of `init`, and settings that contradict each other."""

import dataclasses
import subprocess
import sys

import pytest

from recurra.config.task_config import NetworkConfig, read_initialisers
from recurra.errors import ConfigError


def test_importing_it_loads_no_torch():
    code = "import sys, recurra.config.task_config; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_every_field_has_help():
    assert all(field.metadata["help"] for field in dataclasses.fields(NetworkConfig))


@pytest.mark.parametrize(
    ("init", "found"),
    [
        (None, ()),
        ("", ()),
        ("orthogonal, forget-bias:2.5", (("orthogonal", 1.0), ("forget-bias", 2.5))),
        ("chrono:150,identity:0.5", (("chrono", 150.0), ("identity", 0.5))),
        ("chrono-constant,orthogonal:-1", (("chrono-constant", None), ("orthogonal", -1.0))),
        ("chrono", (("chrono", None),)),
        ("forget-bias", (("forget-bias", 1.0),)),
    ],
)
def test_initialisers(init, found):
    assert NetworkConfig(init=init).initialisers == found == read_initialisers(init)


@pytest.mark.parametrize(
    ("init", "text"),
    [
        ("chroni", "'chroni' is not an initialiser; allowed, .* chrono"),
        ("chrono:2", "with STEPS a whole number from 3 to 1,000,000,000"),
        ("chrono:5e21", "with STEPS a whole number from 3 to 1,000,000,000"),
        ("chrono-constant:3.5", "'chrono-constant:3.5'"),
        ("chrono:nan", "'chrono:nan'"),
        ("chrono:inf", "'chrono:inf'"),
        ("orthogonal:", "'orthogonal:'"),
        ("identity:inf", "'identity:inf'"),
        ("forget_bias:1", "'forget_bias:1'"),
        ("orthogonal,", "'' is not an initialiser"),
        ("orthogonal, identity", "orthogonal and identity set the same weights"),
        ("chrono:9, forget-bias", "chrono and forget-bias set the same weights"),
        ("chrono, chrono-constant", "chrono and chrono-constant set the same weights"),
        ("orthogonal, orthogonal", "orthogonal and orthogonal set the same weights"),
    ],
)
def test_an_invalid_initialiser(init, text):
    with pytest.raises(ConfigError, match=f"init = '{init}': .*{text}"):
        NetworkConfig(init=init)


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"orthogonal": True, "init": "orthogonal:2"}, "matrices that stay orthogonal have"),
        ({"orthogonal": True, "init": "identity:0.5"}, "write init = 'identity'"),
        ({"orthogonal": True, "weight_drop": 0.5}, "isn't orthogonal; leave one of the two out"),
        ({"dilation": 2}, "dilation = 2 with layers = 1: the lowest layer reads the step before"),
        ({"dilation": 0}, "dilation = 0; it must be a whole number at least 1"),
        ({"skip": "dense-ish"}, "skip = 'dense-ish'; it must be 'none' or 'residual' or"),
    ],
)
def test_settings_that_contradict_each_other(settings, text):
    with pytest.raises(ConfigError, match=text):
        NetworkConfig(**settings)
