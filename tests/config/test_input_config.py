"""What tasks of items share: defaults said once, batches and lengths for the data at hand."""

import pytest

from recurra.config.input_config import InputConfig, ItemEvaluation
from recurra.errors import ConfigError
from recurra.tasks.registry import TASKS, config_of

ITEMS = [config_of(task) for task in TASKS if issubclass(config_of(task), InputConfig)]


@pytest.mark.parametrize("config", ITEMS, ids=lambda config: config.task)
def test_a_batch_suits_the_data_unless_it_is_given(config):
    usual = config().usual_batch
    assert [config().batch_of(count) for count in (1, 3, 4, 60, 8000)] == [1, 3, 4, 7, usual]
    for given in (1, usual, 500):  # the usual one, too, can be asked for
        own = config(batch_size=given)
        assert [own.batch_of(count) for count in (3, 60, 8000)] == [
            min(given, count) for count in (3, 60, 8000)
        ]
        assert own.reading_batch == 2 * given
        assert config.of({"batch_size": given}) == own
    assert config().reading_batch == 2 * usual
    with pytest.raises(ConfigError, match="at least 0"):
        config(batch_size=-1)


@pytest.mark.parametrize("config", ITEMS, ids=lambda config: config.task)
def test_a_training_without_a_length_has_steps_enough(config):
    few, many = config().suited(30), config().suited(10_000)
    assert few.epochs == config.steps_wanted // 30
    assert (many.epochs, many.max_steps) == (10, config.most_steps)
    assert config().suited(2).epochs == config.most_epochs
    assert config(epochs=3).suited(30).epochs == 3
    assert config(max_steps=3).suited(30).epochs is None


@pytest.mark.parametrize("config", ITEMS, ids=lambda config: config.task)
def test_every_task_of_items_is_measured_with_the_same_options(config):
    assert issubclass(config.evaluation, ItemEvaluation)
    if config.task in ("regress", "tag"):  # of every step, on windows of long series
        return
    assert "window" in config.inapplicable
    with pytest.raises(ConfigError, match="whole items"):
        config(window=8)
