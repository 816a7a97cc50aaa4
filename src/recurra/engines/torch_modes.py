"""The state of torch around a call: traced, transformed, recorded; gradients where recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["are_recorded", "gradients_of", "is_traced", "is_transformed"]

_functorch = torch._C._functorch


def is_traced(tensors: Sequence[Tensor]) -> bool:
    """True if a call must be made of operators that torch knows: it is traced, or in a mode."""
    if torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0:
        return True
    return any(type(t) is not Tensor and type(t) is not torch.nn.Parameter for t in tensors)


def is_transformed() -> bool:
    """True within a torch.func transform or forward-mode differentiation."""
    if _functorch.peek_interpreter_stack() is not None:
        return True
    return torch.autograd.forward_ad._current_level >= 0


def are_recorded(gradients: Sequence[Tensor]) -> bool:
    """True if a backward pass is recorded, or has many gradients in each tensor.

    The latter come from `is_grads_batched` and vectorised Jacobians, and have no address.
    """
    return torch.is_grad_enabled() or any(
        _functorch.is_batchedtensor(g) or _functorch.is_legacy_batchedtensor(g) for g in gradients
    )


def gradients_of(
    run: Callable[[list[Tensor]], Sequence[Tensor]],
    tensors: Sequence[Tensor],
    gradients: Sequence[Tensor],
) -> list[Tensor | None]:
    """Gradients of tensors, from those of what `run` gives of them; recorded if torch records now.

    None for tensors that want none. They are taken with respect to aliases, since one tensor may be
    computed from another: a gradient with respect to the tensors themselves would count that, too.
    """
    create_graph = torch.is_grad_enabled()
    with torch.enable_grad():
        aliases = [t.view_as(t) for t in tensors]
        outputs = run(aliases)
    wanted = [t for t in aliases if t.requires_grad]
    parts = iter(
        torch.autograd.grad(
            outputs[: len(gradients)], wanted, list(gradients),
            create_graph=create_graph, allow_unused=True, materialize_grads=True,
        )
    )  # fmt: skip
    return [next(parts) if t.requires_grad else None for t in aliases]
