"""Batches for programs that read one sequence at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recurra.nn.program import Program

__all__ = ["Numbers", "rows_in_turn"]

Numbers = np.ndarray[Any, Any]


def rows_in_turn(
    program: Program,
    x: Tensor,
    lengths: Tensor | None,
    states: Any,
    run: Callable[[int, Numbers, Any], tuple[Numbers, Any]],
) -> tuple[Tensor, list[Any]]:
    """The outputs of a batch x (T, B, size), and the state of each row after it.

    run: from a row's number, its steps (t, size) and its state, None at the beginning, to its
    outputs (n, K) and the state after them.
    """
    steps, rows, _ = x.shape
    kind = np.int32 if program.input.kind == "tokens" else np.float32
    inputs = np.ascontiguousarray(x.numpy().transpose(1, 0, 2), kind)
    found, after = [], []
    for row in range(rows):
        count = steps if lengths is None else int(lengths[row])
        outputs, state = run(row, inputs[row, :count], None if states is None else states[row])
        found.append(outputs)
        after.append(state)
    if program.output.kind == "vectors":
        none = np.zeros(program.output.size, np.float32)
        return torch.from_numpy(np.stack([y[-1] if len(y) else none for y in found])), after
    longest = program.output.steps_of(steps)
    whole = np.zeros((longest, rows, program.output.size), np.float32)
    for row, outputs in enumerate(found):
        whole[: len(outputs), row] = outputs
    return torch.from_numpy(whole), after
