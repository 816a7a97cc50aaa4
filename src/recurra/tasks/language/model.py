"""The language model: an embedding, recurrent layers and a linear layer over the vocabulary."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.config.network import Start
from recurra.data.batches import Streams, Window
from recurra.errors import ConfigError
from recurra.nn import Recurrent, init
from recurra.nn.penalties import activation_penalty, temporal_activation_penalty
from recurra.tasks.language.config import LanguageConfig
from recurra.training import State

__all__ = ["LanguageNet", "States", "mean_nats", "next_token_loss"]

_CHUNK_LOGITS = 1 << 22
"""At most so many logits at a time: 16 MiB in float32."""

States = tuple[Tensor, ...]


class LanguageNet(nn.Module):
    """Logits of the next token from the tokens so far.

    `logits, states = net(tokens, states)` with tokens (T, B), logits (T, B, V) and one tensor
    (L, B, H) for each state of the cell; `states=None` starts from zeros, or what is learnt. With
    `with_penalty` the penalties on activations come third, weighted and summed.

    Raises ConfigError or CellError where the cell can't have a remedy that is asked for.
    """

    def __init__(self, config: LanguageConfig, vocabulary_size: int) -> None:
        super().__init__()
        width = config.embedding or config.hidden
        self.embedding = nn.Embedding(vocabulary_size, width)
        self.dropout = nn.Dropout(config.dropout)
        self.recurrent = Recurrent(
            config.cell,
            width,
            config.hidden,
            config.layers,
            dropout=config.dropout if config.layers > 1 else 0.0,
            **config.layer_options,
        )
        self.penalties = (config.activation_penalty, config.temporal_activation_penalty)
        self.head = nn.Linear(self.recurrent.output_size, vocabulary_size)
        # Small and uniform, so that the first predictions are nearly uniform even where one matrix
        # is both embedding and output layer.
        nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        nn.init.uniform_(self.head.weight, -0.1, 0.1)
        nn.init.zeros_(self.head.bias)
        for start in config.starts:
            _begin(self.recurrent, start)
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
        self, tokens: Tensor, states: States | None = None, *, with_penalty: bool = False
    ) -> tuple[Tensor, States] | tuple[Tensor, States, Tensor]:
        outputs, states = self.recurrent(self.dropout(self.embedding(tokens)), states)
        kept = self.dropout(outputs)
        logits: Tensor = self.head(kept)
        return (logits, states, self._penalty(kept, outputs)) if with_penalty else (logits, states)

    def _penalty(self, kept: Tensor, outputs: Tensor) -> Tensor:
        """On size of what dropout keeps, and on changes of what it is made of, as in the paper."""
        size, change = self.penalties
        penalty = outputs.new_zeros(())
        if size:
            penalty = penalty + size * activation_penalty(kept)
        if change:
            penalty = penalty + change * temporal_activation_penalty(outputs)
        return penalty

    def parameter_count(self) -> int:
        """Learnt numbers; a matrix that is tied counts once."""
        return sum(parameter.numel() for parameter in self.parameters())


def _begin(recurrent: Recurrent, start: Start) -> None:
    match start.name:
        case "chrono":
            init.chrono_(recurrent, int(start.value))
        case "orthogonal":
            init.orthogonal_(recurrent, start.value)
        case "identity":
            init.identity_(recurrent, start.value)
        case "forget-bias":
            init.forget_bias_(recurrent, start.value)


def next_token_loss(net: nn.Module, batch: Window, states: State) -> tuple[Tensor, int, State]:
    """Mean loss in nats of one window, how many tokens it is the mean of, and the states after.

    Its gradient is that of the loss with the model's penalties, its value that without.
    """
    logits, states, penalty = net(batch.inputs, states, with_penalty=True)
    loss = functional.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())
    # Adds nothing but a gradient, so that losses compare whatever the penalties weigh.
    return loss + (penalty - penalty.detach()), batch.targets.numel(), states


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
