"""An LSTM with peepholes, which torch has no layer of, as a loop of torch operations."""

import torch
from torch import Tensor, nn

from recurra.nn import Recurrent

__all__ = ["EagerPeephole"]


class EagerPeephole(nn.Module):
    """The same in torch, as one who cares for speed writes it: `y, (h, c) = layer(x)`.

    The products of all gates are one, and those of the input one for all steps. x (T, B, I). The
    weights are those of `layer`, a `Recurrent(PeepholeLSTM, ...)`, copied.
    """

    def __init__(self, layer: Recurrent) -> None:
        super().__init__()
        self.hidden_size = layer.hidden_size
        weights = {name: value.detach() for name, value in layer.named_parameters()}
        self.W, self.U, self.b, self.p = (
            nn.Parameter(weights[f"{name}_l0"].clone()) for name in ("W", "U", "b", "p")
        )

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Outputs (T, B, H) and the last states, from zeros."""
        h = c = x.new_zeros(x.shape[1], self.hidden_size)
        recurrent = self.U.t()
        p_i, p_f, p_o = self.p.chunk(3)
        outputs = []
        for products in nn.functional.linear(x, self.W, self.b).unbind():
            i, f, g, o = torch.addmm(products, h, recurrent).chunk(4, dim=1)
            i, f = torch.addcmul(i, p_i, c).sigmoid(), torch.addcmul(f, p_f, c).sigmoid()
            c = f * c + i * g.tanh()
            o = torch.addcmul(o, p_o, c).sigmoid()
            h = o * c.tanh()
            outputs.append(h)
        return torch.stack(outputs), (h, c)
