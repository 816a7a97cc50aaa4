"""Initialisations that help gradients through time, for layers and for models that hold them.

Like torch.nn.init, each changes the parameters in place and returns the module. They apply to every
layer in `module.modules()`: `recurra.nn.Recurrent` of any cell, RNN, LSTM, GRU and their cells.
If an error is raised, nothing has changed.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from recurra.cells import CELLS
from recurra.cells.roles import forget_gate
from recurra.errors import ConfigError
from recurra.nn.init import draw
from recurra.nn.init.stored_parameters import (
    LayerParameters,
    StoredParameter,
    layer_parameters,
)

__all__ = ["chrono_", "forget_bias_", "identity_", "orthogonal_"]


def __dir__() -> list[str]:
    return __all__


M = TypeVar("M", bound=nn.Module)


def forget_bias_(module: M, value: float = 1.0) -> M:
    """Set the bias of the forget gate, so that at first it keeps sigmoid(value) of the state.

    For a gate that discards the state when open (`mgu`, `mingru`), the bias becomes -value. The sum
    of torch's two biases is set. After R. Jozefowicz, W. Zaremba, I. Sutskever, An empirical
    exploration of recurrent network architectures, ICML 2015.

    Raises ConfigError for a cell without a forget gate, or a layer without biases.

    Example:
        >>> from recurra.nn import LSTM, init
        >>> layer = init.forget_bias_(LSTM(3, 2), 1.0)
        >>> (layer.bias_ih_l0 + layer.bias_hh_l0)[2:4].tolist()
        [1.0, 1.0]
    """
    _check_number("forget_bias_", "value", value)
    gates = _forget_gates(module, "forget_bias_")
    with torch.no_grad():
        for _, sign, biases in gates:
            _set_sum(biases, torch.full_like(biases[0], sign * value))
    return module


def chrono_(
    module: M,
    max_steps: int,
    *,
    spread: bool = True,
    generator: torch.Generator | None = None,
) -> M:
    """Spread the units' memories over up to `max_steps` steps: chrono initialisation.

    The forget gate's bias becomes log(u), u uniform between 1 and max_steps - 1, so that a unit
    keeps its state for about u steps; that of an input gate (one called `i`) becomes -log(u). In a
    GRU the update gate is the forget gate. Without `spread` u is max_steps - 1 for all units, so
    that each keeps its state for as long as possible. After C. Tallec, Y. Ollivier, Can recurrent
    neural networks warp time?, arXiv:1804.11188.

    Raises ConfigError for a cell without a forget gate, or a layer without biases.

    Example:
        >>> from recurra.nn import Recurrent, init
        >>> layer = init.chrono_(Recurrent("lstm", 3, 2), max_steps=100)
        >>> bool((layer.b_l0[:2] == -layer.b_l0[2:4]).all())  # i and f
        True
    """
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 3:
        raise ConfigError(
            f"chrono_: max_steps={max_steps!r}; it must be a whole number above 2: for how many "
            "steps units are to remember."
        )
    gates = _forget_gates(module, "chrono_")
    inputs = [_biases(layer, "i") if "i" in layer.cell.gates else [] for layer, _, _ in gates]
    with torch.no_grad():
        for (_, sign, biases), input_biases in zip(gates, inputs, strict=True):
            steps = torch.full_like(biases[0], max_steps - 1)
            if spread:
                steps.uniform_(1, max_steps - 1, generator=generator)
            logit = steps.log()
            _set_sum(biases, sign * logit)
            if input_biases:
                _set_sum(input_biases, -logit)
    return module


def orthogonal_(module: M, gain: float = 1.0, *, generator: torch.Generator | None = None) -> M:
    """Make the recurrent matrices orthogonal, each gate's and each block's by itself.

    Recurrent matrices multiply what depends on the state, so a projection is one too. A matrix that
    isn't square gets orthonormal rows or columns. After A. M. Saxe, J. L. McClelland, S. Ganguli,
    Exact solutions to the nonlinear dynamics of learning, arXiv:1312.6120.

    Raises ConfigError for a cell without recurrent matrices.

    Example:
        >>> from recurra.nn import GRU, init
        >>> layer = init.orthogonal_(GRU(3, 4))
        >>> U = layer.weight_hh_l0[:4]
        >>> bool(torch.allclose(U @ U.T, torch.eye(4), atol=1e-6))
        True
    """
    _check_number("orthogonal_", "gain", gain)
    return _change(module, "orthogonal_", lambda matrix: draw.orthogonal_(matrix, gain, generator))


def identity_(module: M, gain: float = 1.0) -> M:
    """Make the recurrent matrices `gain` times the identity, each gate's by itself.

    After Q. V. Le, N. Jaitly, G. E. Hinton, A simple way to initialize recurrent networks of
    rectified linear units, arXiv:1504.00941.

    Raises ConfigError for a cell without recurrent matrices, or with one that isn't square.

    Example:
        >>> from recurra.nn import RNN, init
        >>> init.identity_(RNN(3, 2, nonlinearity="relu"), 0.5).weight_hh_l0.tolist()
        [[0.5, 0.0], [0.0, 0.5]]
    """
    _check_number("identity_", "gain", gain)
    return _change(module, "identity_", lambda matrix: nn.init.eye_(matrix).mul_(gain), square=True)


def _change(
    module: M, caller: str, change: Callable[[Tensor], object], *, square: bool = False
) -> M:
    matrices = [m for layer in layer_parameters(module) for m in _matrices(layer, caller, square)]
    with torch.no_grad():
        for matrix in matrices:
            change(matrix)
    return module


def _matrices(layer: LayerParameters, caller: str, square: bool) -> list[Tensor]:
    recurrent = layer.recurrent()
    if not recurrent:
        raise ConfigError(
            f"{caller}: {layer.graph.cell} has no recurrent matrix; call it on layers whose cell "
            "multiplies its state by one, such as rnn, lstm and gru."
        )
    for parameter in recurrent if square else ():
        _check_square(parameter, caller)
    return [matrix for parameter in recurrent for matrix in parameter.matrices()]


def _check_square(parameter: StoredParameter, caller: str) -> None:
    rows, columns = parameter.matrices()[0].shape
    if rows != columns:
        raise ConfigError(
            f"{caller}: {parameter.attribute} of {type(parameter.owner).__name__} stacks matrices "
            f"of {rows} x {columns}, and an identity is square; orthogonal_ takes any."
        )


def _forget_gates(
    module: nn.Module, caller: str
) -> list[tuple[LayerParameters, int, list[Tensor]]]:
    """Each layer, the sign of a forget-gate bias that keeps the state, and that gate's biases."""
    gates = []
    for layer in layer_parameters(module):
        if not layer.cell.forget:
            having = ", ".join(name for name, cell in CELLS.items() if cell.forget)
            raise ConfigError(
                f"{caller}: {layer.graph.cell} has no forget gate; cells that have one: {having}, "
                "and cells of your own that name it as `forget`."
            )
        gate, sign = forget_gate(layer.cell.forget)
        gates.append((layer, sign, _biases(layer, gate, caller)))
    return gates


def _biases(layer: LayerParameters, gate: str, caller: str = "chrono_") -> list[Tensor]:
    """The parts of a gate in each of the layer's biases."""
    biases = [parameter.gate(gate) for parameter in layer.biases(gate)]
    if not biases:
        raise ConfigError(
            f"{caller}: the gate `{gate}` of this layer of {layer.graph.cell} has no bias; make "
            "the layer with bias=True."
        )
    return biases


def _set_sum(biases: list[Tensor], total: Tensor) -> None:
    for bias in biases:
        bias.zero_()
    biases[0].copy_(total)


def _check_number(caller: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{caller}: {name}={value!r}; it must be a finite number.")
