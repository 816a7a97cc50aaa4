"""The transcriber's network: a front end, recurrent layers, and a CTC head or a transducer's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from recurra.nn import Recurrent, Stack
from recurra.nn.frontends import FrontEnd
from recurra.nn.linear import Linear
from recurra.nn.program import Program, ProgramBuilder, lowered
from recurra.nn.transducer import Transducer
from recurra.tasks.inputs.front_end import convolutions
from recurra.tasks.network import ActivationPenalties, initialise, penalised, recurrent_layers
from recurra.tasks.transcribe.config import TranscribeConfig

__all__ = ["TranscribeNet", "TranscribeSizes"]

BLANK = 0


class TranscribeSizes(NamedTuple):
    """What the data decide of a network: the kind of input, its features, the tokens."""

    kind: str
    features: int
    tokens: int


class TranscribeNet(nn.Module):
    """What a search for the text reads, from features.

    `frames, lengths = net(features, lengths)` with features (T, B, F) and lengths (B,): for CTC the
    log-probabilities (T', B, K) of the tokens, the first of them the blank; for a transducer the
    outputs (T', B, size) of the recurrent layers, which `encode` gives.
    """

    def __init__(self, config: TranscribeConfig, sizes: TranscribeSizes) -> None:
        super().__init__()
        self.front: FrontEnd = convolutions(config, sizes.kind, sizes.features)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.recurrent: Recurrent | Stack = recurrent_layers(config, self.front.output_size)
        self.penalties: ActivationPenalties = ActivationPenalties(config)
        self.head: nn.Linear = Linear(self.recurrent.output_size, sizes.tokens)
        nn.init.zeros_(self.head.bias)
        self.ctc_weight: float = 1.0
        self.transducer: Transducer | None = None
        if config.model == "transducer":
            self.ctc_weight = config.ctc_weight
            self.transducer = Transducer(
                self.recurrent.output_size,
                sizes.tokens,
                joint_size=config.joint,
                predictor_size=config.joint,
                cell=config.cell,
            )
        initialise(self.recurrent, config)

    def encode(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Outputs (T', B, size), their lengths, and the penalty on activations."""
        steps, lengths = self.front(features, lengths)
        outputs, _ = self.recurrent(self.dropout(steps), lengths=lengths)
        kept = self.dropout(outputs)
        return kept, lengths, self.penalties(kept, outputs)

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        outputs, lengths, _ = self.encode(features, lengths)
        return self.frames(outputs), lengths

    def frames(self, outputs: Tensor) -> Tensor:
        """What a search reads, of outputs of the recurrent layers (..., size)."""
        return outputs if self.transducer is not None else self.said(outputs)

    def said(self, outputs: Tensor) -> Tensor:
        """CTC's log-probabilities (..., K) of outputs of the recurrent layers (..., size)."""
        log_probs: Tensor = self.head(outputs).log_softmax(-1)
        return log_probs

    def loss(self, batch: TextBatch) -> Tensor:
        """Nats a character of the transcripts, with the penalties' gradient."""
        outputs, lengths, penalty = self.encode(batch.features, batch.lengths)
        nats = outputs.new_zeros(())
        if self.ctc_weight:
            nats = self.ctc_weight * ctc_nats(self.said(outputs), lengths, batch).sum()
        if self.transducer is not None:
            own = self.transducer(
                outputs.transpose(0, 1), batch.targets, lengths, batch.target_lengths
            )
            nats = nats + (1 - self.ctc_weight) * own.sum()
        return penalised(nats / batch.targets_in_all, penalty)

    def program(self, build: ProgramBuilder) -> Program:
        """The frames of `forward`."""
        outputs = lowered(self.recurrent, build, lowered(self.front, build, build.input))
        if self.transducer is None:
            outputs = build.activation("log_softmax", lowered(self.head, build, outputs))
        return build.finished(outputs)

    @property
    def frame_size(self) -> int:
        """Numbers of a frame that a search reads."""
        return self.head.in_features if self.transducer is not None else self.head.out_features

    def parameter_count(self) -> int:
        """Learnt numbers."""
        return sum(parameter.numel() for parameter in self.parameters())


class TextBatch(NamedTuple):
    """Features (T, B, F) of B items with their lengths, and their texts (B, U), padded."""

    features: Tensor
    lengths: Tensor
    targets: Tensor
    target_lengths: Tensor
    items: Sequence[int] = ()

    @property
    def targets_in_all(self) -> int:
        """Characters of all texts; 1 where there are none."""
        return max(1, int(self.target_lengths.sum()))


def needed_steps(text: str) -> int:
    """The least steps that CTC takes to write a text: a blank lies between equal characters.

    >>> needed_steps("hello")
    6
    """
    return len(text) + sum(a == b for a, b in itertools.pairwise(text))


def ctc_nats(log_probs: Tensor, lengths: Tensor, batch: TextBatch) -> Tensor:
    """The negative log-probability of each text, (B,); 0 where the steps are too few for it."""
    return functional.ctc_loss(
        log_probs,
        batch.targets,
        lengths,
        batch.target_lengths,
        blank=BLANK,
        reduction="none",
        zero_infinity=True,
    )
