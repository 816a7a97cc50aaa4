"""How the weights of a model start, and recurrent matrices that stay orthogonal."""

from torch import nn
from torch.nn.utils import parametrizations

from recurra.errors import ConfigError
from recurra.nn import init
from recurra.tasks.long_range.config import LongRangeConfig

__all__ = ["initialise", "keep_orthogonal"]


def initialise(recurrent: nn.Module, config: LongRangeConfig) -> None:
    """Start the weights as `init` and `forget_bias` say; ConfigError where the cell can't."""
    if "orthogonal" in config.initialisers:
        init.orthogonal_(recurrent)
    if "identity" in config.initialisers:
        init.identity_(recurrent)
    if "chrono" in config.initialisers:
        init.chrono_(recurrent, config.steps)
    if "chrono-constant" in config.initialisers:
        init.chrono_(recurrent, config.steps, spread=False)
    if config.forget_bias is not None:
        init.forget_bias_(recurrent, config.forget_bias)


def keep_orthogonal(recurrent: nn.Module) -> None:
    """Make each recurrent matrix orthogonal, now and in training; ConfigError if one isn't square.

    A matrix of several gates is taller than wide, and has no orthogonal form as a whole.
    """
    for owner, name, weight in _recurrent_matrices(recurrent):
        if weight.dim() != 2 or weight.shape[0] != weight.shape[1]:
            shape = " x ".join(map(str, weight.shape))
            raise ConfigError(
                f"orthogonal = true: {name} is {shape}, and only a square matrix stays orthogonal; "
                "take a cell with one gate, such as rnn, or init = 'orthogonal', which is for each "
                "gate."
            )
        parametrizations.orthogonal(owner, name)


def _recurrent_matrices(recurrent: nn.Module) -> list[tuple[nn.Module, str, nn.Parameter]]:
    """Each parameter named U_l..., with the module that holds it."""
    found = [
        (module, name, parameter)
        for module in recurrent.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if name.startswith("U_l")
    ]
    if not found:
        raise ConfigError(
            "orthogonal = true, and the cell has no recurrent matrix U; leave it out."
        )
    return found
