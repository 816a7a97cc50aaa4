"""torch's parameters of a recurrent layer, by the names they have in a cell's equations."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["as_cell_parameters"]


def as_cell_parameters(mode: str, weights: Sequence[Tensor], bias: bool) -> dict[str, Tensor]:
    """weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, as far as given, as W, U, b, (b_h,) R.

    torch's two biases are summed where only their sum matters; in a GRU's candidate they differ.
    Under autocast all come in its dtype: a float32 bias would make the states float32 too.
    """
    if torch._C._is_any_autocast_enabled():
        weights = [_as_autocast(w) for w in weights]
    params = {"W": weights[0], "U": weights[1]}
    rest = list(weights[2:])
    if bias:
        b_ih, b_hh, *rest = rest
        if mode == "GRU":
            size = b_ih.shape[0] // 3
            params |= {"b": b_ih + F.pad(b_hh[: 2 * size], (0, size)), "b_h": b_hh[2 * size :]}
        else:
            params["b"] = b_ih + b_hh
    if rest:
        params["R"] = rest[0]
    return params


def _as_autocast(weight: Tensor) -> Tensor:
    """A parameter as torch's own operations take it where autocast is on; it leaves doubles."""
    device = weight.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return weight
    return weight if weight.dtype is torch.double else weight.to(torch.get_autocast_dtype(device))
