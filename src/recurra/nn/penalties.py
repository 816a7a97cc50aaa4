"""Penalties on a layer's outputs: terms of a loss that keep states small and slow to change.

After S. Merity, B. McCann, R. Socher, Revisiting activation regularization for language RNNs,
arXiv:1708.01009. Each is a mean, to be weighted by the caller.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from recurra.nn.layers.arguments import check_lengths
from recurra.ragged import within

__all__ = ["activation_penalty", "temporal_activation_penalty"]

Lengths = Tensor | Sequence[int] | None


def activation_penalty(
    y: Tensor | PackedSequence, lengths: Lengths = None, *, batch_first: bool = False
) -> Tensor:
    """The mean square of outputs y (T, B, size), or (B, T, size) with `batch_first`.

    With `lengths` (B,), or for a packed sequence, it is the mean over each sequence's own steps;
    padding is ignored, even NaN. The mean over no steps is 0.

    Raises ValueError or TypeError for invalid outputs or lengths.

    Example:
        >>> activation_penalty(torch.tensor([[[1.0, 3.0]], [[5.0, 1.0]]])).item()
        9.0
        >>> activation_penalty(torch.tensor([[[1.0, 3.0]], [[5.0, 1.0]]]), lengths=[1]).item()
        5.0
    """
    if isinstance(y, PackedSequence):
        _refuse_lengths(lengths)
        return _mean_square(y.data, None)
    y = _by_steps(y, batch_first)
    return _mean_square(y, None if lengths is None else _active(y, lengths))


def temporal_activation_penalty(
    y: Tensor | PackedSequence, lengths: Lengths = None, *, batch_first: bool = False
) -> Tensor:
    """The mean square of y_t - y_{t-1}, outputs as for `activation_penalty`.

    It is the mean over the steps that have one before them. Both directions of a bidirectional
    layer are taken in the input's order, which gives the same mean.

    Raises ValueError or TypeError for invalid outputs or lengths.

    Example:
        >>> temporal_activation_penalty(torch.tensor([[[1.0, 3.0]], [[5.0, 1.0]]])).item()
        10.0
    """
    if isinstance(y, PackedSequence):
        _refuse_lengths(lengths)
        return _mean_square(_packed_changes(y), None)
    y = _by_steps(y, batch_first)
    is_active = None if lengths is None else _active(y, lengths)[1:]
    return _mean_square(y[1:] - y[:-1], is_active)


def _mean_square(values: Tensor, is_active: Tensor | None) -> Tensor:
    """The mean over all values (..., size), or over those of active steps, (...)."""
    if is_active is None:
        return values.square().sum() / max(values.numel(), 1)
    active = values.masked_fill(~is_active.unsqueeze(-1), 0)
    return active.square().sum() / (is_active.sum() * values.shape[-1]).clamp(min=1)


def _by_steps(y: Tensor, batch_first: bool) -> Tensor:
    if not isinstance(y, Tensor) or y.dim() not in (2, 3):
        given = f"{y.dim()}D" if isinstance(y, Tensor) else type(y).__name__
        raise ValueError(
            f"y is {given}; give outputs (T, B, size), (T, size), or a packed sequence: the first "
            "value that a layer returns"
        )
    if y.dim() == 2:
        return y.unsqueeze(1)
    return y.transpose(0, 1) if batch_first else y


def _active(y: Tensor, lengths: Tensor | Sequence[int]) -> Tensor:
    """The steps (T, B) before each sequence's end."""
    ends = check_lengths(lengths, y.shape[0], y.shape[1]).to(y.device)
    return within(ends, y.shape[0])


def _refuse_lengths(lengths: Lengths) -> None:
    if lengths is not None:
        raise ValueError("lengths can't be given with a packed sequence, which has its own")


def _packed_changes(y: PackedSequence) -> Tensor:
    """The changes (N - B, size): row n of a step follows row n of the step before, whose batch is
    no smaller.
    """
    sizes = y.batch_sizes.tolist()
    starts = y.batch_sizes.cumsum(0) - y.batch_sizes
    before = torch.cat(
        [torch.arange(n) + s for n, s in zip(sizes[1:], starts.tolist(), strict=False)]
        or [torch.empty(0, dtype=torch.long)]
    )
    return y.data[sizes[0] :] - y.data[before.to(y.data.device)]
