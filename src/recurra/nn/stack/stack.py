"""A stack of layers of different sizes and cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra.cells import Cell
from recurra.nn.execute import pack_like, unpack, wants_every
from recurra.nn.layers.arguments import (
    check_dropout,
    check_flags,
    check_input_size,
    check_lengths,
    check_resets,
    check_share,
    check_steps,
)
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.layers.remedies import Masks
from recurra.nn.observe.trace import Trace, trace_layers
from recurra.nn.stack.block import StackBlock, check_input, check_layers, check_states
from recurra.nn.stack.layer import Layer, StackLayer
from recurra.nn.states import States
from recurra.ragged import padded, within

__all__ = ["Stack"]


class Stack(nn.Module):
    """Layers of any sizes and cells, each reading the one below, with connections past layers.

    Args:
        input_size: size I of each step's input.
        layers: from the lowest up, each a `recurra.nn.Layer` or a `Recurrent` of one layer.
        skip: None, "residual" (x + y), "highway" (y t + x (1 - t), t = sigmoid(linear(x))), or
            "dense" (each layer reads the input and the outputs of all layers below). Where sizes
            differ, x is projected by a learnt matrix. The output is the last layer's.
        norm: None, "pre" (layer normalisation of each layer's input, and of the output), or "post"
            (of each layer's output, after its skip connection).
        dropout: the share zeroed in training of each layer's input, the lowest layer's excepted.
        output_dropout: the share of the output dropped by one mask for all steps of a sequence.
        batch_first: input and output as (B, T, size) instead of (T, B, size).
        engine: as in Recurrent, for the layers made here.

    States are a tuple with one entry for each layer: the tuple that `Recurrent` returns, (D, B,
    size) for each state. With a dilation d each is (D*d, B, size), and with a time skip s one more
    tensor follows, the last outputs (D*s, B, size). Passed to the next call they continue a
    sequence, which may be run in pieces of any length.

    Example:
        >>> stack = Stack(3, [Layer("lstm", 8), Layer("gru", 4, dilation=2)], skip="residual")
        >>> y, states = stack(torch.randn(5, 6, 3))
        >>> y.shape, [tuple(s.shape) for s in states[1]]
        (torch.Size([5, 6, 4]), [(2, 6, 4)])
    """

    def __init__(
        self,
        input_size: int,
        layers: Sequence[Layer | Recurrent],
        *,
        skip: str | None = None,
        norm: str | None = None,
        dropout: float = 0.0,
        output_dropout: float = 0.0,
        batch_first: bool = False,
        engine: str | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        check_layers(layers, skip, norm)
        check_flags(batch_first=batch_first)
        check_dropout(dropout, len(layers), callers=1)
        self.input_size = input_size
        self.skip = skip
        self.norm = norm
        self.dropout: float = float(dropout)
        check_share("output_dropout", output_dropout)
        self.output_dropout: float = float(output_dropout)
        self.batch_first = batch_first
        self.blocks: nn.ModuleList = nn.ModuleList()
        width = input_size
        for index, layer in enumerate(layers):
            # No layer above the last one reads more than its output.
            kind = None if skip == "dense" and index == len(layers) - 1 else skip
            check_input(index, layer, width)
            block = StackBlock(width, layer, kind, norm, engine=engine, device=device, dtype=dtype)
            self.blocks.append(block)
            width = block.width
        self.output_size = width
        if norm == "pre":
            self.after: nn.Module = nn.LayerNorm(width, device=device, dtype=dtype)
        else:
            self.after = nn.Identity()

    @classmethod
    def of(
        cls,
        cell: Cell | type[Cell] | str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        bidirectional: bool = False,
        dilation: int | Sequence[int] = 1,
        time_skip: int | Sequence[int] = 0,
        layer_options: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Stack:
        """A stack of equal layers; `dilation` and `time_skip` may be given one for each layer.

        `layer_options` are options of each `Layer`, `options` those of `Stack`. Raises ValueError
        unless there are as many as layers.

        Example:
            >>> Stack.of("gru", 3, 8, num_layers=3, dilation=[1, 2, 4], skip="residual").engine
            'cpu'
        """
        dilations = _each("dilation", dilation, num_layers)
        skips = _each("time_skip", time_skip, num_layers)
        layers = [
            Layer(cell, hidden_size, bidirectional, d, s, layer_options or {})
            for d, s in zip(dilations, skips, strict=True)
        ]
        return cls(input_size, layers, **options)

    @property
    def layers(self) -> tuple[StackLayer, ...]:
        """The layers, from the lowest up."""
        return tuple(block.layer for block in self.blocks)  # type: ignore[misc]

    @property
    def engine(self) -> str:
        """The engine that runs the layers, or the engines if layers differ."""
        engines = [m.engine for m in self.modules() if isinstance(m, Recurrent)]
        return ", ".join(dict.fromkeys(engines))

    def reset_parameters(self) -> None:
        """Draw every parameter again."""
        for module in reversed(list(self.modules())):
            reset = getattr(module, "reset_parameters", None)
            if module is not self and callable(reset):
                reset()

    def forward(
        self,
        input: Tensor | PackedSequence,
        states: Sequence[States] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
        return_states: str = "last",
    ) -> tuple[Any, tuple[States, ...]]:
        """Run whole sequences.

        Args:
            input: (T, B, I), (B, T, I) with `batch_first`, (T, I), or a packed sequence.
            states: one entry for each layer, as returned; None for the start.
            lengths: (B,) steps of each sequence; outputs after them are zero, 0 is allowed.
            resets: bool, shaped as the input's steps: marks the first step of a new segment, which
                starts from zeros, or from the learnt initial states; the gradient is cut there.
            return_states: "last", or "all" for the states after every step: for each layer and
                state (D, T, B, size), (D, B, T, size) with `batch_first`, zeros after a
                sequence's end.

        Returns the outputs, shaped as the input, and the states.
        """
        every = wants_every(return_states)
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, states, lengths, resets, every)
        if input.dim() not in (2, 3):
            raise ValueError(f"Stack: Expected input to be 2D or 3D, got {input.dim()}D instead")
        is_batched = input.dim() == 3
        is_turned = self.batch_first and is_batched
        x = input if is_batched else input.unsqueeze(1)
        x = x.transpose(0, 1) if is_turned else x
        check_steps(x)
        check_input_size(x, self.input_size)
        if lengths is not None:
            lengths = check_lengths(lengths, x.shape[0], x.shape[1])
        if resets is not None:
            resets = check_resets(resets, x.shape[0], x.shape[1], is_turned)
        if states is not None:
            states = check_states(states, self.layers, x.shape[1], is_batched=is_batched)
        y, after = self._run(x, states, lengths, resets, every)
        if not is_batched:
            return y.squeeze(1), _mapped(after, lambda s: s.squeeze(-2))
        if not is_turned:
            return y, after
        return y.transpose(0, 1), _mapped(after, lambda s: s.transpose(1, 2)) if every else after

    def _forward_packed(
        self,
        packed: PackedSequence,
        states: Sequence[States] | None,
        lengths: object,
        resets: Tensor | None,
        every: bool,
    ) -> tuple[PackedSequence, tuple[States, ...]]:
        sequences = unpack(packed, lengths, resets, self.batch_first)
        own, resets = sequences.lengths, sequences.resets
        assert own is not None
        is_step = within(own, sequences.steps)
        x = padded(packed.data, is_step)
        check_input_size(x, self.input_size)
        order, back = packed.sorted_indices, packed.unsorted_indices
        if states is not None:
            states = check_states(states, self.layers, len(own), is_batched=True)
            states = (
                states if order is None else _mapped(states, lambda s: s.index_select(1, order))
            )
        y, after = self._run(x, states, own, resets, every)
        if back is not None:
            after = _mapped(after, lambda s: s.index_select(-2, back))
        if every and self.batch_first:
            after = _mapped(after, lambda s: s.transpose(1, 2))
        return pack_like(packed, y[is_step]), after

    def _run(
        self,
        x: Tensor,
        states: Sequence[States] | None,
        lengths: Tensor | None,
        resets: Tensor | None,
        every: bool,
    ) -> tuple[Tensor, tuple[States, ...]]:
        """Run x (T, B, I) with checked arguments."""
        ended = None if lengths is None else ~within(lengths, x.shape[0]).unsqueeze(-1)
        # Padding may hold NaN, which a skip connection would pass on.
        x = x if ended is None else x.masked_fill(ended, 0)
        after = []
        for index, block in enumerate(self.blocks):
            x, own = block(
                x,
                None if states is None else states[index],
                self.dropout if index else 0.0,
                lengths=lengths,
                resets=resets,
                return_states="all" if every else "last",
            )
            after.append(own)
        y = self.after(x)
        if self.training and self.output_dropout:
            y = y * Masks.of(y).for_all_steps(self.output_dropout, y.shape[-1])
        return (y if ended is None else y.masked_fill(ended, 0)), tuple(after)

    def trace(
        self,
        input: Tensor,
        states: Sequence[States] | None = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> Trace:
        """Every named value of each layer's equations at every step of a run, without gradients.

        Example:
            >>> trace = Stack.of("gru", 3, 8, num_layers=2).trace(torch.randn(5, 6, 3))
            >>> trace["z", 1].shape
            torch.Size([5, 6, 8])
        """
        return trace_layers(self, self.layers, input, states, lengths, resets)

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from their defaults."""
        names = ("skip", "norm", "dropout", "output_dropout", "batch_first")
        words = [f"{name}={getattr(self, name)!r}" for name in names if getattr(self, name)]
        return ", ".join([str(self.input_size), *words])


def _mapped(states: Sequence[States], change: Callable[[Tensor], Tensor]) -> tuple[States, ...]:
    return tuple(tuple(change(s) for s in each) for each in states)


def _each(name: str, value: int | Sequence[int], num_layers: int) -> Sequence[int]:
    """One value for each layer."""
    if not isinstance(value, Sequence):
        return [value] * num_layers
    if len(value) != num_layers:
        raise ValueError(
            f"{name} holds {len(value)} values; give one, or {num_layers}, one for each layer"
        )
    return value
