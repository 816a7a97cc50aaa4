"""Settings without torch: options with limits and help, TOML files, and those that tasks share."""

from recurra.config.options import config_from_mapping, option
from recurra.config.training_config import Metric, TrainingConfig

__all__ = ["Metric", "TrainingConfig", "config_from_mapping", "option"]
