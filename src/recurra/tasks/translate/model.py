"""The translator's networks: an encoder, and a decoder with attention or an aligner."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
from recurra.nn.pooling import Pooling
from recurra.ragged import within
from recurra.tasks.network import ActivationPenalties, initialise, penalised, recurrent_layers
from recurra.tasks.translate.config import TranslateConfig
from recurra.tasks.translate.decoder import AttentionDecoder, Decoded, DecoderState, ReadSource

__all__ = ["Encoder", "PairBatch", "TranslateNet"]

BOUNDARY, UNKNOWN = 0, 1
"""The token that begins and ends a target and pads a source, and that of what training lacks."""


class PairBatch(NamedTuple):
    """Sources (S, B) and targets (T, B), padded by 0, with their lengths (B,).

    `copies` (S, B) and `wanted` (T, B) number tokens that the vocabulary of targets lacks as well,
    from its size on, sentence by sentence; they are `source` and `target` without copying.
    """

    source: Tensor
    source_lengths: Tensor
    target: Tensor
    target_lengths: Tensor
    copies: Tensor
    wanted: Tensor

    @property
    def targets_in_all(self) -> int:
        """Tokens of all targets, each with its end."""
        return int(self.target_lengths.sum()) + len(self.target_lengths)


class Encoder(nn.Module):
    """Tokens (S, B) with lengths (B,) become outputs (S, B, size) of recurrent layers."""

    def __init__(self, config: TranslateConfig, tokens: int) -> None:
        super().__init__()
        self.word_dropout: float = config.word_dropout
        self.embedding: nn.Embedding = nn.Embedding(tokens, config.embedding)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.recurrent: Recurrent | Stack = recurrent_layers(config, config.embedding)
        self.penalties: ActivationPenalties = ActivationPenalties(config)
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
        initialise(self.recurrent, config)

    @property
    def output_size(self) -> int:
        """Numbers of an output."""
        return self.recurrent.output_size

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The outputs, and the penalty on activations."""
        tokens = without_words(tokens, self.word_dropout if self.training else 0.0)
        outputs, _ = self.recurrent(self.dropout(self.embedding(tokens)), lengths=lengths)
        kept = self.dropout(outputs)
        return kept, self.penalties(kept, outputs)


class TranslateNet(nn.Module):
    """The log-probabilities of a target's tokens, each after those before it and a source.

    `net(batch)` gives (T + 1, B, choices): of each token of the targets after those before it, and
    of their ends. Choices are the vocabulary, and what only the sources of the batch have, where it
    can be copied. `encode` and `step` are for a search.
    """

    def __init__(self, config: TranslateConfig, sources: int, targets: int) -> None:
        super().__init__()
        self.label_smoothing: float = config.label_smoothing
        self.scheduled_sampling: float = config.scheduled_sampling
        self.word_dropout: float = config.word_dropout
        self.coverage: float = config.coverage
        self.encoder: Encoder = Encoder(config, sources)
        size = self.encoder.output_size
        self.pooling: Pooling = Pooling("last", size, bidirectional=config.bidirectional)
        self.embedding: nn.Embedding = nn.Embedding(targets, config.embedding)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.decoder: AttentionDecoder = AttentionDecoder(config, size)
        self.head: nn.Linear = Linear(config.embedding, targets)
        self.gate: nn.Linear | None = Linear(config.embedding, 1) if config.copy else None
        nn.init.normal_(self.embedding.weight, std=config.embedding**-0.5)
        nn.init.zeros_(self.head.bias)
        if config.tie_embeddings != "none":
            self.head.weight = self.embedding.weight
        if config.tie_embeddings == "all":
            self.encoder.embedding.weight = self.embedding.weight

    def forward(self, batch: PairBatch) -> Tensor:
        source = self.encode(batch.source, batch.source_lengths)
        choices = self.head.out_features
        if self.gate is not None:
            choices = max(choices, int(batch.copies.max()) + 1)
        found = self._decoded(source, _shifted(batch.target))
        return self._log_probs(found, batch.copies, choices)

    def encode(self, source: Tensor, lengths: Tensor) -> ReadSource:
        """What the decoder reads of sources (S, B)."""
        return self._encoded(source, lengths)[0]

    def step(
        self,
        tokens: Tensor,
        source: ReadSource,
        state: DecoderState | None,
        copies: Tensor,
        choices: int,
    ) -> tuple[Tensor, Tensor | None, DecoderState]:
        """One step: tokens (B,) give log-probabilities (B, choices), weights (S, B), a state.

        `copies` (S, B) are the tokens of the source as numbers of the `choices`, of which those
        from the size of the vocabulary on can only be copied.
        """
        known = torch.where(tokens < self.embedding.num_embeddings, tokens, UNKNOWN)
        found = self.decoder(self.embedding(known).unsqueeze(0), source, state)
        log_probs = self._log_probs(found, copies, choices)[0]
        return log_probs, None if found.weights is None else found.weights[0], found.state

    def loss(self, batch: PairBatch) -> Tensor:
        """Nats a token of the targets and their ends, with the penalties' gradient."""
        source, penalty = self._encoded(batch.source, batch.source_lengths)
        inputs = _shifted(batch.target)
        inputs = without_words(inputs, self.word_dropout if self.training else 0.0)
        if self.training and self.scheduled_sampling:
            inputs = self._own_answers(source, inputs)
        found = self._decoded(source, inputs)
        inside = within(batch.target_lengths + 1, len(inputs), inputs.device)
        wanted = functional.pad(batch.wanted, (0, 0, 0, 1))
        nats = self._nats(found, batch, wanted, inside).mean()
        if self.coverage and self.training and found.weights is not None:
            penalty = penalty + self.coverage * _repeated(found.weights, inside)
        return penalised(nats, penalty)

    def parameter_count(self) -> int:
        """Learnt numbers; a matrix that is tied counts once."""
        return sum(parameter.numel() for parameter in self.parameters())

    def _encoded(self, source: Tensor, lengths: Tensor) -> tuple[ReadSource, Tensor]:
        outputs, penalty = self.encoder(source, lengths)
        attention = self.decoder.attention
        memory = None if attention is None else attention.memory(outputs, lengths)
        return ReadSource(memory, self.pooling(outputs, lengths)), penalty

    def _decoded(self, source: ReadSource, inputs: Tensor) -> Decoded:
        found: Decoded = self.decoder(self.dropout(self.embedding(inputs)), source)
        return found

    @torch.no_grad()
    def _own_answers(self, source: ReadSource, inputs: Tensor) -> Tensor:
        """Inputs of which a share is what the network answers to those before them."""
        answers = self.head(self._decoded(source, inputs).outputs).argmax(-1)
        chosen = torch.rand(inputs[1:].shape, device=inputs.device) < self.scheduled_sampling
        return torch.cat([inputs[:1], torch.where(chosen, answers[:-1], inputs[1:])])

    def _log_probs(self, found: Decoded, copies: Tensor, choices: int) -> Tensor:
        """The log-probabilities (T, B, choices) of all tokens."""
        own = self.head(found.outputs).log_softmax(-1)
        if self.gate is None:
            return functional.pad(own, (0, choices - own.shape[-1]), value=-torch.inf)
        assert found.weights is not None
        share = self.gate(found.outputs)
        copied = own.new_zeros(*own.shape[:2], choices)
        places = copies.t().expand(len(own), -1, -1)
        copied.scatter_add_(2, places, found.weights.transpose(1, 2))
        copied = copied.clamp(min=_LEAST).log()
        own = functional.pad(own, (0, choices - own.shape[-1]), value=-torch.inf)
        return torch.logaddexp(
            own + functional.logsigmoid(-share), copied + functional.logsigmoid(share)
        )

    def _nats(self, found: Decoded, batch: PairBatch, wanted: Tensor, inside: Tensor) -> Tensor:
        """The loss of each token that is inside, (N,)."""
        outputs, targets = found.outputs[inside], wanted[inside]
        logits = self.head(outputs)
        smoothing = self.label_smoothing if self.training else 0.0
        if self.gate is None:
            nats: Tensor = functional.cross_entropy(
                logits, targets, label_smoothing=smoothing, reduction="none"
            )
            return nats
        assert found.weights is not None
        own = logits.log_softmax(-1)
        known = targets < own.shape[-1]
        chosen = own.gather(1, torch.where(known, targets, UNKNOWN).unsqueeze(1)).squeeze(1)
        same = batch.copies.unsqueeze(0) == wanted.unsqueeze(1)
        copied = (found.weights * same).sum(1)[inside]
        share = self.gate(outputs).squeeze(1)
        right = torch.logaddexp(
            torch.where(known, chosen, -torch.inf) + functional.logsigmoid(-share),
            copied.clamp(min=_LEAST).log() + functional.logsigmoid(share),
        )
        smoothed: Tensor = -(1 - smoothing) * right - smoothing * own.mean(-1)
        return smoothed


_LEAST = 1e-20
"""The least probability of a copy, so that its logarithm is finite."""


def without_words(tokens: Tensor, share: float) -> Tensor:
    """The tokens, of which a share is unknown; boundaries stay."""
    if not share:
        return tokens
    dropped = (torch.rand(tokens.shape, device=tokens.device) < share) & (tokens != BOUNDARY)
    return torch.where(dropped, UNKNOWN, tokens)


def _shifted(target: Tensor) -> Tensor:
    """The decoder's inputs: the beginning, then the target."""
    return functional.pad(target, (0, 0, 1, 0), value=BOUNDARY)


def _repeated(weights: Tensor, inside: Tensor) -> Tensor:
    """How much is attended to again, of weights (T, S, B): the mean over steps that are inside."""
    before = weights.cumsum(0) - weights
    return torch.minimum(weights, before).sum(1)[inside].mean()
