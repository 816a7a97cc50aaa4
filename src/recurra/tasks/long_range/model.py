"""The model of a long-range problem: recurrent layers and a linear layer over their outputs."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.cells import Cell, load
from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
from recurra.nn.program import Program, ProgramBuilder, lowered
from recurra.tasks.long_range.config import RECALLED, LongRangeConfig
from recurra.tasks.long_range.sequences import Batch
from recurra.tasks.network import (
    ActivationPenalties,
    initialise,
    penalised,
    recurrent_layers,
)
from recurra.training import State

__all__ = ["LongRangeNet", "SequenceScore", "loss_of", "measure", "training_loss"]


class LongRangeNet(nn.Module):
    """Outputs (T, B, K) of every step, or (B, K) after the last, from inputs (T, B, I).

    Raises ConfigError where the cell can't have the initialisation that is asked for.
    """

    def __init__(self, config: LongRangeConfig) -> None:
        super().__init__()
        task = config.definition
        self.cell: Cell = load(config.cell)
        self.inputs: int = task.inputs
        self.recurrent: Recurrent | Stack = recurrent_layers(config, task.inputs)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.penalties: ActivationPenalties = ActivationPenalties(config)
        self.head: nn.Linear = Linear(self.recurrent.output_size, task.outputs)
        self.at_every_step: bool = task.at_every_step
        initialise(self.recurrent, config, steps=config.steps)

    def forward(
        self, inputs: Tensor, *, with_penalty: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        outputs, _ = self.recurrent(inputs)
        kept = self.dropout(outputs)
        result: Tensor = self.head(kept if self.at_every_step else kept[-1])
        return (result, self.penalties(kept, outputs)) if with_penalty else result

    def program(self) -> Program:
        """The outputs of `forward`."""
        build = ProgramBuilder("steps", self.inputs, ragged=False)
        outputs = lowered(self.recurrent, build, build.input)
        if not self.at_every_step:
            outputs = build.pool(outputs, "last", bidirectional=False)
        return build.finished(lowered(self.head, build, outputs))

    def parameter_count(self) -> int:
        """Learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


class SequenceScore(NamedTuple):
    """Mean loss, and the share of targets hit where they are classes."""

    loss: float
    accuracy: float | None


def loss_of(outputs: Tensor, targets: Tensor) -> Tensor:
    """Mean squared error for targets that are numbers, else mean cross-entropy in nats."""
    if targets.is_floating_point():
        return functional.mse_loss(outputs.squeeze(-1), targets)
    return functional.cross_entropy(outputs.flatten(0, -2), targets.flatten())


def training_loss(net: nn.Module, batch: Batch, state: State) -> tuple[Tensor, int, State]:
    """What `fit` asks for: the loss, the steps of all sequences, and no state to carry."""
    outputs, penalty = net(batch.inputs, with_penalty=True)
    loss = penalised(loss_of(outputs, batch.targets), penalty)
    return loss, batch.inputs.shape[0] * batch.inputs.shape[1], None


@torch.inference_mode()
def measure(net: nn.Module, batches: Iterable[Batch]) -> SequenceScore:
    """Loss and accuracy over all of `batches`, each sequence counting the same.

    Where every step has a target, accuracy is that of the symbols to be recalled, the last ones.
    """
    loss, hits, targets, rows = 0.0, 0, 0, 0
    for batch in batches:
        outputs, count = net(batch.inputs), batch.inputs.shape[1]
        loss += loss_of(outputs, batch.targets).item() * count
        rows += count
        if not batch.targets.is_floating_point():
            right = outputs.argmax(-1) == batch.targets
            right = right[-RECALLED:] if right.dim() == 2 else right
            hits, targets = hits + int(right.sum()), targets + right.numel()
    return SequenceScore(loss / rows, hits / targets if targets else None)
