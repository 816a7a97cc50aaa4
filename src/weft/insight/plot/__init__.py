"""Pictures of recurrent networks at work, from plain data. They need matplotlib: weft[plot]."""

from weft.insight.plot.figure import png, svg
from weft.insight.plot.flow import plot_flow
from weft.insight.plot.gates import plot_gates
from weft.insight.plot.heat import plot_heat
from weft.insight.plot.spectra import plot_dynamics
from weft.insight.plot.unfolded import Row, plot_unfolded

__all__ = [
    "Row",
    "plot_dynamics",
    "plot_flow",
    "plot_gates",
    "plot_heat",
    "plot_unfolded",
    "png",
    "svg",
]
