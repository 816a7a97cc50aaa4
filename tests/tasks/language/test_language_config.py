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


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"min_count": 2}, "min_count = 2 with level = 'char'; only words are left out"),
        ({"level": "byte", "max_words": 9}, "max_words = 9 with level = 'byte'; only words"),
        ({"valid": "v.txt", "valid_fraction": 0.2}, "valid_fraction = 0.2: .* give one of the two"),
        ({"valid_fraction": 0, "validate_every": 9}, "validate_every = 9 with valid_fraction = 0"),
    ],
)
def test_settings_that_contradict_each_other(settings, text):
    with pytest.raises(ConfigError, match=text):
        LanguageConfig(**settings)


@pytest.mark.parametrize(
    ("windows", "length", "every"),
    [
        (1, (1000, None), 50),
        (5, (200, None), 50),  # 20 kB
        (94, (11, None), 94),
        (245, (10, None), 245),  # 1 MB
        (2000, (10, None), 2000),
        (2500, (10, 20_000), 2000),
        (24_000, (10, 20_000), 2000),  # 100 MB
    ],
)
def test_the_length_follows_the_size_of_the_text(windows, length, every):
    found = LanguageConfig().suited(windows)
    assert ((found.epochs, found.max_steps), found.validate_every or windows) == (length, every)
    assert found.patience == 5
    assert 1000 <= found.budget_of(windows).steps <= 20_000


@pytest.mark.parametrize("length", [{"epochs": 3}, {"max_steps": 9}, {"max_minutes": 2.0}])
def test_a_length_that_is_given_is_kept(length):
    found = LanguageConfig(**length).suited(5)
    assert found == LanguageConfig(**length, validate_every=50)
    assert LanguageConfig(**length).suited(100) == LanguageConfig(**length)


def test_other_settings_are_kept_where_the_length_is_chosen():
    found = LanguageConfig(patience=2, validate_every=7).suited(5)
    assert (found.patience, found.validate_every) == (2, 7)
    assert LanguageConfig(valid_fraction=0).suited(5).patience is None


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
