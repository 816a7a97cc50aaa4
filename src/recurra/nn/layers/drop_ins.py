"""RNN, LSTM and GRU as drop-ins for torch's: signature, parameters, draws, outputs and errors."""

from typing import Any

from torch import Tensor

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

    def get_expected_cell_size(
        self, input: Tensor, batch_sizes: Tensor | None
    ) -> tuple[int, int, int]:
        """The shape (L*D, B, H) that c must have for this input."""
        return self._state_shape(input, batch_sizes, self.hidden_size)

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The states with the rows of their batch in another order."""
        if permutation is None:
            return hx
        return hx[0].index_select(1, permutation), hx[1].index_select(1, permutation)

    def _rank_error(self, hidden: Any, kind: str, rank: int) -> str:
        return (
            f"For {kind} input, hx and cx should also be {rank}-D but got "
            f"({hidden[0].dim()}-D, {hidden[1].dim()}-D) tensors"
        )


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


def _refuse_projection(kwargs: dict[str, Any]) -> None:
    if "proj_size" in kwargs:
        raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
