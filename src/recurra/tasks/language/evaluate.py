"""How well a model predicts a text: nats per token, bits per character, perplexity."""

import math
from typing import TypedDict

import torch
from torch import Tensor
from torch.nn import functional

from recurra.data.batches import Streams
from recurra.tasks.language.model import LanguageNet, States

__all__ = ["Evaluation", "evaluate_text", "mean_nats"]

_CHUNK_LOGITS = 1 << 22
"""At most so many logits at a time: 16 MiB in float32."""


class Evaluation(TypedDict):
    """The result of an evaluation; `tokens` are those predicted, all but the text's first."""

    nats: float
    bits_per_character: float
    perplexity: float
    tokens: int
    characters: int


def evaluate_text(net: LanguageNet, ids: Tensor, characters: int) -> Evaluation:
    """Read a text of N tokens as one stream, its state carried from the first token to the last.

    `nats` and `perplexity` are per token, `<eos>` included; `bits_per_character` spreads the same
    over the `characters` that the N tokens stand for.
    """
    nats = mean_nats(net, ids)
    return Evaluation(
        nats=nats,
        bits_per_character=nats * len(ids) / characters / math.log(2),
        perplexity=math.exp(nats) if nats < 700 else math.inf,
        tokens=len(ids) - 1,
        characters=characters,
    )


@torch.inference_mode()
def mean_nats(net: LanguageNet, ids: Tensor, *, rows: int = 1) -> float:
    """Mean loss per token in nats, the text cut into `rows` contiguous streams.

    One row is exact; more are faster and count each row's first tokens without their past.
    """
    vocabulary_size = net.head.out_features
    steps = (len(ids) - 1) // rows
    chunk = min(max(_CHUNK_LOGITS // (rows * vocabulary_size), 1), steps)
    streams = Streams(ids, rows=rows, window=chunk)
    total, tokens = 0.0, 0
    states: States | None = None
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
