"""New text from a model, one token at a time."""

from collections.abc import Callable, Iterator
from typing import TypedDict

import torch
from torch import Tensor

from recurra.data.vocabulary import Vocabulary
from recurra.decoding.sampling import check_sampling, sample
from recurra.errors import ConfigError
from recurra.tasks.language.model import LanguageNet, States

__all__ = ["Sampling", "stream_text"]


class Sampling(TypedDict, total=False):
    """How new text is drawn: what may be left out, with its default in `stream_text`.

    `length` counts tokens; `temperature`, `top_k` and `top_p` are as in
    `recurra.decoding.sampling.sample`; the same `seed` draws the same text, and without one (None)
    each call draws another.
    """

    length: int
    temperature: float
    top_k: int
    top_p: float
    seed: int | None


def stream_text(
    net: LanguageNet,
    vocabulary: Vocabulary,
    prompt: str = "",
    *,
    length: int = 200,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int | None = None,
) -> Iterator[str]:
    """Yield the text after `prompt` in pieces as they are drawn; an empty one starts a line.

    Raises:
        DataError: the prompt has characters the model has never seen.
        ConfigError: a number is out of its range.
    """
    check_sampling(temperature, top_k, top_p)
    if length < 1:
        raise ConfigError(f"length = {length}; give 1 token or more.")
    tokens = vocabulary.prompt(prompt)
    generator = torch.Generator()
    generator.manual_seed(seed) if seed is not None else generator.seed()

    def draw(logits: Tensor) -> Tensor:
        return sample(
            logits, temperature=temperature, top_k=top_k, top_p=top_p, generator=generator
        )

    return _pieces(net.eval(), vocabulary, tokens, length, draw)


def _pieces(
    net: LanguageNet,
    vocabulary: Vocabulary,
    tokens: Tensor,
    length: int,
    draw: Callable[[Tensor], Tensor],
) -> Iterator[str]:
    decoder = vocabulary.decoder()
    for token in tokens.tolist():
        decoder.feed(token)
    states: States | None = None
    for _ in range(length):
        logits, states = _last_logits(net, tokens, states)
        tokens = draw(logits)
        if piece := decoder.feed(int(tokens)):
            yield piece
    if rest := decoder.flush():
        yield rest


@torch.inference_mode()
def _last_logits(net: LanguageNet, tokens: Tensor, states: States | None) -> tuple[Tensor, States]:
    """Logits (1, V) after the last of `tokens`, (T,) or (1,)."""
    logits, states = net(tokens.view(-1, 1), states)
    return logits[-1], states
