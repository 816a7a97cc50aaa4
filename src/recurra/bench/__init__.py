"""Benchmarks on this machine: Recurra against torch.nn, beside the peak of the processor.

`catalogue` lists the suites, `results` measures them.
"""

from recurra.bench.catalogue import LAYERS, SUITES, Ratio, SizeGrid, Suite

__all__ = ["LAYERS", "SUITES", "Ratio", "SizeGrid", "Suite"]
