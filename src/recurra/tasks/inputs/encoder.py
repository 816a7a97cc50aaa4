"""What networks of sequences have in common: front end, recurrent layers, penalties."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.config.sequence_config import SequenceConfig
from recurra.nn import Recurrent, Stack
from recurra.nn.frontends import FrontEnd
from recurra.nn.program import Program, ProgramBuilder, Value, lowered
from recurra.tasks.network import ActivationPenalties, recurrent_layers

__all__ = ["SequenceEncoder"]


class SequenceEncoder(nn.Module):
    """Features (T, B, F) with lengths (B,) become outputs of recurrent layers (T', B, size).

    A subclass makes answers of them, and initialises the layers last.
    """

    def __init__(self, config: SequenceConfig, front: FrontEnd) -> None:
        super().__init__()
        self.front: FrontEnd = front
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.recurrent: Recurrent | Stack = recurrent_layers(config, front.output_size)
        self.penalties: ActivationPenalties = ActivationPenalties(config)

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (T', B, size), their lengths, and the penalty on activations."""
        steps, lengths = self.front(features, lengths)
        outputs, penalty = self.run(steps, lengths)
        return outputs, lengths, penalty

    def run(self, steps: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Outputs (T', B, size) to the steps of the front end, and the penalty on activations."""
        outputs, _ = self.recurrent(self.dropout(steps), lengths=lengths)
        return outputs, self.penalties(self.dropout(outputs), outputs)

    def encoded(self, build: ProgramBuilder) -> Value:
        """The outputs of `encode`, as operations."""
        return lowered(self.recurrent, build, lowered(self.front, build, build.input))

    def program(self, build: ProgramBuilder) -> Program:
        """The answers, as operations on the features that `build` begins with."""
        raise NotImplementedError

    def forward(self, features: Tensor, lengths: Tensor) -> Tensor:
        return self.answered(features, lengths)[0]

    def answered(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers, and the penalty on activations."""
        raise NotImplementedError

    def parameter_count(self) -> int:
        """Learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())
