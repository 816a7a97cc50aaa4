"""Parameters as torch's recurrent layers store them, and by their names in a cell's equations.

| stored    | in the equations                                                             |
|-----------|------------------------------------------------------------------------------|
| weight_ih | W                                                                            |
| weight_hh | U                                                                            |
| bias_ih   | b = bias_ih + bias_hh; in a GRU's candidate, where they differ, b = bias_ih  |
| bias_hh   | b_h: that part of a GRU's                                                    |
| weight_hr | R                                                                            |
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from recurra.ir import Graph

__all__ = ["Parameters", "TorchParameters", "as_autocast", "named", "stored"]


class TorchParameters(NamedTuple):
    """The parameters of one layer and direction of torch's, None for those that it hasn't."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None

    def tensors(self) -> list[Tensor]:
        """Those that are there, in the order in which torch's operations take them."""
        return [t for t in self if t is not None]


Parameters = Mapping[str, Tensor] | TorchParameters
"""Parameters by the names of the equations, and what else a cell is given; or as torch's."""


def named(params: Parameters, graph: Graph) -> Mapping[str, Tensor]:
    """Parameters by the names of a graph's equations."""
    if not isinstance(params, TorchParameters):
        return params
    if torch._C._is_any_autocast_enabled():
        params = TorchParameters._make(None if t is None else as_autocast(t) for t in params)
    weight_ih, weight_hh, bias_ih, bias_hh, weight_hr = params
    found = {"W": weight_ih, "U": weight_hh}
    if bias_ih is not None and bias_hh is not None:
        found |= _biases(bias_ih, bias_hh, graph)
    if weight_hr is not None:
        found["R"] = weight_hr
    return found


def _biases(bias_ih: Tensor, bias_hh: Tensor, graph: Graph) -> dict[str, Tensor]:
    """The two biases as one, but where the equations use the second by itself."""
    for param in graph.params:
        if param.name == "b_h":
            size = bias_ih.shape[0] // 3
            summed = F.pad(bias_hh[: 2 * size], (0, size))
            return {"b": bias_ih + summed, "b_h": bias_hh[2 * size :]}
    return {"b": bias_ih + bias_hh}


def stored(params: Parameters) -> TorchParameters:
    """Parameters W, U, (b, (b_h)), (R) as torch's operations take them."""
    if isinstance(params, TorchParameters):
        return params
    bias_ih, own = params.get("b"), params.get("b_h")
    if bias_ih is None:
        bias_hh = None
    elif own is None:
        bias_hh = torch.zeros_like(bias_ih)
    else:
        bias_hh = F.pad(own, (len(bias_ih) - len(own), 0))
    return TorchParameters(params["W"], params["U"], bias_ih, bias_hh, params.get("R"))


def as_autocast(tensor: Tensor) -> Tensor:
    """A tensor as torch's own operations take it where autocast is on; doubles stay."""
    device = tensor.device.type
    if not torch.amp.is_autocast_available(device) or not torch.is_autocast_enabled(device):
        return tensor
    return tensor if tensor.dtype is torch.double else tensor.to(torch.get_autocast_dtype(device))
