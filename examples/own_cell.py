"""A cell of your own: write its equations, look at them, train it.

    python examples/own_cell.py

The cell is an LSTM with peepholes (Gers & Schmidhuber 2000): its gates also see the memory `c`,
through one weight a unit. `p.i * c` is what makes `p` a vector with a part for each gate; nothing
else needs to be declared. The task is an echo: say at every step which bit came in four steps ago.
"""

import torch
from torch import nn

from recurra.cells import Cell, sigmoid, tanh
from recurra.nn import Recurrent

DELAY = 4


class PeepholeLSTM(Cell):
    """Long short-term memory with peepholes (Gers & Schmidhuber 2000)."""

    states = ("h", "c")
    gates = ("i", "f", "g", "o")

    def step(self, x, h, c, W, U, b, p):
        i = sigmoid(W.i @ x + U.i @ h + p.i * c + b.i)
        f = sigmoid(W.f @ x + U.f @ h + p.f * c + b.f)
        g = tanh(W.g @ x + U.g @ h + b.g)
        c = f * c + i * g
        o = sigmoid(W.o @ x + U.o @ h + p.o * c + b.o)
        h = o * tanh(c)
        return h, c


def main(steps: int = 300) -> float:
    """Train for `steps` steps; returns the share of bits echoed right at the last one."""
    torch.manual_seed(0)
    print(PeepholeLSTM().show(), end="\n\n")
    layer, head = Recurrent(PeepholeLSTM, input_size=1, hidden_size=24), nn.Linear(24, 1)
    with torch.no_grad():
        layer.b_l0.view(4, 24)[1] = 1.0  # the forget gates start open: the memory lasts
    parameters = [*layer.parameters(), *head.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=1e-2)
    right = 0.0
    for step in range(steps):
        bits = torch.randint(2, (40, 32, 1)).float()
        outputs, _ = layer(bits)
        scores, wanted = head(outputs[DELAY:]), bits[:-DELAY]
        loss = nn.functional.binary_cross_entropy_with_logits(scores, wanted)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        right = ((scores > 0) == (wanted > 0.5)).float().mean().item()
        if step % 50 == 0 or step == steps - 1:
            print(f"step {step:4d}   loss {loss.item():.4f}   {right:.1%} of bits right")
    return right


if __name__ == "__main__":
    main()
