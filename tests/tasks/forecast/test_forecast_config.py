"""The settings of a forecaster: what they mean, and what can't be."""

import dataclasses
import subprocess
import sys

import pytest

from recurra.errors import ConfigError
from recurra.tasks.forecast.config import ForecastConfig


def test_levels_are_those_of_all_intervals_quantiles_and_the_median():
    config = ForecastConfig(horizon=1, intervals="80, 95", quantiles="0.3,0.9")
    assert config.levels == (0.025, 0.1, 0.3, 0.5, 0.9, 0.975)
    assert config.widths == (80, 95)


def test_without_intervals_the_median_is_left():
    assert ForecastConfig(horizon=1, intervals="").levels == (0.5,)


def test_look_back_and_lags_follow_season_and_horizon():
    config = ForecastConfig(horizon=40)
    assert (config.lookback_steps(24), config.lookback_steps(48)) == (80, 144)
    assert (config.lag_steps(24), config.lag_steps(1)) == ((24,), ())
    given = ForecastConfig(horizon=40, lookback=7, model="autoregressive", lags="2,9")
    assert (given.lookback_steps(24), given.lag_steps(24)) == (7, (2, 9))


def test_a_list_stands_for_a_text_with_commas():
    settings = {"model": "autoregressive", "future": ["a", "b"], "intervals": [50], "lags": (2,)}
    config = ForecastConfig.of({"horizon": 2, **settings})
    assert (config.future, config.widths, config.lag_steps(1)) == ("a,b", (50,), (2,))


def test_none_is_a_scaling_and_a_transform_and_elsewhere_the_absence():
    settings = {"scaling": "none", "transform": "none", "max_steps": "none", "max_minutes": 1}
    config = ForecastConfig.of({"horizon": 2, "schedule": "constant", **settings})
    assert (config.scaling, config.transform, config.max_steps) == ("none", "none", None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"horizon": 0}, "horizon is missing.*horizon = 24"),
        ({"horizon": -1}, "horizon = -1"),
        ({"window": 8}, "window = 8.*lookback"),
        ({"max_steps": None, "schedule": "constant"}, "no end.*max_minutes"),
        ({"intervals": "80,100"}, "intervals = '80,100'.*between 0 and 100"),
        ({"intervals": "wide"}, "intervals = 'wide'.*'80,95'"),
        ({"quantiles": "0,0.5"}, "quantiles = '0,0.5'.*between 0 and 1"),
        ({"lags": "0"}, "lags = '0'.*from 1"),
        ({"lags": "1.5"}, "lags = '1.5'"),
        ({"model": "deepar"}, "deepar.*autoregressive"),
        ({"model": "autoregressive", "past": "wind"}, "past = 'wind'.*future"),
        ({"horizons": 3}, "horizons.*horizon"),
    ],
)
def test_what_cannot_be_is_named_with_its_remedy(settings, message):
    with pytest.raises(ConfigError, match=message):
        ForecastConfig.of({"horizon": 4, **settings})


def test_every_setting_is_described():
    fields = dataclasses.fields(ForecastConfig)
    assert len(fields) > 40
    assert all(field.metadata["help"] for field in fields)


def test_settings_are_read_without_torch():
    lines = "import sys, recurra.tasks.forecast.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", lines], check=False).returncode == 0


def test_a_fifth_is_held_back_between_two_horizons_or_one_and_twenty():
    config = ForecastConfig(horizon=10)
    assert [config.held_steps([n]) for n in (39, 40, 200, 9000)] == [10, 20, 40, 200]
    assert config.held_steps([20, 500, 9000]) == 100
    assert ForecastConfig(horizon=10, holdback=33).held_steps([9000]) == 33


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"distribution": "gaussian"}, "the auto model has none"),
        ({"lags": "2,9"}, "lags = '2,9': the auto model has none"),
        ({"model": "direct", "samples": 50}, "samples = 50: the direct model has none"),
        ({"model": "direct", "segment": 6}, "choose model = 'segments' or 'smoothing'"),
        ({"model": "autoregressive", "components": 5}, "only a mixture has components"),
        ({"schedule": "constant", "final_learning_rate": 0.5}, "only the cosine has a final rate"),
        ({"model": "autoregressive", "loss": "mae"}, "its likelihood alone"),
        ({"horizon": -3}, "a whole number from 1 on"),
        ({"lags": "1,foo"}, "24,168"),
    ],
)
def test_options_that_would_do_nothing_or_cannot_be_are_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        ForecastConfig(**{"horizon": 4, **settings})


def test_final_steps_begin_with_the_final_rate_of_any_schedule():
    given = {"schedule": "constant", "final_learning_rate": 0.5, "final_steps": 9}
    assert ForecastConfig(horizon=4, **given).final_learning_rate == 0.5
