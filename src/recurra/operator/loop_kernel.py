"""What is run, over what: a cell's loop with its compiled code, and the steps of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from recurra.engines.cpu.capabilities import refuse
from recurra.engines.cpu.run.compiled_loop import Compiled
from recurra.errors import EngineError
from recurra.ir import Graph, Loop
from recurra.passes import lower

__all__ = ["LoopKernel", "Sequences", "kernel_of", "loop_kernel"]


@dataclass(frozen=True)
class LoopKernel:
    """A cell's loop and what compiles it; `key` names it in operators.

    `given` are the indices of the loop's inputs that are given, not computed.
    """

    key: str
    loop: Loop
    compiled: Compiled
    given: tuple[int, ...]

    def placed(self, tensors: Sequence[Tensor]) -> list[Tensor | None]:
        """The given inputs in their places among all, None for those computed."""
        found: list[Tensor | None] = [None] * len(self.loop.inputs)
        for index, tensor in zip(self.given, tensors, strict=True):
            found[index] = tensor
        return found


@dataclass(frozen=True)
class Sequences:
    """The steps that a loop runs: how many, from which end, and of which lengths.

    `lengths` (B,) int64 end rows; with `is_packed` timed values come packed, (N, size), sorted.
    `marks` (T, B) bool tell where a segment begins with a step, in the direction of the run.
    `bptt_clip` limits each element of dL/dh_t as it flows back through a step. With `every` the
    states after each step are wanted.
    """

    steps: int
    reverse: bool = False
    lengths: Tensor | None = None
    marks: Tensor | None = None
    is_packed: bool = False
    bptt_clip: float | None = None
    every: bool = False


_KERNELS: dict[str, LoopKernel] = {}


def loop_kernel(graph: Graph) -> LoopKernel:
    """The kernel of a graph's loop, made once."""
    key = f"{graph.cell}-{graph.digest()}"
    if key not in _KERNELS:
        refuse(graph)
        lowered = lower(graph)
        loop = lowered.loops["forward"]
        values = {a.value for a in lowered.affine}
        given = tuple(i for i in range(len(loop.inputs)) if i not in values)
        _KERNELS[key] = LoopKernel(key, loop, Compiled(lowered), given)
    return _KERNELS[key]


def kernel_of(key: str) -> LoopKernel:
    """The kernel of that name. Raises EngineError for a program of a cell not made here yet."""
    if key not in _KERNELS:
        raise EngineError(
            f"This program runs the cell {key}, which this process doesn't know; make a layer of "
            "it first, and run it once."
        )
    return _KERNELS[key]
