"""What models and runs tell about themselves: gradients in time, dynamics, verdicts, a report."""

from recurra.insight.flow import GradientFlow, LayerFlow, StateFlow, gradient_flow
from recurra.insight.horizon import Horizon, find_horizon
from recurra.insight.inspection import Inspection, clipped_share, inspect_model
from recurra.insight.jacobians import LayerDynamics, jacobians
from recurra.insight.lyapunov import Spectrum
from recurra.insight.page import COLUMNS, inspection_sections, layer_row
from recurra.insight.report import Picture, Section, Table, amended, carried_over, report
from recurra.insight.saturation import LayerActivity, Saturation, Units
from recurra.insight.verdicts import LayerInsight, Verdict, verdicts
from recurra.insight.watched import watched_sections

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
