"""The language model: an embedding, recurrent layers and a linear layer over the vocabulary."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.cells import Cell, load
from recurra.data.batches import Streams, Window
from recurra.errors import ConfigError
from recurra.nn import Recurrent, Stack
from recurra.nn.linear import Linear
from recurra.nn.program import Program, ProgramBuilder, lowered
from recurra.tasks.language.config import LanguageConfig
from recurra.tasks.network import (
    ActivationPenalties,
    initialise,
    penalised,
    recurrent_layers,
)
from recurra.training import State

__all__ = ["LanguageNet", "mean_nats", "next_token_loss"]

_CHUNK_LOGITS = 1 << 22
"""At most so many logits at a time: 16 MiB in float32."""


class LanguageNet(nn.Module):
    """Logits of the next token from the tokens so far.

    `logits, states = net(tokens, states)` with tokens (T, B), logits (T, B, V) and the states of
    the recurrent layers; `states=None` starts from zeros, or from the learnt initial states. With
    `with_penalty` the penalties on activations come third, weighted and summed.

    Raises ConfigError or CellError for a remedy that the cell can't have.
    """

    def __init__(self, config: LanguageConfig, vocabulary_size: int) -> None:
        super().__init__()
        width = config.embedding or config.hidden
        self.embedding: nn.Embedding = nn.Embedding(vocabulary_size, width)
        self.dropout: nn.Dropout = nn.Dropout(config.dropout)
        self.cell: Cell = load(config.cell)
        self.recurrent: Recurrent | Stack = recurrent_layers(config, width)
        self.penalties: ActivationPenalties = ActivationPenalties(config)
        self.head: nn.Linear = Linear(self.recurrent.output_size, vocabulary_size)
        # Small and uniform, so that the first predictions are nearly uniform even where one matrix
        # is both embedding and output layer.
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.head.weight, -0.1, 0.1)
        nn.init.zeros_(self.head.bias)
        initialise(self.recurrent, config)
        if config.tie_embeddings:
            self._tie()

    def _tie(self) -> None:
        width, outputs = self.embedding.embedding_dim, self.recurrent.output_size
        if width != outputs:
            raise ConfigError(
                f"tie_embeddings needs vectors as wide as the layers' outputs: embedding is "
                f"{width}, the outputs are {outputs}; give embedding = {outputs}."
            )
        self.head.weight = self.embedding.weight

    def forward(
        self, tokens: Tensor, states: State = None, *, with_penalty: bool = False
    ) -> tuple[Tensor, State] | tuple[Tensor, State, Tensor]:
        outputs, states = self.recurrent(self.dropout(self.embedding(tokens)), states)
        kept = self.dropout(outputs)
        logits: Tensor = self.head(kept)
        return (logits, states, self.penalties(kept, outputs)) if with_penalty else (logits, states)

    def program(self) -> Program:
        """The logits of the next token after every step of tokens (T, B, 1)."""
        build = ProgramBuilder("tokens", 1, ragged=False)
        outputs = lowered(self.recurrent, build, lowered(self.embedding, build, build.input))
        return build.finished(lowered(self.head, build, outputs))

    def parameter_count(self) -> int:
        """Learnt numbers; a matrix that is tied counts once."""
        return sum(parameter.numel() for parameter in self.parameters())


def next_token_loss(net: nn.Module, batch: Window, states: State) -> tuple[Tensor, int, State]:
    """Mean loss in nats of one window, how many tokens it is the mean of, and the states after.

    Its gradient is that of the loss with the model's penalties, its value that without.
    """
    logits, states, penalty = net(batch.inputs, states, with_penalty=True)
    loss = functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
    return penalised(loss, penalty), batch.targets.numel(), states


@torch.inference_mode()
def mean_nats(net: nn.Module, ids: Tensor, vocabulary_size: int, *, rows: int = 1) -> float:
    """Mean loss per token in nats, the text cut into `rows` contiguous streams.

    One row is exact; more are faster and count each row's first tokens without their past.
    """
    steps = (len(ids) - 1) // rows
    chunk = min(max(_CHUNK_LOGITS // (rows * vocabulary_size), 1), steps)
    streams = Streams(ids, rows=rows, window=chunk)
    total, tokens = 0.0, 0
    states: State = None
    training = net.training
    net.eval()
    for index in range(len(streams)):
        inputs, targets = streams.window(0, index)
        logits, states = net(inputs, states)
        losses = functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")
        total += losses.double().sum().item()
        tokens += targets.numel()
    net.train(training)
    return total / tokens
