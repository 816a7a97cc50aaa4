"""Pictures of recurrent networks at work, from plain data. They need matplotlib: weft[plot]."""

from typing import TYPE_CHECKING

from weft.insight.plot.figure import png, svg
from weft.insight.plot.flow import plot_flow
from weft.insight.plot.forecasts import Course, Surprises, plot_anomalies, plot_forecasts
from weft.insight.plot.gates import plot_gates
from weft.insight.plot.heat import plot_heat
from weft.insight.plot.learning import plot_learning
from weft.insight.plot.spectra import plot_dynamics
from weft.insight.plot.unfolded import Row, plot_unfolded

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
