"""The transducer's loss: minus the log-probability of a target over all its alignments.

A. Graves, Sequence transduction with recurrent neural networks, arXiv:1211.3711. An alignment walks
a lattice of frames t and symbols u that have been emitted: a blank goes to the next frame, a symbol
stays in its frame. It ends with the blank that leaves the last frame after the last symbol.

Sums run along diagonals t + u, whose nodes depend on the diagonal before alone (T. Bagby et al.,
Efficient implementation of recurrent neural network transducer in TensorFlow, SLT 2018). A frame's
row could be solved at once by `logcumsumexp` of differences to cumulative sums of its symbols; that
needs fewer steps, but the differences lose digits for large scores, and all of them at -inf.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recurra.nn.transducer.lattice_checks import check_ends, check_lattice
from recurra.ragged import within

__all__ = ["transducer_loss"]


def transducer_loss(
    log_blank: Tensor,
    log_emit: Tensor,
    lengths: Tensor | Sequence[int],
    target_lengths: Tensor | Sequence[int],
) -> Tensor:
    """Minus the log-probability of each target, (B,), in nats.

    Args:
        log_blank: (B, T, U + 1) the log-probability of blank in frame t after u symbols.
        log_emit: (B, T, U) that of the target's symbol u + 1 there.
        lengths: (B,) frames of each sequence, at least 1.
        target_lengths: (B,) symbols of each target, at least 0; there may be more than frames.

    What lies beyond the lengths is ignored, even NaN, and has no gradient. Sums are float64; the
    result has the dtype of `log_blank`. A target that can't be has the loss inf and no gradient.
    The gradient is the expected number of times that an alignment passes a transition, computed
    from both ends of the lattice; it can't be differentiated again.

    Raises ValueError or TypeError for scores or lengths that don't fit together.

    Example:
        >>> half = torch.tensor(0.5).log()
        >>> loss = transducer_loss(half.expand(1, 2, 2), half.expand(1, 2, 1), [2], [1])
        >>> (-loss).exp()  # two alignments of three choices each
        tensor([0.2500])
    """
    ends = check_ends(lengths, target_lengths, check_lattice(log_blank, log_emit))
    on_device = [end.to(log_blank.device) for end in ends]
    loss: Tensor = _Loss.apply(log_blank, log_emit, *on_device)  # type: ignore[no-untyped-call]
    return loss


class _Loss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, log_blank: Tensor, log_emit: Tensor, *lengths: Tensor) -> Tensor:
        blank, emit = _transitions(log_blank, log_emit, *lengths)
        alphas = _sums_from_start(blank, emit)
        total = alphas[sum(lengths), torch.arange(len(log_blank), device=blank.device), lengths[1]]
        ctx.save_for_backward(log_blank, log_emit, *lengths, alphas, total)
        return (-total).to(log_blank.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        log_blank, log_emit, lengths, target_lengths, alphas, total = ctx.saved_tensors
        blank, emit = _transitions(log_blank, log_emit, lengths, target_lengths)
        betas = _sums_to_end(blank, emit, lengths, target_lengths)
        passed = alphas[:-1] - total.masked_fill(total.isinf(), 0).unsqueeze(-1)
        scale = -gradient.double().unsqueeze(-1)
        by_blank = (passed + blank + betas[1:, :, :-1]).exp() * scale
        by_emit = (passed[..., :-1] + emit[..., :-1] + betas[1:, :, 1:-1]).exp() * scale
        frames = log_emit.shape[1]
        return (
            _by_frames(by_blank, frames).to(log_blank.dtype),
            _by_frames(by_emit, frames).to(log_emit.dtype),
            None,
            None,
        )


def _transitions(
    log_blank: Tensor, log_emit: Tensor, lengths: Tensor, target_lengths: Tensor
) -> tuple[Tensor, Tensor]:
    """Scores by diagonals, (T + U, B, U + 1) each: -inf beyond a sequence's frames and symbols."""
    frames, width = log_blank.shape[1:]
    is_frame = within(lengths, frames).T.unsqueeze(-1)
    may_blank = is_frame & within(target_lengths + 1, width).T.unsqueeze(1)
    may_emit = is_frame & within(target_lengths, width).T.unsqueeze(1)
    emit = torch.nn.functional.pad(log_emit, (0, 1))
    return _by_diagonals(log_blank, may_blank), _by_diagonals(emit, may_emit)


def _by_diagonals(scores: Tensor, is_open: Tensor) -> Tensor:
    """Scores (B, T, U + 1) as (T + U, B, U + 1): [d, b, u] has those of frame d - u, or -inf."""
    frames, width = scores.shape[1:]
    u = torch.arange(width, device=scores.device)
    frame = torch.arange(frames + width - 1, device=scores.device).unsqueeze(-1) - u
    is_frame = (frame >= 0) & (frame < frames)
    skewed = scores.double().masked_fill(~is_open, -torch.inf)[:, frame.clamp(0, frames - 1), u]
    return skewed.masked_fill(~is_frame, -torch.inf).transpose(0, 1).contiguous()


def _by_frames(values: Tensor, frames: int) -> Tensor:
    """Values by diagonals, (T + U, B, width), as (B, T, width)."""
    u = torch.arange(values.shape[-1], device=values.device)
    diagonal = torch.arange(frames, device=values.device).unsqueeze(-1) + u
    return values.transpose(0, 1)[:, diagonal, u]


def _sums_from_start(blank: Tensor, emit: Tensor) -> Tensor:
    """Log-probabilities of reaching each node, (T + U + 1, B, U + 1)."""
    diagonals, batch, width = blank.shape
    alphas = blank.new_full((diagonals + 1, batch, width), -torch.inf)
    alphas[0, :, 0] = 0
    for d in range(diagonals):
        after = torch.add(alphas[d], blank[d], out=alphas[d + 1])
        emitted = alphas[d, :, :-1] + emit[d, :, :-1]
        torch.logaddexp(after[:, 1:], emitted, out=after[:, 1:])
    return alphas


def _sums_to_end(blank: Tensor, emit: Tensor, lengths: Tensor, target_lengths: Tensor) -> Tensor:
    """Log-probabilities of the ways from each node to its sequence's end, (T + U + 1, B, U + 2).

    The last column is -inf: nothing is emitted into it. At its end a sequence has 0, and no way on.
    """
    diagonals, batch, width = blank.shape
    betas = blank.new_full((diagonals + 1, batch, width + 1), -torch.inf)
    rows = torch.arange(batch, device=blank.device)
    betas[lengths + target_lengths, rows, target_lengths] = 0
    for d in reversed(range(diagonals)):
        onward = torch.logaddexp(betas[d + 1, :, :-1] + blank[d], betas[d + 1, :, 1:] + emit[d])
        torch.maximum(betas[d, :, :-1], onward, out=betas[d, :, :-1])
    return betas
