"""torch's optimisers as the configuration names them, their tensors, and the learning rate."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from recurra.config.training import TrainingConfig
from recurra.errors import ConfigError

__all__ = ["learning_rate", "load_tensors", "make_optimizer", "set_learning_rate", "tensors"]


def make_optimizer(model: nn.Module, config: TrainingConfig) -> torch.optim.Optimizer:
    """AdamW or SGD over the parameters that want a gradient; `ConfigError` if none do."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    if not weights:
        raise ConfigError("The model has no parameter to train; give it one with requires_grad.")
    rate, decay = config.learning_rate, config.weight_decay
    # Fused: 2 to 4 times faster than torch's default on a CPU, where small models feel it.
    if config.optimizer == "sgd":
        return torch.optim.SGD(weights, rate, config.momentum, weight_decay=decay, fused=True)
    return torch.optim.AdamW(weights, rate, weight_decay=decay, fused=True)


def learning_rate(config: TrainingConfig, step: int, total: int) -> float:
    """The rate for the step after `step` steps of `total`.

    A linear rise over `warmup_steps`, then constant, or half a cosine down to the fraction
    `final_learning_rate` at `total`.

    >>> config = TrainingConfig(learning_rate=1.0, warmup_steps=4, schedule="cosine")
    >>> [round(learning_rate(config, step, 12), 2) for step in (0, 3, 4, 8, 12)]
    [0.25, 1.0, 1.0, 0.55, 0.1]
    """
    peak, warmup = config.learning_rate, config.warmup_steps
    if step < warmup:
        return peak * (step + 1) / warmup
    if config.schedule == "constant":
        return peak
    share = min(1.0, (step - warmup) / max(1, total - warmup))
    final = config.final_learning_rate
    return peak * (final + (1 - final) * (1 + math.cos(math.pi * share)) / 2)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every group."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state, named by the parameter's number and the state's name."""
    return {
        f"{number}.{name}": value
        for number, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def load_tensors(optimizer: torch.optim.Optimizer, state: dict[str, Tensor]) -> None:
    """Put back what `tensors` gave."""
    nested: dict[int, dict[str, Any]] = {}
    for key, value in state.items():
        number, name = key.split(".", 1)
        nested.setdefault(int(number), {})[name] = value
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": nested, "param_groups": groups})
