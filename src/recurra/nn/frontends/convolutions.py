"""Convolutions over features, which shorten them to the steps of recurrent layers.

A block is a convolution of width 3, a normalisation, a ReLU, and max-pooling. Rows of a batch don't
depend on one another's lengths: what lies after a row's end is zero before every convolution, and
statistics are of the steps before it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from recurra.ragged import within

__all__ = ["Block", "FrontEnd", "PlaneFrontEnd", "SequenceFrontEnd"]


class Block(NamedTuple):
    """A convolution's channels, and what its pooling takes one of: steps, and features."""

    channels: int
    steps: int = 1
    features: int = 1


class Context(NamedTuple):
    """The input steps that an output step reads before and after the `subsampling` of its own."""

    before: int
    after: int


_EPS = 1e-5
"""What is added to a variance before its root."""


class RaggedNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy 2015) of the steps that are there.

    Rows are (B, C, T) or (B, C, T, F), the mask (B, 1, T) or (B, 1, T, 1). Outside training, and
    where a batch has one step alone, the running statistics are used.
    """

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.weight: nn.Parameter = nn.Parameter(torch.ones(channels))
        self.bias: nn.Parameter = nn.Parameter(torch.zeros(channels))
        self.momentum: float = momentum
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, rows: Tensor, mask: Tensor) -> Tensor:
        if not self.training:
            return self.running(rows)
        mean, variance = self._statistics(rows, mask)
        shape = (1, -1, *[1] * (rows.dim() - 2))
        scale = self.weight * torch.rsqrt(variance + _EPS)
        return rows * scale.view(shape) + (self.bias - mean * scale).view(shape)

    def running(self, rows: Tensor) -> Tensor:
        """Rows normalised by the running statistics."""
        return functional.batch_norm(
            rows, self.mean, self.variance, self.weight, self.bias, eps=_EPS
        )

    def folded(self) -> tuple[Tensor, Tensor]:
        """The factor and the summand (C,) that `running` is."""
        scale = self.weight * torch.rsqrt(self.variance + _EPS)
        return scale, self.bias - self.mean * scale

    def _statistics(self, rows: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        axes = [axis for axis in range(rows.dim()) if axis != 1]
        count = mask.sum() * (rows[0, 0, 0].numel() if rows.dim() == 4 else 1)
        if count < 2:
            return self.mean, self.variance
        mean = (rows * mask).sum(axes) / count
        shape = (1, -1, *[1] * (rows.dim() - 2))
        variance = ((rows - mean.view(shape)).square() * mask).sum(axes) / count
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance * (count / (count - 1)), self.momentum)
        return mean, variance


class CausalConvolution(nn.Conv1d):
    """A convolution of rows (B, C, T) whose outputs read their own step and those before it."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(functional.pad(input, (self.kernel_size[0] - 1, 0)))


class FrontEnd(nn.Module):
    """Blocks of convolutions: features (T, B, F) become (T', B, output_size).

    `subsampling` input steps make one, the last perhaps from fewer; `context` says which others it
    reads.
    """

    output_size: int
    subsampling: int
    context: Context

    def __init__(self, blocks: Sequence[Block], dropout: float, *, causal: bool = False) -> None:
        super().__init__()
        self.blocks: tuple[Block, ...] = tuple(blocks)
        self.dropout: nn.Dropout = nn.Dropout(dropout)
        self.norms: nn.ModuleList = nn.ModuleList(RaggedNorm(block.channels) for block in blocks)
        self.subsampling = 1
        for block in blocks:
            self.subsampling *= block.steps
        self.context = _context(blocks, causal)

    def lengths(self, lengths: Tensor) -> Tensor:
        """The output steps of sequences with so many input steps, (B,)."""
        for block in self.blocks:
            lengths = -(-lengths // block.steps)
        return lengths

    def forward(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Features (T, B, F) with their lengths (B,): the output steps and their lengths."""
        mask = self._mask(lengths, len(features))
        rows = self._rows(features) * mask
        for block, convolution, norm in self._layers():
            # Zeros after a row's end stay zeros: no value that is pooled is below zero.
            rows = torch.relu(norm(convolution(rows), mask)) * mask
            rows = self.dropout(self._pool(rows, block))
            lengths = -(-lengths // block.steps)
            mask = self._mask(lengths, rows.shape[2])
        return self._steps(rows), lengths

    def whole(self, features: Tensor) -> Tensor:
        """The output steps of features (T, B, F) whose rows are all T long, outside training."""
        rows = self._rows(features)
        for block, convolution, norm in self._layers():
            rows = self._pool(torch.relu(norm.running(convolution(rows))), block)
        return self._steps(rows)

    def _layers(self) -> Iterator[tuple[Block, nn.Module, Any]]:
        return zip(self.blocks, self.convolutions, self.norms, strict=True)

    @property
    def convolutions(self) -> Sequence[nn.Module]:
        """The convolution of each block."""
        raise NotImplementedError

    def _rows(self, features: Tensor) -> Tensor:
        raise NotImplementedError

    def _mask(self, lengths: Tensor, steps: int) -> Tensor:
        raise NotImplementedError

    def _pool(self, rows: Tensor, block: Block) -> Tensor:
        raise NotImplementedError

    def _steps(self, rows: Tensor) -> Tensor:
        raise NotImplementedError


class SequenceFrontEnd(FrontEnd):
    """Convolutions over time alone, for features without an order: points of pen strokes.

    Those of a `causal` one read no step after that which they are at.

    Example:
        >>> front = SequenceFrontEnd(5, [Block(16), Block(32, steps=2)])
        >>> steps, lengths = front(torch.randn(7, 2, 5), torch.tensor([7, 4]))
        >>> steps.shape, lengths.tolist()
        (torch.Size([4, 2, 32]), [4, 2])
    """

    def __init__(
        self,
        features: int,
        blocks: Sequence[Block],
        dropout: float = 0.0,
        *,
        causal: bool = False,
    ) -> None:
        super().__init__(blocks, dropout, causal=causal)
        sizes = [features, *(block.channels for block in blocks)]
        convolution = CausalConvolution if causal else functools.partial(nn.Conv1d, padding=1)
        self._convolutions: nn.ModuleList = nn.ModuleList(
            convolution(size, block.channels, 3, bias=False)
            for size, block in zip(sizes, blocks, strict=False)
        )
        self.output_size: int = sizes[-1]

    @property
    def convolutions(self) -> Sequence[nn.Module]:
        """The convolution of each block."""
        return list(self._convolutions)

    def _rows(self, features: Tensor) -> Tensor:
        return features.permute(1, 2, 0)

    def _mask(self, lengths: Tensor, steps: int) -> Tensor:
        return within(lengths, steps).t().unsqueeze(1).float()

    def _pool(self, rows: Tensor, block: Block) -> Tensor:
        if block.steps == 1:
            return rows
        if rows.requires_grad:
            return functional.max_pool1d(rows, block.steps, ceil_mode=True)
        return _largest(rows, 2, block.steps)

    def _steps(self, rows: Tensor) -> Tensor:
        return rows.permute(2, 0, 1)


class PlaneFrontEnd(FrontEnd):
    """Convolutions over time and features, for those with an order: bands of sound, rows of images.

    Example:
        >>> front = PlaneFrontEnd(40, [Block(16, 2, 2), Block(32, 1, 2)])
        >>> steps, lengths = front(torch.randn(7, 2, 40), torch.tensor([7, 4]))
        >>> steps.shape, lengths.tolist()
        (torch.Size([4, 2, 320]), [4, 2])
    """

    def __init__(self, features: int, blocks: Sequence[Block], dropout: float = 0.0) -> None:
        super().__init__(blocks, dropout)
        sizes = [1, *(block.channels for block in blocks)]
        self._convolutions: nn.ModuleList = nn.ModuleList(
            nn.Conv2d(size, block.channels, 3, padding=1, bias=False)
            for size, block in zip(sizes, blocks, strict=False)
        )
        for block in blocks:
            features = -(-features // block.features)
        self.output_size: int = sizes[-1] * features

    @property
    def convolutions(self) -> Sequence[nn.Module]:
        """The convolution of each block."""
        return list(self._convolutions)

    def _rows(self, features: Tensor) -> Tensor:
        return features.transpose(0, 1).unsqueeze(1)

    def _mask(self, lengths: Tensor, steps: int) -> Tensor:
        return within(lengths, steps).t()[:, None, :, None].float()

    def _pool(self, rows: Tensor, block: Block) -> Tensor:
        size = (block.steps, block.features)
        if size == (1, 1):
            return rows
        if rows.requires_grad:
            return functional.max_pool2d(rows, size, ceil_mode=True)
        return _largest(_largest(rows, 3, block.features), 2, block.steps)

    def _steps(self, rows: Tensor) -> Tensor:
        return rows.permute(2, 0, 1, 3).flatten(2)


def _largest(rows: Tensor, axis: int, size: int) -> Tensor:
    """The largest of every `size` along an axis, the last perhaps of fewer; none is below zero.

    Several times faster than torch's pooling, which finds the places for a gradient as well.
    """
    missing = -rows.shape[axis] % size
    if missing:
        rows = functional.pad(rows, (*[0, 0] * (rows.dim() - 1 - axis), 0, missing))
    before = (slice(None),) * axis
    return functools.reduce(torch.maximum, [rows[*before, i::size] for i in range(size)])


def _context(blocks: Sequence[Block], causal: bool) -> Context:
    """The receptive field of an output step, beyond the steps that its pooling takes."""
    before, after = (2, 0) if causal else (1, 1)
    first, last, total = 0, 0, 1
    for block in reversed(blocks):
        first, last = first * block.steps - before, (last + 1) * block.steps - 1 + after
        total *= block.steps
    return Context(-first, last - total + 1)
