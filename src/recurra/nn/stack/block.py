"""One layer of a stack with its normalisation, dropout and skip connection."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recurra.nn.layers.arguments import described, of_another_batch
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.linear import Linear
from recurra.nn.stack.layer import Layer, StackLayer
from recurra.nn.stack.lookback import state_rows_of
from recurra.nn.states import States

__all__ = [
    "StackBlock",
    "check_input",
    "check_layers",
    "check_states",
]


class NoSkip(nn.Module):
    """No skip connection: the next layer reads the output y of a layer alone."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__()
        self.width: int = output_size

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """The input (..., width) of the next layer, from a layer's input x and output y."""
        above: Tensor = norm(y)
        return above


class Residual(NoSkip):
    """x + y; where their sizes differ, x is projected by a learnt matrix without bias."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__(below, output_size)
        is_same = below == output_size
        self.projection: nn.Module = (
            nn.Identity() if is_same else Linear(below, output_size, bias=False, **options)
        )

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """The input (..., width) of the next layer, from a layer's input x and output y."""
        above: Tensor = norm(self.projection(x) + y)
        return above


class Highway(Residual):
    """y t + x (1 - t), t = sigmoid(linear(x)), with a bias of -1 (Srivastava et al. 2015)."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__(below, output_size, **options)
        self.gate: nn.Linear = Linear(below, output_size, **options)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the gate's parameters again; its bias starts at -1, so that most of x passes."""
        self.gate.reset_parameters()
        nn.init.constant_(self.gate.bias, -1.0)

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """The input (..., width) of the next layer, from a layer's input x and output y."""
        gate = torch.sigmoid(self.gate(x))
        above: Tensor = norm(y * gate + self.projection(x) * (1 - gate))
        return above


class Dense(NoSkip):
    """x beside y: each layer reads the input and every output below (Huang et al. 2017)."""

    def __init__(self, below: int, output_size: int, **options: Any) -> None:
        super().__init__(below, output_size)
        self.width: int = below + output_size

    def forward(self, x: Tensor, y: Tensor, norm: nn.Module) -> Tensor:
        """The input (..., width) of the next layer, from a layer's input x and output y."""
        return torch.cat([x, norm(y)], -1)


_SKIPS: dict[str | None, type[NoSkip]] = {
    None: NoSkip,
    "residual": Residual,
    "highway": Highway,
    "dense": Dense,
}


class StackBlock(nn.Module):
    """Norm, layer, skip connection, norm; `width` is the size that the next layer reads."""

    layer: StackLayer

    def __init__(
        self,
        below: int,
        layer: Layer | Recurrent,
        skip: str | None,
        norm: str | None,
        engine: str | None,
        **options: Any,
    ) -> None:
        super().__init__()
        built: StackLayer = (
            layer.build(below, engine=engine, **options) if isinstance(layer, Layer) else layer
        )
        size = built.output_size
        self.before: nn.Module = nn.LayerNorm(below, **options) if norm == "pre" else nn.Identity()
        self.layer = built
        self.skip: NoSkip = _SKIPS[skip](below, size, **options)
        self.after: nn.Module = nn.LayerNorm(size, **options) if norm == "post" else nn.Identity()
        self.width: int = self.skip.width

    def read(self, x: Tensor, dropout: float) -> Tensor:
        """The layer's input, from the output x of the layers below."""
        y: Tensor = self.before(x)
        return F.dropout(y, dropout, self.training) if dropout else y

    def forward(
        self, x: Tensor, states: States | None, dropout: float, **options: Any
    ) -> tuple[Tensor, States]:
        """The next layer's input from x (T, B, below), and the layer's states."""
        y, after = self.layer(self.read(x, dropout), states, **options)
        return self.skip(x, y, self.after), after


def check_layers(layers: Sequence[Layer | Recurrent], skip: str | None, norm: str | None) -> None:
    """Raise TypeError or ValueError for layers or connections that a stack can't have."""
    if skip not in _SKIPS:
        raise ValueError(f"skip is {skip!r}; it must be None, 'residual', 'highway' or 'dense'")
    if norm not in (None, "pre", "post"):
        raise ValueError(f"norm is {norm!r}; it must be None, 'pre' or 'post'")
    if not layers:
        raise ValueError("layers is empty; a Stack needs one Layer or more")
    for index, layer in enumerate(layers):
        if not isinstance(layer, (Layer, Recurrent)):
            raise TypeError(
                f"layers[{index}] is {described(layer)}; "
                "give a recurra.nn.Layer or a recurra.nn.Recurrent"
            )
        if isinstance(layer, Recurrent) and (layer.num_layers > 1 or layer.batch_first):
            raise ValueError(
                f"layers[{index}] is a Recurrent of {layer.num_layers} layers and "
                f"batch_first={layer.batch_first}; a Stack takes those of one layer without "
                "batch_first, and has batch_first itself"
            )


def check_input(index: int, layer: Layer | Recurrent, below: int) -> None:
    """Raise ValueError for a `Recurrent` whose input size isn't that of what it reads."""
    if isinstance(layer, Recurrent) and layer.input_size != below:
        raise ValueError(
            f"layers[{index}] is a Recurrent with input_size={layer.input_size}, and what it "
            f"reads here has {below} values; make it with input_size={below}"
        )


def check_states(
    states: object, layers: Sequence[StackLayer], batch: int, *, is_batched: bool
) -> list[States]:
    """States of every layer, batched. Raises ValueError or RuntimeError for invalid ones."""
    if not isinstance(states, (tuple, list)) or len(states) != len(layers):
        given = f"{len(states)} values" if isinstance(states, (tuple, list)) else "one value"
        raise ValueError(
            f"Stack: states given as {given}; it has {len(layers)} layers. Pass one tuple of "
            "states for each, as returned, or None for the start."
        )
    return [
        _check_entry(index, entry, layer, batch, is_batched=is_batched)
        for index, (entry, layer) in enumerate(zip(states, layers, strict=True))
    ]


def _check_entry(
    index: int, entry: object, layer: StackLayer, batch: int, *, is_batched: bool
) -> States:
    expected = state_rows_of(layer)
    if not isinstance(entry, (tuple, list)) or len(entry) != len(expected):
        given = f"{len(entry)} values" if isinstance(entry, (tuple, list)) else "one value"
        raise ValueError(
            f"Stack: states of layer {index} given as {given}; it has "
            f"({', '.join(name for name, _, _ in expected)}). Pass a tuple of {len(expected)}."
        )
    states = tuple(s if is_batched else s.unsqueeze(1) for s in entry)
    for (name, rows, size), state in zip(expected, states, strict=True):
        if tuple(state.shape) != (rows, batch, size):
            raise RuntimeError(
                f"Expected {name} of layer {index} of size {(rows, batch, size)}, "
                f"got {list(state.shape)}{of_another_batch((rows, batch, size), state.shape)}"
            )
    return states
