"""Weights as int8 with a scale for each row, laid out as `emit/quantised_tiles` reads them."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from recurra.engines.cpu.emit.multiply import tiles_of
from recurra.engines.cpu.emit.quantised_tiles import GROUP, LEVELS
from recurra.engines.cpu.plan.operands import MatrixRows
from recurra.engines.cpu.plan.tiling import Tile, WeightPanel

__all__ = ["QuantisedRows", "quantised_panel", "quantised_rows"]


class QuantisedRows(NamedTuple):
    """int8 weights (R, K) and the float32 scale of each row (R,)."""

    weights: Tensor
    scales: Tensor


def quantised_rows(matrix: Tensor) -> QuantisedRows:
    """Each row (R, K) divided by its scale, that of its largest weight, and rounded.

    >>> quantised_rows(torch.tensor([[1.0, -0.5]])).weights
    tensor([[127, -64]], dtype=torch.int8)
    """
    most = matrix.abs().amax(1)
    whole = (matrix * (LEVELS / most)[:, None]).round()
    return QuantisedRows(whole.nan_to_num(0, 0, 0).to(torch.int8), most / LEVELS)


def quantised_panel(tile: Tile, panel: WeightPanel, tensors: list[Tensor], lanes: int) -> Tensor:
    """The bytes (N,) of a panel; `tensors` are the loop inputs of its matrices."""
    wide, each = panel.vectors * lanes, tiles_of(tile, lanes)
    starts = [s * tile.width + i * wide for s in range(tile.segments) for i in range(each)]
    columns = torch.tensor(starts)[:, None] + torch.arange(wide)
    columns = columns.clamp(max=tile.columns - 1)  # what lies past a segment isn't read
    groups = -(-panel.operand.depth // GROUP)
    weights, scales, corrections = [], [], []
    for matrix, tensor in zip(panel.matrices, tensors, strict=True):
        rows = quantised_rows(_rows_of(matrix, tensor, tile.columns, panel))
        padded = torch.nn.functional.pad(rows.weights, (0, groups * GROUP - panel.operand.depth))
        words = padded[columns].view(len(starts), wide, groups, GROUP)
        weights.append(words.transpose(1, 2))
        scales.append(rows.scales[columns])
        corrections.append((128 * rows.weights.sum(1, dtype=torch.int32))[columns])
    parts = [torch.stack(weights, 2), torch.cat(scales, 1), torch.cat(corrections, 1)]
    flat = [p.contiguous().view(len(starts), -1).view(torch.uint8) for p in parts]
    return torch.cat(flat, 1).flatten()


def _rows_of(matrix: MatrixRows, tensor: Tensor, columns: int, panel: WeightPanel) -> Tensor:
    """A row of weights (K,) for each column of the tile, block by block."""
    depth, blocks = panel.operand.depth, panel.operand.blocks
    begin = matrix.row * tensor.shape[-1]
    flat = tensor.flatten()[begin : begin + columns * depth]
    if matrix.transposed:
        return flat.view(blocks, depth, -1).transpose(1, 2).reshape(columns, depth)
    return flat.view(columns, depth)
