"""RNN, LSTM and GRU as drop-ins for torch's: signature, parameters, draws, outputs and errors."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from recurra.cells import GRU as GRUEquations
from recurra.cells import LSTM as LSTMEquations
from recurra.cells import RNN as RNNEquations
from recurra.cells import Cell, ProjectedLSTM
from recurra.nn.layers.rnn_base import RNNBase

__all__ = ["GRU", "LSTM", "RNN"]


class RNN(RNNBase):
    """Simple recurrent network, a drop-in for torch.nn.RNN: `y, h_n = rnn(x, h_0)`.

    Input (T, B, I), (B, T, I) with batch_first, (T, I) or packed; h (L*D, B, H). Raises torch's own
    errors.

    Example:
        >>> y, h = RNN(10, 20)(torch.randn(5, 3, 10))
        >>> y.shape
        torch.Size([5, 3, 20])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        if len(args) > 3:
            nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(
                f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(f"RNN_{nonlinearity.upper()}", *args, **kwargs)
        self.nonlinearity = nonlinearity

    @property
    def cell(self) -> Cell:
        """The equations of this layer."""
        return RNNEquations(nonlinearity=self.nonlinearity)


class LSTM(RNNBase):
    """Long short-term memory, a drop-in for torch.nn.LSTM: `y, (h_n, c_n) = lstm(x, (h_0, c_0))`.

    Input (T, B, I), (B, T, I) with batch_first, (T, I) or packed; h (L*D, B, proj_size or H),
    c (L*D, B, H). Raises torch's own errors.

    Example:
        >>> y, (h, c) = LSTM(10, 20, proj_size=7)(torch.randn(5, 3, 10))
        >>> y.shape, c.shape
        (torch.Size([5, 3, 7]), torch.Size([1, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    @property
    def cell(self) -> Cell:
        """The equations of this layer."""
        return ProjectedLSTM(proj_size=self.proj_size) if self.proj_size else LSTMEquations()

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape (L*D, B, H) that c must have for this input."""
        return self._state_shape(input, batch_sizes, self.hidden_size)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise torch's own errors for an input and states that don't fit."""
        self.check_input(input, batch_sizes)
        shapes = (
            self.get_expected_hidden_size(input, batch_sizes),
            self.get_expected_cell_size(input, batch_sizes),
        )
        for index, shape in enumerate(shapes):
            message = f"Expected hidden[{index}] size {{}}, got {{}}"
            self.check_hidden_size(hidden[index], shape, message)

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The states with the rows of their batch in another order."""
        if permutation is None:
            return hx
        return hx[0].index_select(1, permutation), hx[1].index_select(1, permutation)

    def _zeros(self, input: Tensor, batch: int) -> Any:
        rows = self.num_layers * self._directions
        return super()._zeros(input, batch), input.new_zeros(rows, batch, self.hidden_size)

    def _unbatched_states(self, hx: Any, is_batched: bool) -> Any:
        rank = 3 if is_batched else 2
        if hx[0].dim() != rank or hx[1].dim() != rank:
            kind = "batched 3-D" if is_batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {rank}-D but got "
                f"({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )
        return hx if is_batched else (hx[0].unsqueeze(1), hx[1].unsqueeze(1))

    def _as_states(self, hx: Any) -> tuple[Tensor, ...]:
        return hx[0], hx[1]

    def _from_states(self, states: Sequence[Tensor]) -> Any:
        return states[0], states[1]


class GRU(RNNBase):
    """Gated recurrent unit, a drop-in for torch.nn.GRU: `y, h_n = gru(x, h_0)`.

    Input (T, B, I), (B, T, I) with batch_first, (T, I) or packed; h (L*D, B, H). Raises torch's own
    errors.

    Example:
        >>> y, h = GRU(10, 20, bidirectional=True)(torch.randn(5, 3, 10))
        >>> y.shape
        torch.Size([5, 3, 40])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        _refuse_projection(kwargs)
        super().__init__("GRU", *args, **kwargs)

    @property
    def cell(self) -> Cell:
        """The equations of this layer."""
        return GRUEquations()


def _refuse_projection(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
