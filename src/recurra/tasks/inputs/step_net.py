"""A network with an answer for every step of a sequence: encoder, a linear head."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.config.sequence_config import SequenceConfig
from recurra.nn.frontends import FrontEnd
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.network import initialise

__all__ = ["StepNet"]


class StepNet(SequenceEncoder):
    """`net(features, lengths)`: features (T, B, F) give answers (T, B, outputs).

    Where the front end makes one step of several, each of these has the answer of that one.
    """

    def __init__(self, config: SequenceConfig, front: FrontEnd, outputs: int) -> None:
        super().__init__(config, front)
        self.head: nn.Linear = nn.Linear(self.recurrent.output_size, outputs)
        nn.init.zeros_(self.head.bias)
        initialise(self.recurrent, config)

    def answered(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers, and the penalty on activations; those after a sequence's end are any."""
        outputs, _, penalty = self.encode(features, lengths)
        return self.spread(self.head(self.dropout(outputs)))[: len(features)], penalty

    def spread(self, answers: Tensor) -> Tensor:
        """Answers (T', ...) to the steps of the front end, for each of the steps they are of."""
        return answers.repeat_interleave(self.front.subsampling, 0)
