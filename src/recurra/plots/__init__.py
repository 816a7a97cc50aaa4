"""Pictures of recurrent networks at work, from plain data. They need matplotlib: recurra[plot]."""

from typing import TYPE_CHECKING

from recurra.plots.dynamics import plot_dynamics
from recurra.plots.figure import png, svg
from recurra.plots.forecasts import Course, Surprises, plot_anomalies, plot_forecasts
from recurra.plots.gate_activity import plot_gates
from recurra.plots.gradient_curves import plot_flow
from recurra.plots.gradient_heatmap import plot_heat
from recurra.plots.learning_curves import plot_learning
from recurra.plots.unfolded import Row, plot_unfolded

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
