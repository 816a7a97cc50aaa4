"""A recurrent layer of any cell."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from weft.cells import Cell, load
from weft.nn.checks import (
    check_dropout,
    check_dtype,
    check_flags,
    check_input_size,
    check_lengths,
    check_resets,
    check_sizes,
    check_steps,
)
from weft.nn.stack import Kernel, kernel, pack_like, run_stack, unpack

__all__ = ["Recurrent"]

States = tuple[Tensor, ...]


class Recurrent(nn.Module):
    """Layers of a cell, run over sequences: one of Weft's or your own.

    Args:
        cell: a `weft.cells.Cell`, its class, or its name as `weft.cells.load` takes it.
        input_size: size I of each step's input.
        hidden_size: size H that the cell's equations call hidden_size.
        num_layers: L; each layer reads the outputs of the one below.
        bias: whether the biases (parameters named `b`, `b2`, `b_h`, ...) take part.
        batch_first: input and output as (B, T, size) instead of (T, B, size).
        dropout: the share of outputs zeroed between layers in training.
        bidirectional: D = 2: a second direction reads each sequence from its end.
        engine: "auto", "cpu" or "interp"; None takes the setting WEFT_ENGINE.
        bptt_clip: limits each element of dL/dh_t at every step of back-propagation through time.

    Parameters are named as in the equations with the layer after it (`W_l0`, `U_l0_reverse`),
    stacked over gates in the cell's order, and drawn uniformly from ±1/sqrt(hidden_size) unless the
    cell's `init` says otherwise.

    Example:
        >>> layer = Recurrent("lstm", input_size=10, hidden_size=20)
        >>> y, (h, c) = layer(torch.randn(5, 3, 10))
        >>> y.shape, h.shape
        (torch.Size([5, 3, 20]), torch.Size([1, 3, 20]))
    """

    def __init__(
        self,
        cell: Cell | type[Cell] | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        engine: str | None = None,
        bptt_clip: float | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.cell = _as_cell(cell)
        check_sizes(input_size, hidden_size, num_layers)
        check_flags(bias=bias, batch_first=batch_first, bidirectional=bidirectional)
        check_dropout(dropout, num_layers, callers=1)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.bptt_clip = bptt_clip
        self._engine = engine
        self._names: list[dict[str, str]] = []
        graph = self.cell.graph(bias=bias)
        sizes = self.cell.bind(input_size, hidden_size)
        self.state_sizes = tuple(size.value(sizes) for size in graph.state_sizes)
        for layer in range(num_layers):
            below = input_size if layer == 0 else self.output_size
            for suffix in ("", "_reverse")[: self._directions]:
                self._add_parameters(f"_l{layer}{suffix}", below, device, dtype)
        self.reset_parameters()

    def _add_parameters(
        self,
        suffix: str,
        input_size: int,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        sizes = self.cell.bind(input_size, self.hidden_size)
        names = {}
        for param in self.cell.graph(bias=self.bias).params:
            names[param.name] = param.name + suffix
            value = torch.empty(param.shape(sizes), device=device, dtype=dtype)
            self.register_parameter(param.name + suffix, nn.Parameter(value))
        self._names.append(names)

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def output_size(self) -> int:
        """Size of each step's output: that of the cell's first state, for each direction."""
        return self.state_sizes[0] * self._directions

    @property
    def _kernel(self) -> Kernel:
        return kernel(self.cell, bias=self.bias, engine=self._engine)

    @property
    def engine(self) -> str:
        """The engine that runs this layer as it is: device and dtype of its weights decide too."""
        weight = next(self.parameters())
        return self._kernel.engine_for(weight)

    def reset_parameters(self) -> None:
        """Draw every parameter anew."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        params = self.cell.graph(bias=self.bias).params
        for names in self._names:
            for param in params:
                _initialise(getattr(self, names[param.name]), param.init, bound)

    def forward(
        self,
        input: Tensor | PackedSequence,
        states: Sequence[Tensor] | None = None,
        *,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> tuple[Any, States]:
        """Run whole sequences.

        Args:
            input: (T, B, I), (B, T, I) with `batch_first`, (T, I), or a packed sequence.
            states: one (L*D, B, size) for each state of the cell, or None for zeros.
            lengths: (B,) steps of each sequence; outputs after them are zero, 0 is allowed.
            resets: bool, shaped as the input's steps: marks the first step of a new segment, before
                which the state goes to zeros and the gradient is cut.

        Returns the outputs, shaped as the input, and the states after each sequence's last step.
        """
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, states, lengths, resets)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"Recurrent: Expected input to be 2D or 3D, got {input.dim()}D instead"
            )
        is_batched = input.dim() == 3
        x = input if is_batched else input.unsqueeze(1)
        x = x.transpose(0, 1) if is_batched and self.batch_first else x
        if states is not None and not is_batched:
            states = [s.unsqueeze(1) for s in states]
        steps, batch = x.shape[0], x.shape[1]
        if lengths is not None:
            lengths = check_lengths(lengths, steps, batch)
        if resets is not None:
            resets = check_resets(resets, steps, batch, self.batch_first and is_batched)
        y, last = self._run(x, states, lengths, resets)
        if not is_batched:
            return y.squeeze(1), tuple(s.squeeze(1) for s in last)
        return (y.transpose(0, 1) if self.batch_first else y), last

    def _forward_packed(
        self,
        packed: PackedSequence,
        states: Sequence[Tensor] | None,
        lengths: object,
        resets: Tensor | None,
    ) -> tuple[PackedSequence, States]:
        own_lengths, resets = unpack(packed, lengths, resets, self.batch_first)
        order, back = packed.sorted_indices, packed.unsorted_indices
        if states is not None and order is not None:
            states = [s.index_select(1, order) for s in states]
        y, last = self._run(packed.data, states, own_lengths, resets, packed_batch=len(own_lengths))
        if back is not None:
            last = tuple(s.index_select(1, back) for s in last)
        return pack_like(packed, y), last

    def _run(
        self,
        x: Tensor,
        states: Sequence[Tensor] | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        packed_batch: int | None = None,
    ) -> tuple[Tensor, States]:
        weights = [{k: getattr(self, n) for k, n in names.items()} for names in self._names]
        check_steps(x)
        check_dtype(x, next(iter(weights[0].values())))
        check_input_size(x, self.input_size)
        return run_stack(
            self._kernel,
            weights,
            x,
            self._check_states(states, x, x.shape[1] if packed_batch is None else packed_batch),
            directions=self._directions,
            lengths=lengths,
            resets=resets,
            dropout=lambda y: F.dropout(y, self.dropout, self.training) if self.dropout else y,
            bptt_clip=self.bptt_clip,
            is_packed=packed_batch is not None,
        )

    def _check_states(
        self, states: Sequence[Tensor] | None, x: Tensor, batch: int
    ) -> Sequence[Tensor]:
        names = ", ".join(self.cell.states)
        rows = self.num_layers * self._directions
        shapes = [(rows, batch, size) for size in self.state_sizes]
        if states is None:
            return [x.new_zeros(shape) for shape in shapes]
        if not isinstance(states, (tuple, list)) or len(states) != len(shapes):
            given = f"{len(states)} values" if isinstance(states, (tuple, list)) else "one value"
            raise ValueError(
                f"Recurrent: states given as {given}; the {type(self.cell).__name__} cell has "
                f"({names}). Pass a tuple of {len(shapes)}, or None for zeros."
            )
        for name, state, shape in zip(self.cell.states, states, shapes, strict=True):
            if tuple(state.shape) != shape:
                raise RuntimeError(f"Expected {name} size {shape}, got {list(state.shape)}")
        return states

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from their defaults."""
        words = [repr(self.cell), str(self.input_size), str(self.hidden_size)]
        if self.num_layers != 1:
            words.append(f"num_layers={self.num_layers}")
        if not self.bias:
            words.append("bias=False")
        flags = ("batch_first", "dropout", "bidirectional")
        words += [f"{name}={getattr(self, name)}" for name in flags if getattr(self, name)]
        return ", ".join(words)


def _as_cell(cell: Cell | type[Cell] | str) -> Cell:
    if isinstance(cell, str):
        return load(cell)
    made = cell() if isinstance(cell, type) and issubclass(cell, Cell) else cell
    if not isinstance(made, Cell):
        raise TypeError(
            f"cell must be a weft.cells.Cell, its class or its name, got {type(cell).__name__}"
        )
    return made


def _initialise(value: Tensor, how: str | float, bound: float) -> None:
    if how == "uniform":
        nn.init.uniform_(value, -bound, bound)
    elif how in ("zeros", "ones"):
        nn.init.constant_(value, float(how == "ones"))
    elif isinstance(how, str):
        raise ValueError(f"init {how!r} is unknown; use 'uniform', 'zeros', 'ones' or a number")
    else:
        nn.init.constant_(value, how)
