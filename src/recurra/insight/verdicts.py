"""Verdicts: the faults of a network in words, each with its remedy."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from recurra.insight.dynamics import LayerDynamics
from recurra.insight.flow import LayerFlow
from recurra.insight.saturation import LayerActivity, Saturation

__all__ = ["LayerInsight", "Severity", "Verdict", "clipping_verdicts", "verdicts"]

Severity = Literal["good", "warning", "severe"]

MEMORY = 20
"""A gradient with a shorter horizon has vanished, unless the caller gives another number."""
GROWN = 10.0
"""A gradient has exploded where it grows by this factor from its start."""
SHUT, SATURATED, SQUASHED = 0.5, 0.9, 0.8
"""Thresholds of shares: forget gates that erase, saturated gates, saturated tanh values."""
DEAD = 0.1
"""The share of units that may be dead without a verdict."""
CHAOS = 0.02
"""A Lyapunov exponent above this is chaos; short sequences can't resolve smaller ones."""
CLIPPED = 0.5
"""The share of training steps that may be clipped without a verdict."""


@dataclass(frozen=True)
class Verdict:
    """One finding: its layer, its name, its severity, a sentence, and the remedy."""

    layer: str
    name: str
    severity: Severity
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.layer}: {self.text}" + (f": {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, eq=False)
class LayerInsight:
    """The analyses of one layer and direction; `dynamics` may be None."""

    flow: LayerFlow
    activity: LayerActivity
    dynamics: LayerDynamics | None = None

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.flow.name

    @property
    def forget_gate(self) -> Saturation | None:
        """The gate that multiplies a state, if the cell has one."""
        return next((s for s in self.activity.saturation if s.keeps), None)


VerdictRule = Callable[[LayerInsight, int], Iterator[Verdict]]


def verdicts(layers: Sequence[LayerInsight], *, memory: int | None = None) -> tuple[Verdict, ...]:
    """Judge each layer; the verdict is "healthy" where no rule finds a fault.

    `memory` is the number of steps back that the task needs the gradient to reach: by default 20,
    or half of the sequence where that is shorter.
    """
    found: list[Verdict] = []
    for layer in layers:
        steps = layer.flow.states[0].over_time.shape[1]
        wrong = [v for rule in RULES for v in rule(layer, memory or min(MEMORY, steps // 2))]
        found += wrong or [_healthy(layer)]
    return tuple(found)


def clipping_verdicts(share: float) -> tuple[Verdict, ...]:
    """Judge a training by the share of its steps that were clipped."""
    if share <= CLIPPED:
        return ()
    return (
        Verdict(
            "training",
            "clipping",
            "warning",
            f"{100 * share:.0f} % of the steps were clipped: the limit determines the step size",
            "lower the learning rate, warm it up longer, or raise the limit (clip_norm)",
        ),
    )


def _vanishing(layer: LayerInsight, memory: int) -> Iterator[Verdict]:
    horizon = layer.flow.horizon
    if not horizon.reached or horizon.steps >= memory:
        return
    if horizon.growth == 0:
        text = "no gradient arrives"
    else:
        text = f"gradient {horizon.pace}; 1 % is left after {horizon.steps}"
    severity: Severity = "severe" if horizon.steps < memory / 2 else "warning"
    yield Verdict(layer.name, "vanishing", severity, f"{text}; {_kind(layer)}", _longer(layer))


def _longer(layer: LayerInsight) -> str:
    """The remedy that lengthens the memory of this kind of cell."""
    if layer.activity.units.dead and layer.flow.horizon.growth == 0:
        return "its units are dead and pass no gradient: see that verdict"
    gate = layer.forget_gate
    squashed = [s for s in layer.activity.saturation if s.kind == "tanh" and s.share > SQUASHED]
    if squashed and (gate is None or gate.forgets <= SHUT):
        return f"{squashed[0].name} is at the limits of tanh: see that verdict"
    if gate is not None:
        return f"initialise the forget gate {gate.name} open (bias of 1 or more, or chrono)"
    if layer.activity.gated:
        return "initialise its gates so that they keep more (biases, chrono initialisation)"
    return "use a gated cell, or orthogonal initialisation"


def _exploding(layer: LayerInsight, _: int) -> Iterator[Verdict]:
    horizon = layer.flow.horizon
    worst = max(h.growth for s in layer.flow.states for h in s.horizons)
    if worst < GROWN or (not math.isinf(worst) and horizon.factor <= 1):
        return
    size = "to infinity" if math.isinf(worst) else f"to {worst:.3g} times its start"
    yield Verdict(
        layer.name,
        "exploding",
        "severe" if worst >= 1000 else "warning",
        f"gradient {horizon.pace} back in time and grows {size}; {_kind(layer)}",
        "clip the gradient's norm, use orthogonal initialisation, or a gated cell",
    )


def _saturated(layer: LayerInsight, _: int) -> Iterator[Verdict]:
    for gate in layer.activity.saturation:
        if gate.forgets > SHUT:
            yield Verdict(
                layer.name,
                "forget gate closed",
                "severe",
                f"forget gate {gate.name} erases {gate.keeps} in {100 * gate.forgets:.0f} % of "
                "its values",
                "raise the forget bias to 1 or more, or use chrono initialisation",
            )
        elif gate.kind == "sigmoid" and gate.keeps is None and gate.share > SATURATED:
            yield Verdict(
                layer.name,
                "saturated gates",
                "warning",
                f"gate {gate.name} is closed in {100 * gate.low:.0f} % and open in "
                f"{100 * gate.high:.0f} % of its values, where its gradient is small",
                "scale the inputs or weights down, lower the learning rate, or use layer "
                "normalisation",
            )
        elif gate.kind == "tanh" and gate.share > SQUASHED:
            yield Verdict(
                layer.name,
                "saturated tanh",
                "warning",
                f"{gate.name} is at the limits of tanh in {100 * gate.share:.0f} % of its values",
                "scale the inputs or weights down, use orthogonal initialisation or layer "
                "normalisation",
            )


def _dead(layer: LayerInsight, _: int) -> Iterator[Verdict]:
    units = layer.activity.units
    share = len(units.dead) / units.size
    if share > DEAD:
        yield Verdict(
            layer.name,
            "dead units",
            "severe" if share > 0.5 else "warning",
            f"{len(units.dead)} of {units.size} units are constant",
            "lower the learning rate, use identity (IRNN) or orthogonal initialisation, or use "
            "tanh instead of relu",
        )


def _exploding_units(layer: LayerInsight, _: int) -> Iterator[Verdict]:
    units = layer.activity.units
    if units.exploding:
        yield Verdict(
            layer.name,
            "exploding units",
            "severe",
            f"{len(units.exploding)} of {units.size} units grow over time, up to "
            f"{units.largest:.3g}",
            "use tanh instead of relu, orthogonal weights of gain 1 or less, or layer "
            "normalisation",
        )


def _chaotic(layer: LayerInsight, _: int) -> Iterator[Verdict]:
    dynamics = layer.dynamics
    if dynamics is None or not dynamics.spectrum.largest > CHAOS:
        return
    largest = dynamics.spectrum.largest
    yield Verdict(
        layer.name,
        "chaotic",
        "warning",
        f"chaotic dynamics: a small change doubles every {math.log(2) / largest:.1f} steps "
        f"(largest Lyapunov exponent {largest:.3f})",
        "scale the recurrent weights down (orthogonal, gain 1), clip gradients, or use an "
        "antisymmetric cell",
    )


def _healthy(layer: LayerInsight) -> Verdict:
    horizon = layer.flow.horizon
    text = f"healthy: gradient {horizon.pace} and reaches {horizon} back"
    return Verdict(layer.name, "healthy", "good", text)


RULES: tuple[VerdictRule, ...] = (
    _vanishing,
    _exploding,
    _saturated,
    _dead,
    _exploding_units,
    _chaotic,
)


def _kind(layer: LayerInsight) -> str:
    """The cell in words, with its spectral radius if it was computed."""
    cell = layer.flow.cell
    if cell == "RNN":
        cell = "simple RNN"
    if layer.dynamics is None:
        return cell
    return f"{cell}, spectral radius {layer.dynamics.mean_radius:.2f}"
