"""Swapping torch's layers in a model that exists already.

    python examples/swap_layers.py

`recurra.accelerate` replaces every recurrent layer of torch inside a model by Recurra's. The
parameters are shared, not copied, so an optimiser made before goes on working, and a checkpoint of
the old model loads into the new one and back.
"""

import torch
from torch import nn

import recurra


class Tagger(nn.Module):
    """A word tagger as many have written it: embedding, bidirectional LSTM, linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(1000, 32)
        self.encoder = nn.LSTM(32, 64, num_layers=2, bidirectional=True, batch_first=True)
        self.tags = nn.Linear(128, 17)

    def forward(self, words: torch.Tensor) -> torch.Tensor:
        """Scores (batch, length, 17) of words (batch, length)."""
        outputs, _ = self.encoder(self.embedding(words))
        return self.tags(outputs)


def main() -> float:
    """Swap the layers of a tagger; returns how far the outputs moved."""
    torch.manual_seed(0)
    model = Tagger()
    optimiser = torch.optim.Adam(model.parameters())
    words = torch.randint(1000, (8, 20))
    before = model(words)

    print(recurra.accelerate(model))

    after = model(words)
    distance = (after - before).abs().max().item()
    print(f"the outputs moved by at most {distance:.1e}")
    after.sum().backward()
    optimiser.step()
    print("the optimiser made before the swap took a step")
    return distance


if __name__ == "__main__":
    main()
