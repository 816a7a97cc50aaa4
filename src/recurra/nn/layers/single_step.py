"""RNNCell, LSTMCell and GRUCell as drop-ins for torch's: one step of one layer."""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra import settings
from recurra.cells import Cell
from recurra.nn.execute import Kernel, TorchParameters, TracedLoop, engine_of, kernel
from recurra.nn.layers.arguments import check_whole
from recurra.nn.layers.module import RecurrentModule
from recurra.nn.layers.rnn_base import CELLS_OF_MODES

__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]


_WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class RNNCellBase(RecurrentModule):
    """Base of the cell modules: parameters laid out as torch's, and checked arguments."""

    mode: str
    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__()
        check_whole(input_size=input_size, hidden_size=hidden_size)
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        self._engine = engine or settings.default_engine()
        rows = num_chunks * hidden_size
        shapes = {"weight_ih": (rows, input_size), "weight_hh": (rows, hidden_size)}
        for name, shape in shapes.items():
            value = torch.empty(shape, device=device, dtype=dtype)
            self.register_parameter(name, nn.Parameter(value))
        for name in ("bias_ih", "bias_hh"):
            vector = nn.Parameter(torch.empty(rows, device=device, dtype=dtype)) if bias else None
            self.register_parameter(name, vector)
        self.reset_parameters()

    @property
    def cell(self) -> Cell:
        """The equations of this module."""
        return CELLS_OF_MODES[self.mode][0]

    @property
    def _kernel(self) -> Kernel | TracedLoop:
        return kernel(self.cell, bias=bool(self.bias), engine=self._engine)

    @property
    def engine(self) -> str:
        """The engine that runs this module, with its weights' present device and dtype."""
        return engine_of(self._kernel, self.weight_ih, bptt_clip=None, is_step=True)

    def reset_parameters(self) -> None:
        """Draw every parameter again, as torch's cells do."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)

    def _step(self, input: Tensor, states: Sequence[Tensor]) -> tuple[Tensor, ...]:
        expected = input.size(0), self.hidden_size
        for state in states:
            if state.shape != expected or input.size(1) != self.input_size:
                self._check(input, states)
        own = self._parameters
        weights: list[Any] = [own[n] if n in own else getattr(self, n) for n in _WEIGHTS]
        return self._kernel.step(input, states, TorchParameters(*weights))

    def _check(self, input: Tensor, states: Sequence[Tensor]) -> None:
        if input.size(1) != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.size(1)} expected {self.input_size}"
            )
        for label, state in enumerate(states):
            if input.size(0) != state.size(0):
                raise RuntimeError(
                    f"Input batch size {input.size(0)} doesn't match hidden{label} batch size "
                    f"{state.size(0)}"
                )
            if state.size(1) != self.hidden_size:
                raise RuntimeError(
                    f"hidden{label} has inconsistent hidden_size: got {state.size(1)}, "
                    f"expected {self.hidden_size}"
                )

    def _check_rank(self, input: Tensor) -> bool:
        """True if the input has a batch."""
        if input.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected input to be 1D or 2D, got {input.dim()}D instead"
            )
        return input.dim() == 2

    def _single_state(self, input: Tensor, hx: Tensor | None) -> Tensor:
        is_batched = self._check_rank(input)
        if hx is not None and hx.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected hidden to be 1D or 2D, got {hx.dim()}D instead"
            )
        x = input if is_batched else input.unsqueeze(0)
        if hx is None:
            hx = x.new_zeros(x.size(0), self.hidden_size)
        elif not is_batched:
            hx = hx.unsqueeze(0)
        (h,) = self._step(x, (hx,))
        return h if is_batched else h.squeeze(0)

    def extra_repr(self) -> str:
        """The constructor's arguments that differ from their defaults."""
        words = [str(self.input_size), str(self.hidden_size)]
        if self.bias is not True:
            words.append(f"bias={self.bias}")
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            words.append(f"nonlinearity={self.nonlinearity}")
        return ", ".join(words)


class RNNCell(RNNCellBase):
    """One step of a simple recurrent network, a drop-in for torch.nn.RNNCell: `h = cell(x, h)`.

    x (B, I) or (I,), h (B, H) or (H,). Raises torch's own errors.

    Example:
        >>> RNNCell(10, 20)(torch.randn(3, 10)).shape
        torch.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype, engine=engine)
        self.nonlinearity = nonlinearity

    @property
    def mode(self) -> str:  # type: ignore[override]
        """torch's word for the kind of cell."""
        return f"RNN_{self.nonlinearity.upper()}"

    @property
    def cell(self) -> Cell:
        """The equations of this module."""
        if self.mode not in CELLS_OF_MODES:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return CELLS_OF_MODES[self.mode][0]

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """One step: the new h. Without `hx` the state is zeros."""
        return self._single_state(input, hx)


class LSTMCell(RNNCellBase):
    """One step of an LSTM, a drop-in for torch.nn.LSTMCell: `h, c = cell(x, (h, c))`.

    x (B, I) or (I,), h and c (B, H) or (H,). Raises torch's own errors.

    Example:
        >>> h, c = LSTMCell(10, 20)(torch.randn(3, 10))
        >>> h.shape
        torch.Size([3, 20])
    """

    mode = "LSTM"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype, engine=engine)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        """One step: the new (h, c). Without `hx` the states are zeros."""
        is_batched = self._check_rank(input)
        for index, value in enumerate(hx or ()):
            if value.dim() not in (1, 2):
                raise ValueError(
                    f"LSTMCell: Expected hx[{index}] to be 1D or 2D, got {value.dim()}D instead"
                )
        x = input if is_batched else input.unsqueeze(0)
        if hx is None:
            zeros = x.new_zeros(x.size(0), self.hidden_size)
            hx = (zeros, zeros)
        elif not is_batched:
            hx = (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        h, c = self._step(x, (hx[0], hx[1]))
        return (h, c) if is_batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of a GRU, a drop-in for torch.nn.GRUCell: `h = cell(x, h)`.

    x (B, I) or (I,), h (B, H) or (H,). Raises torch's own errors.

    Example:
        >>> GRUCell(10, 20)(torch.randn(3, 10)).shape
        torch.Size([3, 20])
    """

    mode = "GRU"

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        *,
        engine: str | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype, engine=engine)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """One step: the new h. Without `hx` the state is zeros."""
        return self._single_state(input, hx)
