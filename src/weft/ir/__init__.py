"""The language of cells: operations, graphs, shapes, checks, and how a graph is shown."""

from weft.ir.check import verify
from weft.ir.errors import CellError, WeftError
from weft.ir.graph import Graph, Init, Node, Param, Size, Where, in_order, rewrite
from weft.ir.loop import Emission, Loop, Outside, Phase, Schedule, Store
from weft.ir.ops import OPS, Op
from weft.ir.shapes import Shapes, infer
from weft.ir.show import equations, parameters

__all__ = [
    "OPS",
    "CellError",
    "Emission",
    "Graph",
    "Init",
    "Loop",
    "Node",
    "Op",
    "Outside",
    "Param",
    "Phase",
    "Schedule",
    "Shapes",
    "Size",
    "Store",
    "WeftError",
    "Where",
    "equations",
    "in_order",
    "infer",
    "parameters",
    "rewrite",
    "verify",
]
