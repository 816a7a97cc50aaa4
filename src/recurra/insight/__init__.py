"""Analyses of models: gradient flow in time, dynamics, saturation, and verdicts with remedies."""

from recurra.insight.dynamics import LayerDynamics, Spectrum, jacobians
from recurra.insight.flow import (
    GradientFlow,
    Horizon,
    LayerFlow,
    StateFlow,
    find_horizon,
    gradient_flow,
)
from recurra.insight.inspection import Inspection, clipped_share, inspect_model
from recurra.insight.saturation import LayerActivity, Saturation, Units
from recurra.insight.verdicts import LayerInsight, Verdict, verdicts

__all__ = [
    "GradientFlow",
    "Horizon",
    "Inspection",
    "LayerActivity",
    "LayerDynamics",
    "LayerFlow",
    "LayerInsight",
    "Saturation",
    "Spectrum",
    "StateFlow",
    "Units",
    "Verdict",
    "clipped_share",
    "find_horizon",
    "gradient_flow",
    "inspect_model",
    "jacobians",
    "verdicts",
]
