"""The transducer's prediction network: a language model over the symbols emitted so far."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from recurra.cells import Cell
from recurra.nn.layers.arguments import check_whole
from recurra.nn.layers.recurrent import Recurrent
from recurra.nn.states import State, concatenate, reorder
from recurra.nn.transducer.lattice_checks import check_targets

__all__ = ["PredictionNetwork"]


class PredictionNetwork(nn.Module):
    """An embedding and recurrent layers: outputs before the first symbol and after each.

    Args:
        tokens: K, the blank included; its embedding stands for the start of a sequence.
        size: of the embedding and of the outputs.
        cell: the cell of the layers, as `Recurrent` takes it.
        layers: their number.
        options: of `Recurrent`: dropout, remedies, engine, device, dtype.

    Example:
        >>> network = PredictionNetwork(tokens=5, size=6, cell="gru")
        >>> network(torch.tensor([[1, 4, 2]])).shape
        torch.Size([1, 4, 6])
    """

    def __init__(
        self,
        tokens: int,
        size: int,
        *,
        cell: Cell | type[Cell] | str = "lstm",
        layers: int = 1,
        **options: Any,
    ) -> None:
        super().__init__()
        check_whole(tokens=tokens)
        if tokens < 2:
            raise ValueError(f"tokens is {tokens}; give at least 2, the blank and a symbol")
        self.tokens = tokens
        factory = {name: options[name] for name in ("device", "dtype") if name in options}
        self.embedding: nn.Embedding = nn.Embedding(tokens, size, **factory)
        self.layers: Recurrent = Recurrent(cell, size, size, layers, batch_first=True, **options)

    @property
    def size(self) -> int:
        """Size of the outputs."""
        return self.layers.hidden_size

    def forward(self, targets: Tensor) -> Tensor:
        """Outputs (B, U + 1, size) after 0 to U symbols of targets (B, U), padded with 0.

        The layers run over whole sequences in one call. Raises ValueError or TypeError for targets
        that aren't tokens.
        """
        check_targets(targets, self.tokens)
        start = targets.new_zeros(len(targets), 1)
        outputs: Tensor = self.layers(self.embedding(torch.cat([start, targets], 1).long()))[0]
        return outputs

    def step(
        self, tokens: Tensor, states: Sequence[State] | None = None
    ) -> tuple[Tensor, list[State]]:
        """Outputs (N, size) after one more token (N,) of each sequence, and each one's state.

        `states` has one entry for each sequence, as returned; None where all of them start, with
        token 0. States of any earlier calls may stand side by side.
        """
        before: Any = None if states is None else concatenate(states)
        outputs, after = self.layers(self.embedding(tokens.long()).unsqueeze(1), before)
        own = range(len(tokens))
        return outputs.squeeze(1), [reorder(after, tokens.new_tensor([row]).long()) for row in own]
