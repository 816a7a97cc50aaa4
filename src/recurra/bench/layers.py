"""Suites of whole sequences against torch.nn: padded and packed, training and forward."""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

import recurra.nn
from recurra.bench.catalogue import RECURRA, TORCH
from recurra.bench.results import Point, Row
from recurra.bench.work import (
    FORWARD,
    Plan,
    forward_run,
    leaf,
    operations,
    timed,
    training_run,
)

__all__ = ["inference", "layers", "packed", "pair", "ragged_lengths"]


def pair(name: str, size: int) -> dict[str, nn.Module]:
    """torch's layer of that name and Recurra's, with the same weights."""
    theirs, ours = getattr(nn, name)(size, size), getattr(recurra.nn, name)(size, size)
    ours.load_state_dict(theirs.state_dict())
    return {TORCH: theirs, RECURRA: ours}


def layers(plan: Plan) -> Iterator[Row]:
    """Training steps and forward passes."""
    for layer in plan.layers:
        for point in plan.points(layer):
            yield _padded(point, plan)


def inference(plan: Plan) -> Iterator[Row]:
    """Forward passes alone."""
    for layer in plan.layers:
        for point in plan.points(layer):
            if point.work == FORWARD:
                yield _padded(point, plan)


def packed(plan: Plan) -> Iterator[Row]:
    """Training steps and forward passes of packed sequences, whose lengths aren't sorted."""
    for layer in plan.layers:
        for point in plan.points(layer):
            yield _packed(point, plan)


def _padded(point: Point, plan: Plan) -> Row:
    x = leaf(torch.randn(point.steps, point.batch, point.size), point.work, plan)
    runs = {
        name: _run(point.work, module, x, x, lambda y: y)
        for name, module in pair(point.layer, point.size).items()
    }
    return timed(point, runs, _count(point, point.steps * point.batch, plan), plan)


def _packed(point: Point, plan: Plan) -> Row:
    lengths = ragged_lengths(point.batch, point.steps)
    padded = torch.randn(point.steps, point.batch, point.size)
    sequences = pack_padded_sequence(padded, lengths, enforce_sorted=False)
    sequences = sequences._replace(data=leaf(sequences.data, point.work, plan))
    runs = {
        name: _run(point.work, module, sequences, sequences.data, lambda y: y.data)
        for name, module in pair(point.layer, point.size).items()
    }
    return timed(point, runs, _count(point, int(lengths.sum()), plan), plan)


def ragged_lengths(batch: int, steps: int) -> Tensor:
    """Lengths drawn evenly from 1 to `steps`, always the same, one of them `steps`."""
    lengths = torch.randint(1, steps + 1, (batch,), generator=torch.Generator().manual_seed(0))
    lengths[batch // 2] = steps
    return lengths


def _run(
    work: str,
    module: nn.Module,
    x: Tensor | PackedSequence,
    data: Tensor,
    outputs: Callable[[Any], Tensor],
) -> Callable[[], None]:
    if work == FORWARD:
        return forward_run(lambda: module(x))
    gradient = torch.randn_like(data)
    return training_run(module, data, lambda: outputs(module(x)[0]), gradient)


def _count(point: Point, rows: int, plan: Plan) -> float:
    return operations(point.layer, point.work, rows, point.size, input_gradient=plan.input_gradient)
