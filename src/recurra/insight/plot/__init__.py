"""Pictures of recurrent networks at work, from plain data. They need matplotlib: recurra[plot]."""

from typing import TYPE_CHECKING

from recurra.insight.plot.figure import png, svg
from recurra.insight.plot.flow import plot_flow
from recurra.insight.plot.forecasts import Course, Surprises, plot_anomalies, plot_forecasts
from recurra.insight.plot.gates import plot_gates
from recurra.insight.plot.heat import plot_heat
from recurra.insight.plot.learning import plot_learning
from recurra.insight.plot.spectra import plot_dynamics
from recurra.insight.plot.unfolded import Row, plot_unfolded

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure  # what pictures are, for those who pass them on

__all__ = [
    "Course",
    "Row",
    "Surprises",
    "plot_anomalies",
    "plot_dynamics",
    "plot_flow",
    "plot_forecasts",
    "plot_gates",
    "plot_heat",
    "plot_learning",
    "plot_unfolded",
    "png",
    "svg",
]
