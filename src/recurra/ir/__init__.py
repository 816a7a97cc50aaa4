"""The language of cells: operations, graphs, shapes, checks, and how a graph is shown."""

from recurra.ir.check import CellError, RecurraError, verify
from recurra.ir.graph import (
    OPS,
    ROOT_BOUND,
    Graph,
    Init,
    Node,
    Op,
    Param,
    Size,
    Where,
    in_order,
    rewrite,
)
from recurra.ir.loop import Emission, Loop, LoopInput, Phase, Schedule, Store
from recurra.ir.shapes import Shapes, infer
from recurra.ir.show import equations, parameters

__all__ = [
    "OPS",
    "ROOT_BOUND",
    "CellError",
    "Emission",
    "Graph",
    "Init",
    "Loop",
    "LoopInput",
    "Node",
    "Op",
    "Param",
    "Phase",
    "RecurraError",
    "Schedule",
    "Shapes",
    "Size",
    "Store",
    "Where",
    "equations",
    "in_order",
    "infer",
    "parameters",
    "rewrite",
    "verify",
]
