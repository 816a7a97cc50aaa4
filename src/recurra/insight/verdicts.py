"""What is wrong with a network, in words, with the remedy that fits."""

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
"""A gradient that is gone within so many steps has vanished, unless the caller needs another."""
GROWN = 10.0
"""A gradient has exploded where it grows so many times over what it started from."""
SHUT, SATURATED, SQUASHED = 0.5, 0.9, 0.8
"""Shares of values: forget gates that forget, gates at their limits, tanh values at theirs."""
DEAD = 0.1
"""The share of units that may be dead."""
CHAOS = 0.02
"""A Lyapunov exponent above this is chaos; smaller ones are within what short sequences blur."""
CLIPPED = 0.5
"""The share of training steps that may be clipped."""


@dataclass(frozen=True)
class Verdict:
    """One finding: in which layer, what it is called, how bad it is, and what helps."""

    layer: str
    name: str
    severity: Severity
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        return f"{self.layer}: {self.text}" + (f": {self.remedy}" if self.remedy else "")


@dataclass(frozen=True, eq=False)
class LayerInsight:
    """All that is known of one layer and direction; `dynamics` may be left out."""

    flow: LayerFlow
    activity: LayerActivity
    dynamics: LayerDynamics | None = None

    @property
    def name(self) -> str:
        """The layer's name."""
        return self.flow.name

    @property
    def forget_gate(self) -> Saturation | None:
        """The gate that keeps a state, where the cell has one."""
        return next((s for s in self.activity.saturation if s.keeps), None)


Rule = Callable[[LayerInsight, int], Iterator[Verdict]]


def verdicts(layers: Sequence[LayerInsight], *, memory: int | None = None) -> tuple[Verdict, ...]:
    """What can be said of each layer; "healthy" where nothing is wrong.

    `memory` is how many steps back the task needs the gradient to reach: by default 20, or half of
    the sequence where that is shorter.
    """
    found: list[Verdict] = []
    for layer in layers:
        steps = layer.flow.states[0].over_time.shape[1]
        wrong = [v for rule in RULES for v in rule(layer, memory or min(MEMORY, steps // 2))]
        found += wrong or [_healthy(layer)]
    return tuple(found)


def clipping_verdicts(share: float) -> tuple[Verdict, ...]:
    """What can be said of a training of which that share of steps was clipped."""
    if share <= CLIPPED:
        return ()
    return (
        Verdict(
            "training",
            "clipping",
            "warning",
            f"{share:.0%} of the steps were clipped, so that clipping sets the step size",
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
        text = f"gradient {horizon.pace} and is 1 % after {horizon.steps}"
    severity: Severity = "severe" if horizon.steps < memory / 2 else "warning"
    yield Verdict(layer.name, "vanishing", severity, f"{text}; {_kind(layer)}", _longer(layer))


def _longer(layer: LayerInsight) -> str:
    """What lengthens the memory of this kind of cell."""
    if layer.activity.units.dead and layer.flow.horizon.growth == 0:
        return "its units are dead, and no gradient passes them: see there"
    gate = layer.forget_gate
    squashed = [s for s in layer.activity.saturation if s.kind == "tanh" and s.share > SQUASHED]
    if squashed and (gate is None or gate.forgets <= SHUT):
        return f"{squashed[0].name} stands at the limits of tanh: see there"
    if gate is not None:
        return f"start the forget gate {gate.name} open (bias of 1 or more, chrono initialisation)"
    if layer.activity.gated:
        return "start its gates so that they keep more (biases, chrono initialisation)"
    return "use a gated cell, or orthogonal initialisation"


def _exploding(layer: LayerInsight, _: int) -> Iterator[Verdict]:
    horizon = layer.flow.horizon
    worst = max(h.growth for s in layer.flow.states for h in s.horizons)
    if worst < GROWN or (not math.isinf(worst) and horizon.factor <= 1):
        return
    size = "beyond all bounds" if math.isinf(worst) else f"to {worst:.3g} times what it was"
    yield Verdict(
        layer.name,
        "exploding",
        "severe" if worst >= 1000 else "warning",
        f"gradient {horizon.pace} on its way back, {size}; {_kind(layer)}",
        "clip the gradient's norm, use orthogonal initialisation, or a gated cell",
    )


def _saturated(layer: LayerInsight, _: int) -> Iterator[Verdict]:
    for gate in layer.activity.saturation:
        if gate.forgets > SHUT:
            yield Verdict(
                layer.name,
                "forget gate shut",
                "severe",
                f"forget gate {gate.name} erases {gate.keeps} in {gate.forgets:.0%} of its values",
                "raise the forget bias to 1 or more, or use chrono initialisation",
            )
        elif gate.kind == "sigmoid" and gate.keeps is None and gate.share > SATURATED:
            yield Verdict(
                layer.name,
                "saturated gates",
                "warning",
                f"gate {gate.name} is shut in {gate.low:.0%} and open in {gate.high:.0%} of its "
                "values, where its gradient is small",
                "scale the inputs or weights down, lower the learning rate, or use layer "
                "normalisation",
            )
        elif gate.kind == "tanh" and gate.share > SQUASHED:
            yield Verdict(
                layer.name,
                "saturated tanh",
                "warning",
                f"{gate.name} stands at the limits of tanh in {gate.share:.0%} of its values",
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
            f"{len(units.dead)} of {units.size} units never vary",
            "lower the learning rate, start from identity (IRNN) or orthogonal weights, or use "
            "tanh instead of relu",
        )


def _wild(layer: LayerInsight, _: int) -> Iterator[Verdict]:
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


RULES: tuple[Rule, ...] = (_vanishing, _exploding, _saturated, _dead, _wild, _chaotic)


def _kind(layer: LayerInsight) -> str:
    """The cell in words, with its spectral radius where that is known."""
    cell = layer.flow.cell
    if cell == "RNN":
        cell = "simple RNN"
    if layer.dynamics is None:
        return cell
    return f"{cell}, spectral radius {layer.dynamics.mean_radius:.2f}"
