"""The cpu engine: the processor's machine code, and what it can do."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from recurra.engines.base import Call, CompiledLoop, Operator
from recurra.engines.cpu.emit.equations import RULES
from recurra.engines.cpu.run.linear_map import CpuLinear
from recurra.engines.cpu.run.loop_code import CpuLoop
from recurra.engines.cpu.run.step_run import CpuSteps
from recurra.engines.torch_layout import Parameters
from recurra.ir import OPS, Graph
from recurra.passes.derive import RULES as DERIVATIVES

__all__ = ["CPU"]


class _CpuEngine:
    """Compiles cells to machine code, through LLVM."""

    name = "cpu"
    devices: frozenset[str] | None = frozenset({"cpu"})
    dtypes: frozenset[torch.dtype] | None = frozenset({torch.float32, torch.float64})
    options: frozenset[str] = frozenset({"bptt_clip", "every", "ragged_trace"})
    step_options: frozenset[str] = options

    def __init__(self) -> None:
        self._loops: dict[str, CpuLoop] = {}

    def refusal(self, graph: Graph) -> str | None:
        """The operation that it has no rule for, with the line of the equation."""
        for node in graph.nodes:
            if node not in graph.stateful or not OPS[node.op].is_elementwise:
                continue
            if node.op not in RULES:
                return f"has no rule for `{node.op}` ({node.where})"
            if node.op not in DERIVATIVES:
                return f"has no derivative of `{node.op}` ({node.where})"
        return None

    def note(self, call: Call) -> str:
        """Nothing to remark."""
        return ""

    def compile(self, graph: Graph, operator: Operator, *, is_traced: bool) -> CompiledLoop:
        """The cell's loops, compiled for sizes as they come."""
        return operator(self._loop(graph))

    def steps(
        self,
        graph: Graph,
        params: Parameters,
        inputs: Tensor,
        widths: Sequence[int],
        *,
        quantize: bool = False,
    ) -> CpuSteps:
        """Steps by the loop's own code, its weights packed once."""
        return CpuSteps(self._loop(graph), params, inputs, widths, quantize=quantize)

    def linear(self, graph: Graph) -> CpuLinear:
        """The product by the code that stands before a loop."""
        return CpuLinear(self._loop(graph))

    def _loop(self, graph: Graph) -> CpuLoop:
        key = f"{graph.cell}-{graph.digest()}"
        if key not in self._loops:
            self._loops[key] = CpuLoop(key, graph)
        return self._loops[key]


CPU = _CpuEngine()
