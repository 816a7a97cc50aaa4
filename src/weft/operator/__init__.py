"""Compiled loops as torch knows them: an autograd function, and operators for tracing.

Plain eager code goes through the function, whose cost is a fraction of an operator's. Whoever
traces or must see an operator for another reason (torch.compile, torch.export, modes) gets
`weft::loop` and `weft::loop_backward`, which run the same. When a backward pass is itself recorded
(second gradients), the loop is interpreted, by operations that torch can derive.
"""

from weft.operator.flops import backward_flops, forward_flops
from weft.operator.function import needs_operator, run_loop
from weft.operator.kernels import LoopKernel, Sequences, loop_kernel
from weft.operator.named import Kernel, Named, name_kernel

__all__ = [
    "Kernel",
    "LoopKernel",
    "Named",
    "Sequences",
    "backward_flops",
    "forward_flops",
    "loop_kernel",
    "name_kernel",
    "needs_operator",
    "run_loop",
]
