"""Models as people write them with torch alone: layers, subclasses, cells in loops, own steps."""

import torch
from torch import nn


class Scaled(nn.LSTM):
    """A subclass that changes its input."""

    def forward(self, x, hx=None):
        return super().forward(2 * x, hx)


class LayerModel(nn.Module):
    """A layer of torch and a head on its last output."""

    def __init__(self, kind, **options):
        super().__init__()
        self.layer = kind(3, 8, batch_first=True, **options)
        size = options.get("proj_size", 0) or 8
        self.head = nn.Linear(size * (2 if options.get("bidirectional") else 1), 2)

    def forward(self, x):
        return self.head(self.layer(x)[0][:, -1])


class CellModel(nn.Module):
    """A cell called in a loop."""

    def __init__(self, kind):
        super().__init__()
        self.cell = kind(3, 8)
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        state = None
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class StepModel(nn.Module):
    """A loop whose step is a method: h = tanh(A [x, h]), held where a row has ended."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3 + 8, 8)
        self.head = nn.Linear(8, 2)

    def step(self, x, h):
        return torch.tanh(self.inner(torch.cat([x, h], 1)))

    def forward(self, x, lengths=None):
        h = x.new_zeros(len(x), 8)
        for t in range(x.shape[1]):
            new = self.step(x[:, t], h)
            h = new if lengths is None else torch.where((t < lengths)[:, None], new, h)
        return self.head(h)
