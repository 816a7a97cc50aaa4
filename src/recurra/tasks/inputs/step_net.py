"""A network with an answer for every step of a sequence: encoder, a linear head."""

from __future__ import annotations

from torch import Tensor, nn

from recurra.config.sequence_config import SequenceConfig
from recurra.nn.frontends import FilteredFrontEnd, FrontEnd
from recurra.nn.linear import Linear
from recurra.nn.program import Program, ProgramBuilder, lowered
from recurra.tasks.inputs.encoder import SequenceEncoder
from recurra.tasks.network import initialise

__all__ = ["StepNet"]


class StepNet(SequenceEncoder):
    """`net(features, lengths)`: features (T, B, F) give answers (T, B, outputs).

    Where the front end makes one step of several, each of these has the answer of that one. Where
    it has a filter, the network answers what that leaves, at first nothing.
    """

    def __init__(self, config: SequenceConfig, front: FrontEnd, outputs: int) -> None:
        super().__init__(config, front)
        self.head: nn.Linear = Linear(self.recurrent.output_size, outputs)
        nn.init.zeros_(self.head.bias)
        self.filtered: int = front.filtered if isinstance(front, FilteredFrontEnd) else 0
        if self.filtered:
            nn.init.zeros_(self.head.weight)
        initialise(self.recurrent, config)

    def answered(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The answers, and the penalty on activations; those after a sequence's end are any."""
        steps, lengths = self.front(features, lengths)
        outputs, penalty = self.run(steps, lengths)
        return self.answers(self.dropout(outputs), steps)[: len(features)], penalty

    def program(self, build: ProgramBuilder) -> Program:
        """The answers of `forward`."""
        steps = lowered(self.front, build, build.input)
        found = lowered(self.head, build, lowered(self.recurrent, build, steps))
        if self.filtered:
            found = build.add(found, build.columns(steps, steps.size - self.filtered, steps.size))
        return build.finished(build.repeat(found, self.front.subsampling))

    def answers(self, outputs: Tensor, steps: Tensor) -> Tensor:
        """Answers (T, ...) by outputs (T', ..., size) of the recurrent layers, and by the steps of
        the front end that they are of.
        """
        found: Tensor = self.head(outputs)
        if self.filtered:
            found = found + steps[..., -self.filtered :]
        return found.repeat_interleave(self.front.subsampling, 0)
