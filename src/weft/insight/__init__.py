"""What models and runs tell about themselves: gradients in time, dynamics, verdicts, a report."""

from weft.insight.flow import GradientFlow, LayerFlow, StateFlow, gradient_flow
from weft.insight.horizon import Horizon, find_horizon
from weft.insight.inspection import Inspection, clipped_share, inspect_model
from weft.insight.jacobians import LayerDynamics, jacobians
from weft.insight.lyapunov import Spectrum
from weft.insight.page import COLUMNS, inspection_sections, layer_row
from weft.insight.report import Picture, Section, Table, amended, carried_over, report
from weft.insight.saturation import LayerActivity, Saturation, Units
from weft.insight.verdicts import LayerInsight, Verdict, verdicts
from weft.insight.watched import watched_sections

__all__ = [
    "COLUMNS",
    "GradientFlow",
    "Horizon",
    "Inspection",
    "LayerActivity",
    "LayerDynamics",
    "LayerFlow",
    "LayerInsight",
    "Picture",
    "Saturation",
    "Section",
    "Spectrum",
    "StateFlow",
    "Table",
    "Units",
    "Verdict",
    "amended",
    "carried_over",
    "clipped_share",
    "find_horizon",
    "gradient_flow",
    "inspect_model",
    "inspection_sections",
    "jacobians",
    "layer_row",
    "report",
    "verdicts",
    "watched_sections",
]
