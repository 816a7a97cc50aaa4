"""torch's parameters of a recurrent layer, by the names they have in a cell's equations."""

from collections.abc import Sequence

import torch
from torch import Tensor

__all__ = ["as_cell_parameters"]


def as_cell_parameters(mode: str, weights: Sequence[Tensor], bias: bool) -> dict[str, Tensor]:
    """weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, as far as given, as W, U, b, (b_h,) R.

    torch's two biases are summed where only their sum matters; in a GRU's candidate they differ.
    """
    params = {"W": weights[0], "U": weights[1]}
    rest = list(weights[2:])
    if bias:
        b_ih, b_hh, *rest = rest
        if mode == "GRU":
            kept = b_ih.shape[0] // 3
            both, candidate = torch.split(b_ih, [2 * kept, kept])
            both_h, params_h = torch.split(b_hh, [2 * kept, kept])
            params |= {"b": torch.cat([both + both_h, candidate]), "b_h": params_h}
        else:
            params["b"] = b_ih + b_hh
    if rest:
        params["R"] = rest[0]
    return params
