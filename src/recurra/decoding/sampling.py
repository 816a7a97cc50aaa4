"""Draws the next token from a model's logits."""

import torch
from torch import Tensor

from recurra.decoding.sampling_options import check_sampling

__all__ = ["keep_nucleus", "keep_top", "sample"]


def sample(
    logits: Tensor,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Draw one index for each row of `logits`, (..., V); the result has shape (...).

    Logits are divided by `temperature` (0: the most likely index, nothing is drawn), then only the
    `top_k` largest are kept (0: all), then the fewest whose probabilities reach `top_p`.

    Raises:
        ConfigError: a temperature or `top_k` below zero, `top_p` outside (0, 1], or one of these
            where the temperature is 0.

    Example:
        >>> sample(torch.tensor([0.1, 2.0, -1.0]), temperature=0)
        tensor(1)
    """
    check_sampling(temperature, top_k, top_p)
    if temperature == 0:
        return logits.argmax(-1)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    # Subtracting the maximum first keeps a tiny temperature from overflowing to inf - inf, and one
    # that the dtype can't represent would be 0 / 0.
    scaled = (logits - logits.amax(-1, keepdim=True)) / max(temperature, _tiny(logits))
    kept = keep_nucleus(keep_top(scaled, top_k), top_p)
    rows = torch.softmax(kept, -1).reshape(-1, logits.shape[-1])
    drawn = torch.multinomial(rows, 1, generator=generator)
    return drawn.reshape(logits.shape[:-1])


def keep_top(logits: Tensor, k: int) -> Tensor:
    """`logits` with all but the k largest of each row at -inf; ties with the k-th stay."""
    if k == 0 or k >= logits.shape[-1]:
        return logits
    smallest = logits.topk(k, -1).values[..., -1:]
    return logits.masked_fill(logits < smallest, -torch.inf)


def keep_nucleus(logits: Tensor, p: float) -> Tensor:
    """`logits` with only the fewest most likely entries whose probabilities sum to `p` or more."""
    if p == 1:
        return logits
    ordered, order = logits.sort(dim=-1, descending=True, stable=True)
    probabilities = torch.softmax(ordered, -1)
    # An entry stays while those before it fall short of p, so the first always does, even where p
    # rounds to zero.
    before = probabilities.cumsum(-1) - probabilities
    beyond = before >= max(p, _tiny(before))
    dropped = torch.zeros_like(beyond).scatter(-1, order, beyond)
    return logits.masked_fill(dropped, -torch.inf)


def _tiny(values: Tensor) -> float:
    """The smallest normal number of the dtype."""
    return torch.finfo(values.dtype).tiny
