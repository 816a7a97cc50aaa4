"""Analyses of models: gradient flow in time, dynamics, saturation, and verdicts with remedies."""

from recurra.insight.batch_inspection import inspect
from recurra.insight.dynamics import LayerDynamics, Spectrum, jacobians
from recurra.insight.fixed_points import FixedPoint
from recurra.insight.flow import GradientFlow, LayerFlow, StateFlow, gradient_flow
from recurra.insight.inspection import Inspection, clipped_share, inspect_model
from recurra.insight.reach import Horizon, LayerReach
from recurra.insight.saturation import LayerActivity, Saturation, Units
from recurra.insight.state_geometry import GateTime, StateSpace
from recurra.insight.task_memory import TaskMemory
from recurra.insight.verdicts import LayerInsight, Verdict

__all__ = [
    "FixedPoint",
    "GateTime",
    "GradientFlow",
    "Horizon",
    "Inspection",
    "LayerActivity",
    "LayerDynamics",
    "LayerFlow",
    "LayerInsight",
    "LayerReach",
    "Saturation",
    "Spectrum",
    "StateFlow",
    "StateSpace",
    "TaskMemory",
    "Units",
    "Verdict",
    "clipped_share",
    "gradient_flow",
    "inspect",
    "inspect_model",
    "jacobians",
]
