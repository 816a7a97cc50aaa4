"""From a configuration to recurrent layers, their initial weights, and penalties on their outputs.

A network is made in two steps, so that everything else in it is drawn the same however its
recurrent layers start:

    self.recurrent = recurrent_layers(config, input_size)
    self.head = nn.Linear(self.recurrent.output_size, outputs)
    initialise(self.recurrent, config, steps=steps)  # last
"""

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from recurra.cells import load
from recurra.config.task_config import Initialiser, NetworkConfig
from recurra.errors import CellError, ConfigError
from recurra.nn import Recurrent, Stack, activation_penalty, init, temporal_activation_penalty
from recurra.nn.init.stored_parameters import layer_parameters

__all__ = ["ActivationPenalties", "initialise", "penalised", "recurrent_layers"]


def recurrent_layers(config: NetworkConfig, input_size: int) -> Recurrent | Stack:
    """The layers for steps of `input_size` values, drawn as their cell says; then `initialise`.

    `Recurrent` where it can do what is asked for, else `Stack`.

    Raises ConfigError or CellError where the cell can't have a remedy.

    >>> recurrent_layers(NetworkConfig(cell="lstm", hidden=8, layers=2, dropout=0.5), 3)
    Recurrent(LSTM(), 3, 8, num_layers=2, dropout=0.5)
    """
    cell = load(config.cell)
    if cell.sizes.get("x") == "hidden_size" and input_size != config.hidden:
        raise CellError(
            f"cell = {config.cell!r} takes as many inputs as it has hidden units, and here it has "
            f"{input_size} and hidden = {config.hidden}; give hidden = {input_size}, or another "
            "cell."
        )
    sizes = (cell, input_size, config.hidden, config.layers)
    skip, norm = (None if how == "none" else how for how in (config.skip, config.norm))
    if skip is None and norm is None and config.dilation == 1:
        return Recurrent(
            *sizes,
            bidirectional=config.bidirectional,
            dropout=config.dropout_between_layers,
            output_dropout=config.output_dropout,
            **config.layer_options,
        )
    return Stack.of(
        *sizes,
        bidirectional=config.bidirectional,
        dilation=[config.dilation**layer for layer in range(config.layers)],
        layer_options=config.layer_options,
        skip=skip,
        norm=norm,
        dropout=config.dropout_between_layers,
        output_dropout=config.output_dropout,
    )


def initialise(module: nn.Module, config: NetworkConfig, *, steps: int | None = None) -> None:
    """Set the weights of the recurrent layers inside `module` as `init` and `orthogonal` ask.

    `steps`, the length of the task's sequences, is for chrono without a number.

    Raises ConfigError where the cell can't have the initialisation, or chrono lacks its steps.
    """
    for initialiser in config.initialisers:
        _apply(module, initialiser, steps)
    if config.orthogonal:
        _keep_orthogonal(module)


def _apply(module: nn.Module, initialiser: Initialiser, steps: int | None) -> None:
    name, value = initialiser
    if value is None:
        value = _checked_steps(name, steps)
    match name:
        case "chrono" | "chrono-constant":
            init.chrono_(module, int(value), spread=name == "chrono")
        case "orthogonal":
            init.orthogonal_(module, value)
        case "identity":
            init.identity_(module, value)
        case "forget-bias":
            init.forget_bias_(module, value)


def _checked_steps(name: str, steps: int | None) -> int:
    if steps is None or steps < 3:
        length = "have no fixed length" if steps is None else f"have {steps} steps, and 3 are least"
        raise ConfigError(
            f"init = {name!r} takes the length of the task's sequences, which {length}; give a "
            f"number of steps: init = '{name}:100'."
        )
    return steps


def _keep_orthogonal(module: nn.Module) -> None:
    """Make each recurrent matrix orthogonal, now and in training; ConfigError if one isn't square.

    A matrix of several gates is taller than wide, and has no orthogonal form as a whole.
    """
    matrices = [p for layer in layer_parameters(module) for p in layer.recurrent()]
    if not matrices:
        raise ConfigError("orthogonal = true, and the cell has no recurrent matrix; leave it out.")
    for parameter in matrices:
        shape = tuple(parameter.value.shape)
        if len(shape) != 2 or shape[0] != shape[1]:
            raise ConfigError(
                f"orthogonal = true: {parameter.attribute} is {' x '.join(map(str, shape))}, and "
                "only a square matrix stays orthogonal; take a cell with one gate, such as rnn, or "
                "init = 'orthogonal', which is for each gate."
            )
    for parameter in matrices:
        parametrizations.orthogonal(parameter.owner, parameter.attribute)


class ActivationPenalties:
    """The penalties on activations that a configuration asks for, weighted and summed."""

    def __init__(self, config: NetworkConfig) -> None:
        self.activation: float = config.activation_penalty
        self.temporal: float = config.temporal_activation_penalty

    def __call__(self, kept: Tensor, outputs: Tensor) -> Tensor:
        """Penalty, a scalar, on outputs (T, B, size) of the layers; `kept` is them after dropout.

        As in the paper, activations are penalised after dropout and their changes before it.
        """
        penalty = outputs.new_zeros(())
        if self.activation:
            penalty = penalty + self.activation * activation_penalty(kept)
        if self.temporal:
            penalty = penalty + self.temporal * temporal_activation_penalty(outputs)
        return penalty


def penalised(loss: Tensor, penalty: Tensor) -> Tensor:
    """The loss with the gradient of the penalty as well, and its value unchanged.

    So losses compare, whatever the penalties weigh.
    """
    return loss + (penalty - penalty.detach())
