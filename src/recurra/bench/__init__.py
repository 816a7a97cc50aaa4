"""Measuring this machine: Recurra against torch.nn, with the peak of the processor beside.

Suites are listed in `catalogue`, measured by `run`, and told by `report` and `plot`.
"""

from recurra.bench.catalogue import LAYERS, SUITES, Grid, Ratio, Suite

__all__ = ["LAYERS", "SUITES", "Grid", "Ratio", "Suite"]
