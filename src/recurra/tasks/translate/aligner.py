"""The aligner: an encoder whose steps are stretched, each of them a token or a blank (CTC)."""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn
from torch.nn import functional

from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
from recurra.tasks.network import initialise, penalised, recurrent_layers
from recurra.tasks.translate.config import TranslateConfig
from recurra.tasks.translate.model import BOUNDARY, Encoder, PairBatch

__all__ = ["AlignerNet"]


class AlignerNet(nn.Module):
    """Log-probabilities of the targets' tokens, independent of one another (Graves et al. 2006).

    `net(batch)` of sources (S, B) gives (S * stretch, B, V), of which token 0 is the blank:
    `stretch` steps for each token of the source, read by a recurrent layer of their own.
    """

    def __init__(self, config: TranslateConfig, sources: int, targets: int) -> None:
        super().__init__()
        self.stretch: int = config.stretch
        self.encoder: Encoder = Encoder(config, sources)
        self.spread: nn.Linear = Linear(self.encoder.output_size, config.stretch * config.embedding)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        top = dataclasses.replace(config, layers=1, dilation=1)
        self.top: Recurrent | Stack = recurrent_layers(top, config.embedding)
        self.head: nn.Linear = Linear(self.top.output_size, targets)
        nn.init.zeros_(self.head.bias)
        initialise(self.top, config)

    def forward(self, batch: PairBatch) -> Tensor:
        return self.frames(batch.source, batch.source_lengths)[0]

    def loss(self, batch: PairBatch) -> Tensor:
        """Nats a token of the targets, with the penalties' gradient; too long targets count 0."""
        frames, penalty = self.frames(batch.source, batch.source_lengths)
        nats = functional.ctc_loss(
            frames,
            batch.target.t(),
            batch.source_lengths * self.stretch,
            batch.target_lengths,
            blank=BOUNDARY,
            reduction="none",
            zero_infinity=True,
        )
        return penalised(nats.sum() / batch.targets_in_all, penalty)

    def parameter_count(self) -> int:
        """Learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())

    def frames(self, source: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """What `forward` gives of sources (S, B), and the penalty on activations."""
        outputs, penalty = self.encoder(source, lengths)
        steps, rows, _ = outputs.shape
        spread = self.spread(outputs).relu().view(steps, rows, self.stretch, -1)
        spread = spread.transpose(1, 2).flatten(0, 1)
        read, _ = self.top(spread, lengths=lengths * self.stretch)
        frames: Tensor = self.head(self.dropout(read)).log_softmax(-1)
        return frames, penalty
