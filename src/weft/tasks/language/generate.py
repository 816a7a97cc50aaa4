"""New text from a model, one token at a time."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from weft.data.vocabulary import Vocabulary
from weft.decoding.sampling import check_sampling, sample
from weft.errors import ConfigError
from weft.tasks.language.model import LanguageNet, States

__all__ = ["stream_text"]


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
    """Yield the text after `prompt`, `length` tokens of it, in pieces as they are drawn.

    The pieces of the same seed are the same; without one they differ from call to call. How the
    other numbers act is told by `weft.decoding.sampling.sample`.

    Raises:
        DataError: the prompt has characters the model has never seen.
        ConfigError: a number is out of its range.
    """
    check_sampling(temperature, top_k, top_p)
    if length < 1:
        raise ConfigError(f"length = {length}; give 1 token or more.")
    generator = torch.Generator()
    generator.manual_seed(seed) if seed is not None else generator.seed()
    tokens = vocabulary.prompt(prompt)

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
