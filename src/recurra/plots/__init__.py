"""Pictures of recurrent networks, forecasts, classifiers and benchmarks, from plain data.

They need matplotlib: recurra[plot].
"""

from typing import TYPE_CHECKING

from recurra.plots.accuracy_over_time import plot_accuracy_over_time
from recurra.plots.attention_map import plot_attention
from recurra.plots.bar_charts import CostBars, RatioBars, plot_bars
from recurra.plots.confusion_matrix import plot_confusion
from recurra.plots.figure import COLOURS, FORMATS, image, require_matplotlib, svg
from recurra.plots.forecasts import AnomalySeries, ForecastSeries, plot_anomalies, plot_forecasts
from recurra.plots.gradient_curves import (
    plot_exponents,
    plot_flow,
    plot_heat,
    plot_jacobians,
)
from recurra.plots.learning_curves import (
    ComparedCurves,
    plot_compared,
    plot_members,
    plot_optimiser,
    plot_table,
    plot_training,
)
from recurra.plots.reliability_diagram import plot_reliability
from recurra.plots.state_paths import StateCloud, plot_states
from recurra.plots.unit_activity import UnfoldedRow, plot_gates, plot_unfolded
from recurra.plots.value_curves import ValueCurve, plot_value_curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Figure  # the type of pictures, for their users

__all__ = [
    "COLOURS",
    "FORMATS",
    "AnomalySeries",
    "ComparedCurves",
    "CostBars",
    "ForecastSeries",
    "RatioBars",
    "StateCloud",
    "UnfoldedRow",
    "ValueCurve",
    "image",
    "plot_accuracy_over_time",
    "plot_anomalies",
    "plot_attention",
    "plot_bars",
    "plot_compared",
    "plot_confusion",
    "plot_exponents",
    "plot_flow",
    "plot_forecasts",
    "plot_gates",
    "plot_heat",
    "plot_jacobians",
    "plot_members",
    "plot_optimiser",
    "plot_reliability",
    "plot_states",
    "plot_table",
    "plot_training",
    "plot_unfolded",
    "plot_value_curves",
    "require_matplotlib",
    "svg",
]
