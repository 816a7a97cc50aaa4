"""Starts that help gradients through time, for layers and for models that hold them.

In the manner of torch.nn.init: each changes the parameters in place and returns the module. All
walk `module.modules()`: `recurra.nn.Recurrent` of any cell, the drop-ins, and whatever contains
them. Nothing is changed where an error is raised.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor, nn

from recurra.cells import CELLS
from recurra.cells.roles import forget_gate
from recurra.errors import ConfigError
from recurra.nn.init import draw as initial
from recurra.nn.init.layout import Layout, Part, layers_of

__all__ = ["chrono_", "forget_bias_", "identity_", "orthogonal_"]

M = TypeVar("M", bound=nn.Module)


def forget_bias_(module: M, value: float = 1.0) -> M:
    """Set the bias of the gate that forgets, so that sigmoid(value) of the state is kept at first.

    Where an open gate lets go of the state instead (`mgu`, `mingru`), its bias becomes -value.
    Torch's two biases sum to it. After R. Jozefowicz, W. Zaremba, I. Sutskever, An empirical
    exploration of recurrent network architectures, ICML 2015.

    Raises ConfigError where a cell has no gate that forgets, or a layer no biases.

    Example:
        >>> from recurra.nn import LSTM, init
        >>> layer = init.forget_bias_(LSTM(3, 2), 1.0)
        >>> (layer.bias_ih_l0 + layer.bias_hh_l0)[2:4].tolist()
        [1.0, 1.0]
    """
    _check_number("forget_bias_", "value", value)
    found = [(sign, parts) for _, sign, parts in _forgetting(module, "forget_bias_")]
    with torch.no_grad():
        for sign, parts in found:
            _set_total(parts, torch.full_like(parts[0], sign * value))
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
    keeps what it holds for about u steps; that of an input gate (one called `i`) becomes -log(u).
    A GRU's is its update gate's, and coupled gates have the one. Without `spread` u is max_steps -
    1 for all units, so that each keeps what it holds for as long as may be. After C. Tallec, Y.
    Ollivier, Can recurrent neural networks warp time?, arXiv:1804.11188.

    Raises ConfigError where a cell has no gate that forgets, or a layer no biases.

    Example:
        >>> from recurra.nn import Recurrent, init
        >>> layer = init.chrono_(Recurrent("lstm", 3, 2), max_steps=100)
        >>> bool((layer.b_l0[:2] == -layer.b_l0[2:4]).all())  # i and f
        True
    """
    if isinstance(max_steps, bool) or not isinstance(max_steps, int) or max_steps < 3:
        raise ConfigError(
            f"chrono_: max_steps={max_steps!r}; it must be a whole number above 2, the steps over "
            "which something is to be remembered."
        )
    found = _forgetting(module, "chrono_")
    inputs = [_gate(layer, "i") if "i" in layer.cell.gates else [] for layer, _, _ in found]
    with torch.no_grad():
        for (_, sign, parts), opening in zip(found, inputs, strict=True):
            steps = torch.full_like(parts[0], max_steps - 1)
            if spread:
                steps.uniform_(1, max_steps - 1, generator=generator)
            keeps = steps.log()
            _set_total(parts, sign * keeps)
            if opening:
                _set_total(opening, -keeps)
    return module


def orthogonal_(module: M, gain: float = 1.0, *, generator: torch.Generator | None = None) -> M:
    """Make the recurrent matrices orthogonal: each gate's by itself, and each block's.

    Recurrent are those that multiply what depends on the state (a projection too); one that isn't
    square gets orthonormal rows or columns. After A. M. Saxe, J. L. McClelland, S. Ganguli, Exact
    solutions to the nonlinear dynamics of learning, arXiv:1312.6120.

    Raises ConfigError where a cell has no recurrent matrix.

    Example:
        >>> from recurra.nn import GRU, init
        >>> layer = init.orthogonal_(GRU(3, 4))
        >>> U = layer.weight_hh_l0[:4]
        >>> bool(torch.allclose(U @ U.T, torch.eye(4), atol=1e-6))
        True
    """
    _check_number("orthogonal_", "gain", gain)
    return _change(
        module, "orthogonal_", lambda matrix: initial.orthogonal_(matrix, gain, generator)
    )


def identity_(module: M, gain: float = 1.0) -> M:
    """Make the recurrent matrices `gain` times the identity: each gate's by itself.

    After Q. V. Le, N. Jaitly, G. E. Hinton, A simple way to initialize recurrent networks of
    rectified linear units, arXiv:1504.00941.

    Raises ConfigError where a cell has no recurrent matrix, or one that isn't square.

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
    matrices = [m for layer in layers_of(module) for m in _matrices(layer, caller, square)]
    with torch.no_grad():
        for matrix in matrices:
            change(matrix)
    return module


def _matrices(layer: Layout, caller: str, square: bool) -> list[Tensor]:
    parts = layer.recurrent()
    if not parts:
        raise ConfigError(
            f"{caller}: {layer.graph.cell} has no recurrent matrix; call it on layers whose cell "
            "multiplies its state by one, such as rnn, lstm and gru."
        )
    for part in parts if square else ():
        _check_square(part, caller)
    return [matrix for part in parts for matrix in part.matrices()]


def _check_square(part: Part, caller: str) -> None:
    rows, columns = part.matrices()[0].shape
    if rows != columns:
        raise ConfigError(
            f"{caller}: {part.attribute} of {type(part.owner).__name__} stacks matrices of {rows} "
            f"x {columns}, and an identity is square; orthogonal_ takes any."
        )


def _forgetting(module: nn.Module, caller: str) -> list[tuple[Layout, int, list[Tensor]]]:
    """Each layer, the sign with which its gate keeps, and that gate's parts of the biases."""
    found = []
    for layer in layers_of(module):
        if not layer.cell.forget:
            having = ", ".join(name for name, cell in CELLS.items() if cell.forget)
            raise ConfigError(
                f"{caller}: {layer.graph.cell} has no gate that forgets; cells that have one: "
                f"{having}, and those of your own that name it as `forget`."
            )
        gate, sign = forget_gate(layer.cell.forget)
        found.append((layer, sign, _gate(layer, gate, caller)))
    return found


def _gate(layer: Layout, gate: str, caller: str = "chrono_") -> list[Tensor]:
    parts = [part.gate(gate) for part in layer.biases(gate)]
    if not parts:
        raise ConfigError(
            f"{caller}: the gate `{gate}` of this layer of {layer.graph.cell} has no bias; make "
            "the layer with bias=True."
        )
    return parts


def _set_total(parts: list[Tensor], total: Tensor) -> None:
    for part in parts:
        part.zero_()
    parts[0].copy_(total)


def _check_number(caller: str, name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ConfigError(f"{caller}: {name}={value!r}; it must be a finite number.")
