"""What a network computes outside training, as operations in order: exports are written of it."""

from recurra.nn.program.builder import ProgramBuilder
from recurra.nn.program.lowering import lowered
from recurra.nn.program.program import Operation, Program, Recurrence, Value

__all__ = ["Operation", "Program", "ProgramBuilder", "Recurrence", "Value", "lowered"]
