"""Compiled loops as torch knows them: an autograd function, and operators for tracing.

Plain eager code goes through the function, whose cost is a fraction of an operator's. Whoever
traces or must see an operator for another reason (torch.compile, torch.export, modes) gets
`recurra::loop` and `recurra::loop_backward`, which run the same. When a backward pass is itself
recorded (second gradients), the loop is interpreted, by operations that torch can derive.

Nothing here knows an engine: loops are those of the protocol `recurra.engines.base.LoopCode`.
"""

from recurra.operator.library import TracedLoop, name_run
from recurra.operator.loop_function import EagerLoop, OperatorLoop

__all__ = ["EagerLoop", "OperatorLoop", "TracedLoop", "name_run"]
