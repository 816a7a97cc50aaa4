"""The equations of one direction of a layer, split by when their values are known."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import torch

from recurra.compile import Kernel
from recurra.ir import Graph, Node
from recurra.nn.program import Recurrence

__all__ = ["CellValues"]

Numbers = np.ndarray[Any, Any]


class CellValues:
    """Nodes of a recurrence: `fixed` ones with their numbers, and those of every step in order.

    Matrices in `fixed` are whole: what is stored as blocks has zeros elsewhere.
    """

    def __init__(self, recurrence: Recurrence) -> None:
        self.recurrence: Recurrence = recurrence
        self.graph: Graph = recurrence.graph

    @cached_property
    def timed(self) -> tuple[Node, ...]:
        """The nodes of a step that are computed, arguments first."""
        leaves = ("input", "state")
        return tuple(n for n in self.graph.nodes if n not in self.fixed and n.op not in leaves)

    @cached_property
    def fixed(self) -> Mapping[Node, Numbers]:
        """The numbers of every node that is the same at every step, in float64."""
        graph, own = self.graph, self.recurrence
        comes: set[Node] = set()
        for node in graph.nodes:
            if node.op in ("input", "state") or any(a in comes for a in node.args):
                comes.add(node)
        nodes = [n for n in graph.nodes if n not in comes]
        params = {name: value.double() for name, value in own.params.items()}
        for name, value in own.givens.items():
            params[name] = torch.tensor(value, dtype=torch.float64)
        values = Kernel(graph, "interp").reference.evaluate(
            nodes, torch.zeros(1, 1, 1, dtype=torch.float64), params
        )
        found = {node: value.numpy() for node, value in zip(nodes, values, strict=True)}
        for node in graph.nodes:
            if node.op == "product":
                matrix = node.args[0]
                found[matrix] = self._whole(matrix, found[matrix])
        return found

    def _whole(self, node: Node, stored: Numbers) -> Numbers:
        """A matrix with the zeros between its blocks."""
        if node.op != "param":
            return stored
        assert isinstance(node.detail, tuple)
        name, gate = node.detail
        param = self.graph.param(name)
        if param.blocks == 1:
            return stored
        gates = len(param.gates) if gate is None and param.gates else 1
        rows, columns = stored.shape[0] // (gates * param.blocks), stored.shape[1]
        whole = np.zeros((gates * param.blocks * rows, param.blocks * columns))
        for part in range(gates * param.blocks):
            block = part % param.blocks
            own = slice(part * rows, (part + 1) * rows)
            whole[own, block * columns : (block + 1) * columns] = stored[own]
        return whole
