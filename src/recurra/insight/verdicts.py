"""Verdicts: the illnesses of a network in words, each with its evidence and its remedy.

A symptom alone is no illness: a network that does its task well may shut gates, saturate or forget.
So what a symptom weighs depends on what the network has learnt (`TaskMemory.skill`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from recurra.insight.dynamics import LayerDynamics
from recurra.insight.flow import LayerFlow
from recurra.insight.long_drive import LongDrive
from recurra.insight.network_facts import Arrival, InputFacts
from recurra.insight.reach import LayerReach
from recurra.insight.saturation import LayerActivity, Saturation
from recurra.insight.state_geometry import StateSpace
from recurra.insight.task_memory import TaskMemory

__all__ = [
    "MEMORY",
    "SEVERITIES",
    "Confidence",
    "Evidence",
    "LayerInsight",
    "Severity",
    "Verdict",
]

Severity = Literal["good", "note", "warning", "severe"]
SEVERITIES: tuple[Severity, ...] = ("good", "note", "warning", "severe")
Confidence = Literal["low", "medium", "high"]

MEMORY = 20
"""Where neither the task nor the caller says how far back a gradient must reach: so far."""
UNLEARNT, POOR = 0.15, 0.3
"""A network that does without less than this share of a constant answer's loss has learnt nothing,
or little: the healthy ones of `benchmarks/insight` do without 0.45 and more, the ill ones mostly
without less than 0.1."""


@dataclass(frozen=True)
class Verdict:
    """One finding.

    `text` is a sentence with the figures it rests on, `remedy` what to do, "" for nothing;
    `confidence` says how sure it is: "high" where the figure and the harm are both measured.
    """

    layer: str
    name: str
    severity: Severity
    text: str
    remedy: str = ""
    confidence: Confidence = "high"

    def __str__(self) -> str:
        return f"{self.layer}: {self.text}" + (f": {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, eq=False)
class LayerInsight:
    """The analyses of one layer and direction.

    Attributes:
        flow: the gradient of the loss over time.
        activity: gates and units.
        dynamics: Jacobians of its steps.
        drive: the growth of small changes in the long run; None for cells that take masks.
        arrival: where the loss's gradient arrives.
        space: its states in space, with fixed points.
    """

    flow: LayerFlow
    activity: LayerActivity
    dynamics: LayerDynamics
    drive: LongDrive | None
    arrival: Arrival
    space: StateSpace

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.flow.name

    @property
    def reach(self) -> LayerReach:
        """How far back a gradient reaches, whatever the loss."""
        return self.flow.reach

    @property
    def forget_gate(self) -> Saturation | None:
        """The gate that multiplies a state, if the cell has one."""
        return next((s for s in self.activity.saturation if s.keeps), None)


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that verdicts rest on.

    Attributes:
        layers: the analyses, layer by layer.
        inputs: what the first layer reads.
        task: what the network has learnt; None where no loss was given.
        memory: the steps back that the caller says the task needs.
        window: the steps of a window of truncated BPTT in training.
        clipped: the share of training steps that were clipped.
        unjudged: the loss isn't that of the task, so that it doesn't say what has been learnt.
    """

    layers: tuple[LayerInsight, ...]
    inputs: InputFacts
    task: TaskMemory | None = None
    memory: int | None = None
    window: int | None = None
    clipped: float | None = None
    unjudged: bool = False

    @property
    def skill(self) -> float | None:
        """The share of a constant answer's loss that the network does without."""
        return None if self.task is None else self.task.skill

    @property
    def is_idle(self) -> bool:
        """Whether the network is known to have learnt nothing."""
        return self.skill is not None and self.skill < UNLEARNT

    def weighed(self, severity: Severity, *, least: Severity = "note") -> Severity:
        """What a symptom weighs in a network of this skill, at least so much.

        It weighs in full where nothing has been learnt, and next to nothing where the network does
        its task and nothing is seen that is left to learn.
        """
        if self.is_idle or (self.skill is None and not self.unjudged):
            return severity
        if self.skill is None:
            return least
        is_behind = self.task is not None and self.task.unlearnt is not None
        if (self.skill < POOR or is_behind) and severity == "severe":
            return "warning"
        return least

    @property
    def in_words(self) -> str:
        """What the network has learnt, as a half-sentence; "" where it isn't known."""
        if self.skill is None:
            return ""
        if self.is_idle:
            return "; its loss is no better than that of the best constant answer"
        return f"; its loss is {100 * self.skill:.0f} % below that of the best constant answer"
