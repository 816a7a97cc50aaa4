"""A network with one answer for a sequence: encoder, pooling, a linear head."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.config.sequence_config import SequenceConfig
from recurra.nn.frontends import FrontEnd
from recurra.nn.linear import Linear
from recurra.nn.pooling import Pooling
from recurra.nn.program import Program, ProgramBuilder, lowered
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.network import initialise

__all__ = ["PooledNet"]


class PooledNet(SequenceEncoder):
    """`net(features, lengths)`: features (T, B, F) with lengths (B,) give answers (B, outputs)."""

    def __init__(self, config: SequenceConfig, front: FrontEnd, outputs: int) -> None:
        super().__init__(config, front)
        size = self.recurrent.output_size
        self.pooling: Pooling = Pooling(config.pooling, size, bidirectional=config.bidirectional)
        self.head: nn.Linear = Linear(size, outputs)
        nn.init.zeros_(self.head.bias)
        initialise(self.recurrent, config)

    def answered(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers, and the penalty on activations."""
        outputs, lengths, penalty = self.encode(features, lengths)
        answers: Tensor = self.head(self.dropout(self.pooling(outputs, lengths)))
        return answers, penalty

    def program(self, build: ProgramBuilder) -> Program:
        """The answers of `forward`."""
        pooled = lowered(self.pooling, build, self.encoded(build))
        return build.finished(lowered(self.head, build, pooled))

    def along(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers after every step (T', B, outputs), and the steps of each sequence (B,)."""
        outputs, lengths, _ = self.encode(features, lengths)
        return self.head(self.pooling.along(outputs)), lengths

    def weights(self, features: Tensor, lengths: Tensor) -> Tensor:
        """How much each step counts for the answer, (T', B)."""
        outputs, lengths, _ = self.encode(features, lengths)
        return self.pooling.weights(outputs, lengths).squeeze(-1)
