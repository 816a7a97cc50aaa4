"""Backward passes that torch records, and gradients in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["are_recorded", "gradients_of"]

_is_batched = torch._C._functorch.is_batchedtensor
_is_batched_once = torch._C._functorch.is_legacy_batchedtensor


def are_recorded(gradients: Sequence[Tensor | None]) -> bool:
    """True if a backward pass is recorded, or has many gradients in each tensor.

    The latter come from `is_grads_batched` and vectorised Jacobians, and have no address.
    """
    for g in gradients:
        if g is not None and (_is_batched(g) or _is_batched_once(g)):
            return True
    return torch.is_grad_enabled()


def gradients_of(
    run: Callable[[list[Tensor]], Sequence[Tensor]],
    tensors: Sequence[Tensor],
    gradients: Sequence[Tensor | None],
) -> list[Tensor | None]:
    """Gradients of tensors, from those of what `run` gives of them; recorded if torch records now.

    None for tensors that want none, and of outputs that get none. They are taken with respect to
    aliases, since one tensor may be computed from another: a gradient with respect to the tensors
    themselves would count that, too.
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        aliases = [t.view_as(t) for t in tensors]
        outputs = run(aliases)
    wanted = [t for t in aliases if t.requires_grad]
    pairs = [(t, g) for t, g in zip(outputs, gradients, strict=False) if g is not None]
    if not pairs:
        return [None] * len(tensors)
    parts = iter(
        torch.autograd.grad(
            [t for t, _ in pairs], wanted, [g for _, g in pairs],
            create_graph=create_graph, allow_unused=True, materialize_grads=True,
        )
    )  # fmt: skip
    return [next(parts) if t.requires_grad else None for t in aliases]
