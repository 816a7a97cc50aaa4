"""Checks of what a transducer is given."""

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.nn.layers.arguments import check_lengths

__all__ = ["check_ends", "check_lattice", "check_targets"]


def check_lattice(log_blank: Tensor, log_emit: Tensor) -> tuple[int, int, int]:
    """B, T and U of scores (B, T, U + 1) and (B, T, U); ValueError or TypeError for others."""
    for name, scores in (("log_blank", log_blank), ("log_emit", log_emit)):
        if not scores.is_floating_point():
            raise TypeError(f"{name} is of {scores.dtype}; give log-probabilities")
        if scores.dim() != 3:
            raise ValueError(
                f"{name} has shape {tuple(scores.shape)}; give log_blank (B, T, U + 1) and "
                "log_emit (B, T, U) for B sequences of T frames and targets of U symbols"
            )
    batch, frames, symbols = log_emit.shape
    if log_blank.shape != (batch, frames, symbols + 1):
        raise ValueError(
            f"log_blank has shape {tuple(log_blank.shape)} and log_emit {tuple(log_emit.shape)}; "
            f"log_blank must have one more column, ({batch}, {frames}, {symbols + 1}): a blank "
            "may follow every number of symbols, none and all included"
        )
    return batch, frames, symbols


def check_ends(
    lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
    size: tuple[int, int, int],
) -> tuple[Tensor, Tensor]:
    """Both as tensors (B,), for B sequences of T frames and targets of U symbols.

    Raises TypeError or ValueError for others; it names the first sequence without a frame.
    """
    batch, frames, symbols = size
    lengths = check_lengths(lengths, frames, batch)
    if 0 in lengths:
        raise ValueError(
            f"sequence {lengths.tolist().index(0)} of the batch has 0 frames; a transducer ends "
            "with the blank of its last frame, so it needs one: leave such sequences out"
        )
    try:
        return lengths, check_lengths(target_lengths, symbols, batch)
    except (TypeError, ValueError) as error:
        raise type(error)(
            f"target_lengths don't fit targets of {symbols} symbols: {error}"
        ) from None


def check_targets(targets: Tensor, tokens: int, lengths: Tensor | None = None) -> None:
    """Raise ValueError or TypeError unless targets (B, U) are tokens 1..K-1 within the lengths.

    Beyond the lengths, and everywhere without them, the blank 0 is allowed too.
    """
    if targets.is_floating_point() or targets.dtype == torch.bool or targets.dim() != 2:
        raise TypeError(
            f"targets are of shape {tuple(targets.shape)} and {targets.dtype}; give whole numbers "
            "(B, U), padded with 0"
        )
    is_wrong = (targets < 0) | (targets >= tokens)
    if lengths is not None:
        own = torch.arange(targets.shape[1], device=targets.device) < lengths.unsqueeze(-1)
        is_wrong = is_wrong | (own & (targets == 0))
    if is_wrong.any():
        row, at = is_wrong.nonzero()[0].tolist()
        raise ValueError(
            f"targets[{row}, {at}] is {int(targets[row, at])}; symbols are 1 to {tokens - 1} "
            "(0 is the blank, which pads targets)"
        )
