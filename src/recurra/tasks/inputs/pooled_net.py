"""A network with one answer for a sequence: front end, recurrent layers, pooling, a linear head."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.config.sequence_config import SequenceConfig
from recurra.nn import Recurrent, Stack
from recurra.nn.frontends import FrontEnd
from recurra.nn.pooling import Pooling
from recurra.tasks.network import ActivationPenalties, initialise, recurrent_layers

__all__ = ["PooledNet"]


class PooledNet(nn.Module):
    """`net(features, lengths)`: features (T, B, F) with lengths (B,) give answers (B, outputs)."""

    def __init__(self, config: SequenceConfig, front: FrontEnd, outputs: int) -> None:
        super().__init__()
        self.front: FrontEnd = front
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.recurrent: Recurrent | Stack = recurrent_layers(config, front.output_size)
        self.penalties: ActivationPenalties = ActivationPenalties(config)
        size = self.recurrent.output_size
        self.pooling: Pooling = Pooling(config.pooling, size, bidirectional=config.bidirectional)
        self.head: nn.Linear = nn.Linear(size, outputs)
        nn.init.zeros_(self.head.bias)
        initialise(self.recurrent, config)

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (T', B, size), their lengths, and the penalty on activations."""
        steps, lengths = self.front(features, lengths)
        outputs, _ = self.recurrent(self.dropout(steps), lengths=lengths)
        return outputs, lengths, self.penalties(self.dropout(outputs), outputs)

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        return self.answered(features, lengths)[0]

    def answered(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers, and the penalty on activations."""
        outputs, lengths, penalty = self.encode(features, lengths)
        answers: Tensor = self.head(self.dropout(self.pooling(outputs, lengths)))
        return answers, penalty

    def along(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers after every step (T', B, outputs), and the steps of each sequence (B,)."""
        outputs, lengths, _ = self.encode(features, lengths)
        return self.head(self.pooling.along(outputs)), lengths

    def weights(self, features: Tensor, lengths: Tensor) -> Tensor:
        """How much each step counts for the answer, (T', B)."""
        outputs, lengths, _ = self.encode(features, lengths)
        return self.pooling.weights(outputs, lengths).squeeze(-1)

    def parameter_count(self) -> int:
        """Learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
