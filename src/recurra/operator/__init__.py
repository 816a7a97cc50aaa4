"""Compiled loops as torch knows them: an autograd function, and operators for tracing.

Plain eager code goes through the function, whose cost is a fraction of an operator's. Whoever
traces or must see an operator for another reason (torch.compile, torch.export, modes) gets
`recurra::loop` and `recurra::loop_backward`, which run the same. When a backward pass is itself
recorded (second gradients), the loop is interpreted, by operations that torch can derive.
"""

from recurra.operator.execute import needs_operator, run_loop
from recurra.operator.library import backward_flops, forward_flops
from recurra.operator.loop_kernel import LoopKernel, Sequences, loop_kernel
from recurra.operator.traced import Kernel, TracedKernel, name_kernel

__all__ = [
    "Kernel",
    "LoopKernel",
    "Sequences",
    "TracedKernel",
    "backward_flops",
    "forward_flops",
    "loop_kernel",
    "name_kernel",
    "needs_operator",
    "run_loop",
]
