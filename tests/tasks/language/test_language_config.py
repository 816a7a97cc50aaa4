"""Settings: every one is described, checked and named when it is wrong."""

import dataclasses

import pytest

from recurra.errors import ConfigError
from recurra.tasks.language.config import LanguageConfig


def test_every_setting_is_described():
    for field in dataclasses.fields(LanguageConfig):
        assert field.metadata["help"], field.name


def test_an_unknown_setting_suggests_the_nearest():
    with pytest.raises(ConfigError, match=r"hiden.*did you mean 'hidden'"):
        LanguageConfig.of({"hiden": 3})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("level", "letter"),
        ("hidden", 0),
        ("hidden", 1.5),
        ("layers", -1),
        ("dropout", 1.0),
        ("valid_fraction", 1.0),
        ("min_count", 0),
        ("epochs", "many"),
        ("tie_embeddings", 1),
        ("zoneout", 0.96),
        ("weight_drop", -0.1),
        ("activation_penalty", -1.0),
        ("learn_initial_state", 0.5),
        ("init", 3),
    ],
)
def test_a_value_that_cannot_be_is_named(name, value):
    with pytest.raises(ConfigError, match=name):
        LanguageConfig.of({name: value})


def test_none_takes_a_setting_away():
    assert LanguageConfig.of({"clip_norm": "none"}).clip_norm is None


def test_settings_survive_json():
    config = LanguageConfig(data=("a", "b"), clip_value=0.5, level="word")
    settings = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(config).items()}
    assert LanguageConfig.of(settings) == config


def test_remedies_survive_json():
    config = LanguageConfig(zoneout=0.1, learn_initial_state=True, init="chrono:9")
    settings = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(config).items()}
    assert LanguageConfig.of(settings) == config


def test_a_text_has_no_length_for_chrono():
    with pytest.raises(ConfigError, match=r"init = 'chrono': a text has no .*: chrono:128"):
        LanguageConfig.of({"init": "chrono"})


def test_a_language_model_reads_forwards():
    with pytest.raises(ConfigError, match="bidirectional = true: a language model predicts"):
        LanguageConfig.of({"bidirectional": True})
