"""Base of RNN, LSTM and GRU.

They are plain modules, not subclasses of torch's, so that torch.compile and quantisation treat them
like any other. A wrong argument raises torch's own error, with its type and text.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from recurra import settings
from recurra.cells import GRU as GRUEquations
from recurra.cells import LSTM as LSTMEquations
from recurra.cells import RNN as RNNEquations
from recurra.cells import Cell, ProjectedLSTM
from recurra.nn.execute import (
    Kernel,
    Sequences,
    StepRun,
    TorchParameters,
    TracedLoop,
    dropout_between,
    engine_of,
    kernel,
    pack_like,
    run_layers,
    step_runs,
    unpack,
    wants_every,
)
from recurra.nn.layers.arguments import (
    check_clip,
    check_dropout,
    check_dtype,
    check_flags,
    check_input_size,
    check_lengths,
    check_resets,
    check_sizes,
    check_steps,
    of_another_batch,
)
from recurra.nn.layers.module import RecurrentModule
from recurra.nn.observe.trace import Trace, trace_layers

__all__ = ["CELLS_OF_MODES", "RNNBase"]


CELLS_OF_MODES: dict[str, tuple[Cell, int]] = {
    "LSTM": (LSTMEquations(), 4),
    "GRU": (GRUEquations(), 3),
    "RNN_TANH": (RNNEquations(), 1),
    "RNN_RELU": (RNNEquations(nonlinearity="relu"), 1),
}
"""The equations of torch's modes, and their gates."""

_any_autocast = torch._C._is_any_autocast_enabled
_projected = functools.cache(ProjectedLSTM)


_MESSAGES = ("Expected hidden[0] size {}, got {}", "Expected hidden[1] size {}, got {}")


class RNNBase(RecurrentModule):
    """Base of RNN, LSTM and GRU: parameters laid out as torch's, and the run over time."""

    dropout: float

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str | None = None,
        bptt_clip: float | None = None,
    ) -> None:
        super().__init__()
        check_dropout(dropout, num_layers, callers=2)
        check_flags(bias=bias, batch_first=batch_first)
        check_clip(bptt_clip)
        check_sizes(input_size, hidden_size, num_layers, proj_size)
        if mode not in CELLS_OF_MODES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self.bptt_clip = bptt_clip
        self._engine = engine or settings.default_engine()
        output_size = proj_size or hidden_size
        self._state_sizes = (output_size, hidden_size) if mode == "LSTM" else (output_size,)
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for direction in range(self._directions):
                self._add_parameters(layer, direction, device, dtype)
        self.reset_parameters()

    def _add_parameters(
        self,
        layer: int,
        direction: int,
        device: torch.device | str | None,
        dtype: torch.dtype | None,
    ) -> None:
        rows = CELLS_OF_MODES[self.mode][1] * self.hidden_size
        below = self.input_size if layer == 0 else self._state_sizes[0] * self._directions
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, below),
            "weight_hh": (rows, self._state_sizes[0]),
        }
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        suffix = f"_l{layer}" + ("_reverse" if direction else "")
        for name, shape in shapes.items():
            value = torch.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name + suffix, nn.Parameter(value))
        self._all_weights.append([name + suffix for name in shapes])

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def cell(self) -> Cell:
        """The equations of this layer."""
        return (
            _projected(proj_size=self.proj_size) if self.proj_size else CELLS_OF_MODES[self.mode][0]
        )

    @property
    def _kernel(self) -> Kernel | TracedLoop:
        return kernel(self.cell, bias=self.bias, engine=self._engine)

    @property
    def engine(self) -> str:
        """The engine that runs this layer, with its weights' present device and dtype."""
        return engine_of(self._kernel, self._flat_weights[0], bptt_clip=self.bptt_clip)

    @property
    def _flat_weights_names(self) -> list[str]:
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:
        return [getattr(self, name, None) for name in self._flat_weights_names]  # type: ignore[misc]

    @property
    def all_weights(self) -> list[list[Tensor]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Do nothing, for code written for torch's layers: no buffer needs rearranging."""

    def reset_parameters(self) -> None:
        """Draw every parameter again, as torch's layers do."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise torch's own errors for an input of another rank or size."""
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            check_input_size(input, self.input_size)

    def get_expected_hidden_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape (L*D, B, size) that h must have for this input."""
        return self._state_shape(input, batch_sizes, self._state_sizes[0])

    def _state_shape(
        self, input: Tensor, batch_sizes: Tensor | None, size: int
    ) -> tuple[int, int, int]:
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input.size(0) if self.batch_first else input.size(1)
        return self.num_layers * self._directions, batch, size

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """Raise torch's own error for a state of another shape."""
        if hx.size() != expected_hidden_size:
            remedy = of_another_batch(expected_hidden_size, hx.size())
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())) + remedy)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise torch's own errors for an input and states that don't fit."""
        self.check_input(input, batch_sizes)
        sizes = self._state_sizes
        rows, batch, _ = self._state_shape(input, batch_sizes, 0)
        if len(sizes) == 1:
            self.check_hidden_size(hidden, (rows, batch, sizes[0]))
            return
        for state, size, message in zip(hidden, sizes, _MESSAGES, strict=False):
            if state.size() != (rows, batch, size):
                self.check_hidden_size(state, (rows, batch, size), message)

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The states with the rows of their batch in another order."""
        return hx if permutation is None else hx.index_select(1, permutation)

    def _zeros(self, input: Tensor, batch: int) -> tuple[Tensor, ...]:
        """First states, one tensor for all of a size: nothing writes into them."""
        rows = self.num_layers * self._directions
        sizes = self._state_sizes
        zeros = input.new_zeros(rows, batch, sizes[0])
        if len(sizes) == 1:
            return (zeros,)
        return zeros, zeros if sizes[0] == sizes[1] else input.new_zeros(rows, batch, sizes[1])

    def _rank_error(self, hidden: Any, kind: str, rank: int) -> str:
        """torch's text for states of another rank than the input's."""
        return f"For {kind} input, hx should also be {rank}-D but got {hidden.dim()}-D tensor"

    def _as_states(self, hidden: Any) -> tuple[Tensor, ...]:
        return (hidden,) if len(self._state_sizes) == 1 else (hidden[0], hidden[1])

    def _from_states(self, states: Sequence[Tensor]) -> Any:
        return states[0] if len(self._state_sizes) == 1 else (states[0], states[1])

    def forward(
        self,
        input: Tensor | PackedSequence,
        hx: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
        return_states: str = "last",
    ) -> tuple[Any, Any]:
        """Run whole sequences, as torch's layer of the same name does.

        Beyond torch's arguments: `lengths` (B,) stops each row at its own length (outputs zero
        after it, 0 allowed), and `resets`, bool in the shape of the input's steps, marks the first
        step of a new segment, which starts from zeros; the gradient is cut there.
        With `return_states` "all" the states after every step are returned instead of the last
        ones, (L*D, T, B, size), or (L*D, B, T, size) with batch_first, zeros after a row's end.
        """
        every = wants_every(return_states)
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx, lengths, resets, every)
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{self._name}: Expected input to be 2D or 3D, got {input.dim()}D"
                f"{' tensor' if self._name == 'RNN' else ''} instead"
            )
        is_batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        x = input if is_batched else input.unsqueeze(batch_dim)
        if hx is None:
            states = self._zeros(x, x.size(batch_dim))
        else:
            states = self._as_states(hx)
            for state in states:
                if state.dim() != input.dim():
                    kind = "batched 3-D" if is_batched else "unbatched 2-D"
                    raise RuntimeError(self._rank_error(hx, kind, input.dim()))
            if not is_batched:
                states = tuple(s.unsqueeze(1) for s in states)
        weights = self._checked_weights(x)
        self.check_forward_args(x, self._from_states(states), None)
        x = x.transpose(0, 1) if self.batch_first else x
        steps, batch = x.size(0), x.size(1)
        if lengths is not None:
            lengths = check_lengths(lengths, steps, batch)
        if resets is not None:
            resets = check_resets(resets, steps, batch, self.batch_first and is_batched)
        sequences = Sequences(
            steps, lengths=lengths, resets=resets, bptt_clip=self.bptt_clip, every=every
        )
        y, after = self._run(weights, x, states, sequences)
        if not is_batched:
            return y.squeeze(1), self._from_states([s.squeeze(-2) for s in after])
        if self.batch_first:
            y = y.transpose(0, 1)
            after = tuple(s.transpose(1, 2) for s in after) if every else after
        return y, self._from_states(after)

    def trace(
        self,
        input: Tensor,
        hx: Any = None,
        lengths: Tensor | Sequence[int] | None = None,
        resets: Tensor | None = None,
    ) -> Trace:
        """Every named value of the equations (`cell.show()`) at every step, without gradients."""
        return trace_layers(self, [self], input, hx, lengths, resets)

    def _forward_packed(
        self,
        packed: PackedSequence,
        hx: Any,
        lengths: object,
        resets: Tensor | None,
        every: bool,
    ) -> tuple[PackedSequence, Any]:
        if hx is None:
            states = self._zeros(packed.data, int(packed.batch_sizes[0]))
        else:
            states = self._as_states(self.permute_hidden(hx, packed.sorted_indices))
        weights = self._checked_weights(packed.data)
        self.check_forward_args(packed.data, self._from_states(states), packed.batch_sizes)
        sequences = unpack(packed, lengths, resets, self.batch_first)
        sequences = sequences._replace(bptt_clip=self.bptt_clip, every=every)
        y, after = self._run(weights, packed.data, states, sequences)
        if not every:
            final = self.permute_hidden(self._from_states(after), packed.unsorted_indices)
            return pack_like(packed, y), final
        if packed.unsorted_indices is not None:
            after = tuple(s.index_select(2, packed.unsorted_indices) for s in after)
        after = tuple(s.transpose(1, 2) for s in after) if self.batch_first else after
        return pack_like(packed, y), self._from_states(after)

    @property
    def _name(self) -> str:
        return self.mode.partition("_")[0]

    def _checked_weights(self, input: Tensor) -> list[list[Tensor]]:
        """The parameters, read once a run: each access computes parametrised ones again."""
        own = self._parameters
        weights: list[list[Any]] = [
            [own[name] if name in own else getattr(self, name) for name in names]
            for names in self._all_weights
        ]
        if input.dtype != weights[0][0].dtype:
            check_dtype(input, weights[0][0])
        return weights

    def _run(
        self,
        weights: list[list[Tensor]],
        x: Tensor,
        states: tuple[Tensor, ...],
        sequences: Sequences,
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        if x.size(0) == 0:
            check_steps(x)
        found = run_layers(
            self._kernel,
            [self._stored(each) for each in weights],
            x,
            states,
            sequences,
            directions=self._directions,
            dropout=dropout_between(self.num_layers, self.dropout, self.training),
        )
        return self._as_autocast(*found, sequences) if _any_autocast() else found

    def _as_autocast(
        self, y: Tensor, after: tuple[Tensor, ...], sequences: Sequences
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Results in the dtypes of torch's layer under autocast, whichever engine they are from.

        On CPUs torch's GRU, its LSTM where packed rows differ in length, and a projected LSTM's
        cell state aren't lowered: their dtype is left as it is.
        """
        device, lowered = y.device.type, len(after)
        is_on = torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)
        if not is_on or y.dtype is torch.double:
            return y, after
        if device == "cpu":
            lengths = sequences.lengths if sequences.is_packed else None
            is_ragged = lengths is not None and bool((lengths != sequences.steps).any())
            if self.mode == "GRU" or (self.mode == "LSTM" and is_ragged and not self.proj_size):
                return y, after
            lowered = 1 if self.proj_size else lowered
        dtype = torch.get_autocast_dtype(device)
        states = [s.to(dtype) if i < lowered else s for i, s in enumerate(after)]
        return y.to(dtype), tuple(states)

    def layer_parameters(self) -> list[TorchParameters]:
        """The parameters of each layer, of one direction."""
        return [self._stored(weights) for weights in self.all_weights]

    def step_runs(self, batch: int, count: int, *, quantize: bool = False) -> list[StepRun] | None:
        """The layers as steps that come one after another, `count` at most in a run.

        `quantize`: with int8 weights.
        None for layers of two directions, and where the engine has nothing for them.
        """
        if self.bidirectional:
            return None
        inputs = self._flat_weights[0].new_zeros(count, batch, self.input_size)
        return step_runs(
            self._kernel, self.layer_parameters(), inputs, self._state_sizes, quantize=quantize
        )

    def _stored(self, weights: list[Tensor]) -> TorchParameters:
        """The parameters of one layer and direction, None for those that it hasn't."""
        weight_ih, weight_hh, *rest = weights
        bias_ih, bias_hh = rest[:2] if self.bias else (None, None)
        weight_hr = rest[-1] if self.proj_size else None
        return TorchParameters(weight_ih, weight_hh, bias_ih, bias_hh, weight_hr)

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from their defaults."""
        words = [str(self.input_size), str(self.hidden_size)]
        if self.proj_size != 0:
            words.append(f"proj_size={self.proj_size}")
        if self.num_layers != 1:
            words.append(f"num_layers={self.num_layers}")
        if self.bias is not True:
            words.append(f"bias={self.bias}")
        flags = ("batch_first", "dropout", "bidirectional")
        words += [f"{name}={getattr(self, name)}" for name in flags if getattr(self, name)]
        return ", ".join(words)
