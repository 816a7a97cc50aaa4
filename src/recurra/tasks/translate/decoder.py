"""The decoder: a layer over the whole target, attention, and layers that read what it found."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import torch
from torch import Tensor, nn

from recurra.nn import Recurrent, Stack
from recurra.nn.attention import Attention, Memory
from recurra.nn.linear import Linear
from recurra.nn.states import State, reorder
from recurra.tasks.network import initialise, recurrent_layers
from recurra.tasks.translate.config import TranslateConfig

__all__ = ["AttentionDecoder", "Decoded", "DecoderState", "ReadSource"]


class ReadSource(NamedTuple):
    """What a decoder reads of a source: its memory, None without attention, and its summary."""

    memory: Memory | None
    summary: Tensor

    def of_rows(self, rows: Tensor) -> ReadSource:
        """The sources of these rows (N,), which may come several times."""
        memory = self.memory
        if memory is not None:
            memory = Memory(*(part.index_select(1, rows) for part in memory))
        return ReadSource(memory, self.summary.index_select(0, rows))


class DecoderState(NamedTuple):
    """What a step leaves to the next: states of the layers, its output, where it attended.

    `attended` (S, B) and `output` (B, E) are those of the step before; None: not needed.
    """

    lower: State = None
    upper: State = None
    output: Tensor | None = None
    attended: Tensor | None = None

    def of_rows(self, rows: Tensor) -> DecoderState:
        """The states of these rows (N,), which may come several times."""
        output, attended = self.output, self.attended
        return DecoderState(
            reorder(self.lower, rows),
            reorder(self.upper, rows),
            None if output is None else output.index_select(0, rows),
            None if attended is None else attended.index_select(1, rows),
        )


class Decoded(NamedTuple):
    """Outputs (T, B, E), weights of the attention (T, S, B), None without, and the state."""

    outputs: Tensor
    weights: Tensor | None
    state: DecoderState


class AttentionDecoder(nn.Module):
    """Vectors of tokens (T, B, E) and a source give outputs (T, B, E).

    The order is that of Wu et al. 2016: the first layer runs over the whole target, attention is
    computed for all its steps at once, and the other layers read [h; context], so that every
    recurrence is one call. With `input_feeding` each step reads the output of the step before, and
    the steps run one by one.
    """

    def __init__(self, config: TranslateConfig, memory_size: int) -> None:
        super().__init__()
        width, size = config.embedding, config.hidden
        one = dataclasses.replace(config, bidirectional=False, layers=1, dilation=1)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.input_feeding: bool = config.input_feeding
        self.summary: nn.Linear = Linear(memory_size, width)
        self.lower: Recurrent | Stack = recurrent_layers(one, width * (1 + config.input_feeding))
        found = self.lower.output_size
        self.attention: Attention | None = None
        context = 0
        if config.attention != "none":
            self.attention = Attention(
                config.attention, found, memory_size, size, heads=config.heads
            )
            context = memory_size
        self.upper: Recurrent | Stack | None = None
        top = found
        if config.layers > 1:
            rest = dataclasses.replace(config, bidirectional=False, layers=config.layers - 1)
            if rest.layers == 1:
                rest = dataclasses.replace(rest, dilation=1)
            self.upper = recurrent_layers(rest, found + context)
            top = self.upper.output_size
        self.readout: nn.Linear = Linear(top + context + width, width)
        initialise(self, config)

    def forward(
        self, vectors: Tensor, source: ReadSource, state: DecoderState | None = None
    ) -> Decoded:
        state = state or DecoderState()
        vectors = vectors + self.summary(source.summary).tanh()
        if not self.input_feeding or len(vectors) == 1:
            return self._together(vectors, source, state)
        outputs, weights = [], []
        for step in vectors.unsqueeze(1):
            found = self._together(step, source, state)
            outputs.append(found.outputs)
            weights.append(found.weights)
            state = found.state
        assert weights[0] is not None
        return Decoded(torch.cat(outputs), torch.cat([w for w in weights if w is not None]), state)

    def _together(self, vectors: Tensor, source: ReadSource, state: DecoderState) -> Decoded:
        """All these steps at once; with input feeding there is one."""
        inputs = vectors
        if self.input_feeding:
            before = state.output
            fed = vectors if before is None else before.unsqueeze(0)
            inputs = torch.cat([vectors, torch.zeros_like(fed) if before is None else fed], -1)
        hidden, lower = self.lower(inputs, state.lower)
        hidden = self.dropout(hidden)
        parts, weights = [hidden], None
        if self.attention is not None:
            assert source.memory is not None
            attended = None if state.attended is None else state.attended.unsqueeze(0)
            context, weights = self.attention(hidden, source.memory, attended)
            parts.append(context)
        upper: State = None
        if self.upper is not None:
            parts[0], upper = self.upper(torch.cat(parts, -1), state.upper)
            parts[0] = self.dropout(parts[0])
        outputs = self.dropout(self.readout(torch.cat([*parts, vectors], -1)).tanh())
        return Decoded(outputs, weights, self._after(lower, upper, outputs, weights))

    def _after(
        self, lower: State, upper: State, outputs: Tensor, weights: Tensor | None
    ) -> DecoderState:
        output = outputs[-1] if self.input_feeding else None
        monotonic = self.attention is not None and self.attention.kind == "monotonic"
        attended = weights[-1] if monotonic and weights is not None else None
        return DecoderState(lower, upper, output, attended)
