"""Rules for one layer and direction: memory, gates, units, dynamics."""

from __future__ import annotations

import math
from collections.abc import Iterator

from recurra.insight.verdicts import MEMORY, Evidence, LayerInsight, Severity, Verdict

__all__ = ["layer_verdicts"]

GROWN = 100.0
"""A gradient has exploded where it grows by this factor from its start."""
SHUT, SATURATED, SQUASHED = 0.5, 0.9, 0.8
"""Thresholds of shares: forget gates that erase, saturated gates, saturated tanh values."""
CLOSED = 0.03
"""A gate that writes or lets out is closed where its mean is below this (a bias of -3.5)."""
HEAVY = 10.0
"""A larger gain of a matrix than training gives: healthy networks have at most 4."""
BOUND = 1e3
"""States beyond this magnitude have left every useful range."""
DEAD, ALIKE = 0.1, 0.5
"""The shares of units that may be dead, or do the same as another, without a verdict."""

_WORDS = {
    "writes": ("input gate", "nothing is written to the state"),
    "outputs": ("output gate", "nothing of the state comes out"),
}


def layer_verdicts(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    """The findings on one layer."""
    yield from _weights(layer, evidence)
    yield from _alike(layer, evidence)
    yield from _dead(layer, evidence)
    yield from _closed(layer, evidence)
    yield from _forgetting(layer, evidence)
    yield from _unstable(layer, evidence)
    yield from _exploding(layer, evidence)
    yield from _chaotic(layer, evidence)
    yield from _saturated(layer, evidence)
    yield from _vanishing(layer, evidence)


def _weights(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    size = layer.activity.weights
    if size == 0:
        yield Verdict(
            layer.name,
            "zero weights",
            "severe",
            "every matrix of the layer is zero, so that it reads nothing",
            "draw its weights again: layer.reset_parameters()",
        )
    elif size > HEAVY:
        yield Verdict(
            layer.name,
            "weights too large",
            evidence.weighed("severe"),
            f"a matrix of the layer makes its input {size:.1f} times as large, and weights that "
            f"are drawn anew about as large{evidence.in_words}",
            "lower the learning rate (by ten), and train from newly drawn weights",
        )


def _alike(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    units = layer.activity.units
    if units.size > 1 and units.alike > ALIKE * (units.size - 1):
        yield Verdict(
            layer.name,
            "identical units",
            evidence.weighed("severe", least="warning"),
            f"{units.alike} of {units.size} units do the same as another: they began alike, and "
            "training keeps them so",
            "draw its weights at random: layer.reset_parameters()",
        )


def _dead(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    units = layer.activity.units
    share = len(units.dead) / units.size
    if share <= DEAD or layer.activity.weights == 0:
        return
    yield Verdict(
        layer.name,
        "dead units",
        evidence.weighed("severe" if share > 0.5 else "warning"),
        f"{len(units.dead)} of {units.size} units are constant{evidence.in_words}",
        "lower the learning rate, raise the bias, use identity (IRNN) or orthogonal "
        "initialisation, or tanh instead of relu",
    )


def _closed(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    means = {s.name: s for s in layer.activity.saturation}
    for role in layer.activity.roles:
        gate = means.get(role.name)
        if gate is None:
            continue
        openness = 1 - gate.mean if role.inverted else gate.mean
        if openness >= CLOSED:
            continue
        words, harm = _WORDS[role.role]
        if role.role == "writes" and gate.keeps is not None:
            words = "update gate"
        yield Verdict(
            layer.name,
            f"{words} closed",
            evidence.weighed("severe"),
            f"{words} {gate.name} lets {100 * openness:.2g} % through: {harm}{evidence.in_words}",
            f"set the bias of {gate.name} to 0, or draw the weights again; scale the inputs down "
            "where they are large",
        )


def _forgetting(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    for gate in layer.activity.saturation:
        if gate.forgets > SHUT:
            yield Verdict(
                layer.name,
                "forget gate closed",
                evidence.weighed("severe"),
                f"forget gate {gate.name} erases {gate.keeps} in {100 * gate.forgets:.0f} % of "
                f"its values{evidence.in_words}",
                _open_gate(evidence),
            )


def _open_gate(evidence: Evidence) -> str:
    """The remedy that opens a forget gate."""
    needed = evidence.memory or (evidence.task.unlearnt if evidence.task is not None else None)
    if needed is not None and needed >= 10:
        return f"use chrono initialisation (--init chrono:{max(needed, 3)}), or a forget bias of 1"
    return "raise the forget bias (--init forget-bias:1), or use chrono initialisation"


def _unstable(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    units, drive = layer.activity.units, layer.drive
    if units.largest > BOUND:
        text = f"its states reach {units.largest:.3g} and grow over time"
    elif drive is not None and not drive.bounded:
        text = "driven for longer than these sequences, its states grow without bound"
    elif units.exploding:
        yield Verdict(
            layer.name,
            "drifting states",
            evidence.weighed("warning"),
            f"{len(units.exploding)} of {units.size} units have states that triple from one third "
            f"of the time to the next, up to {units.largest:.3g}{evidence.in_words}",
            "centre the inputs, or use layer normalisation",
        )
        return
    else:
        return
    # Without a loss it isn't known whether such a network does what it is for.
    known = evidence.skill is not None or units.largest > BOUND
    weighed: Severity = evidence.weighed("severe") if known else "note"
    yield Verdict(
        layer.name,
        "unstable",
        weighed,
        f"{text}{evidence.in_words}",
        "run it on sequences as long as in training"
        if weighed == "note"
        else "use tanh instead of relu, orthogonal weights of gain 1 or less (--init orthogonal), "
        "or layer normalisation",
    )


def _exploding(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    horizon = layer.reach.horizon
    if horizon.growth < GROWN:
        return
    yield Verdict(
        layer.name,
        "exploding",
        evidence.weighed("severe" if horizon.growth >= 1000 else "warning"),
        f"the gradient {horizon.pace} back in time and grows to {horizon.growth:.3g} times its "
        f"start; {_kind(layer)}{evidence.in_words}",
        "scale the recurrent weights down (--init orthogonal), clip the gradient's norm "
        "(clip_norm), or use a gated cell",
    )


def _chaotic(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    drive = layer.drive
    if drive is None or not drive.is_chaotic:
        return
    yield Verdict(
        layer.name,
        "chaotic",
        evidence.weighed("severe" if drive.exponent > 0.1 else "warning"),
        f"chaotic dynamics: a small change grows by {100 * (math.exp(drive.exponent) - 1):.0f} "
        f"% a step (largest Lyapunov exponent {drive}){evidence.in_words}",
        "scale the recurrent weights down (--init orthogonal), or use an antisymmetric cell",
    )


def _saturated(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    roles = {role.name for role in layer.activity.roles}
    for gate in layer.activity.saturation:
        if gate.kind == "sigmoid" and gate.keeps is None and gate.share > SATURATED:
            if gate.name in roles and gate.mean < CLOSED:
                continue  # closed, which is a verdict of its own
            name, text = (
                "saturated gates",
                f"gate {gate.name} is closed in {100 * gate.low:.0f} % and open in "
                f"{100 * gate.high:.0f} % of its values, where its gradient is small",
            )
        elif gate.kind == "tanh" and gate.share > SQUASHED:
            name, text = (
                "saturated tanh",
                f"{gate.name} is at the limits of tanh in {100 * gate.share:.0f} % of its values",
            )
        else:
            continue
        yield Verdict(
            layer.name,
            name,
            evidence.weighed("warning"),
            f"{text}{evidence.in_words}",
            "scale the inputs or weights down, lower the learning rate, or use layer normalisation",
        )


def _vanishing(layer: LayerInsight, evidence: Evidence) -> Iterator[Verdict]:
    horizon, task = layer.reach.horizon, evidence.task
    steps = layer.arrival.steps
    if not horizon.reached:
        return
    text = f"gradient {horizon.pace}; 1 % is left after {horizon}"
    severity: Severity | None = None
    if task is not None and task.unlearnt is not None and task.unlearnt > horizon.steps:
        severity = "severe"
        text += f", and inputs {task.unlearnt} steps back explain what the network does wrong"
    elif evidence.memory is not None:
        if horizon.steps < evidence.memory:
            severity = evidence.weighed(
                "severe" if 2 * horizon.steps < evidence.memory else "warning"
            )
            text += f", and the task needs {evidence.memory}"
    elif evidence.skill is not None:
        if evidence.is_idle and horizon.steps < steps / 2:
            severity = "warning"
            text += evidence.in_words
    elif horizon.steps < min(MEMORY, steps // 2):
        is_short = 2 * horizon.steps < min(MEMORY, steps // 2)
        severity = evidence.weighed("severe" if is_short else "warning")
    if severity is None:
        return
    sure = (task is not None and task.unlearnt is not None) or evidence.memory is not None
    yield Verdict(
        layer.name,
        "vanishing",
        severity,
        f"{text}; {_kind(layer)}",
        _longer(layer, evidence),
        "high" if sure else "low",
    )


def _longer(layer: LayerInsight, evidence: Evidence) -> str:
    """The remedy that lengthens the memory of this kind of cell."""
    if layer.activity.units.dead and layer.reach.horizon.factor == 0:
        return "its units are dead and pass no gradient: see that verdict"
    gate = layer.forget_gate
    squashed = [s for s in layer.activity.saturation if s.kind == "tanh" and s.share > SQUASHED]
    if squashed and (gate is None or gate.forgets <= SHUT):
        return f"{squashed[0].name} is at the limits of tanh: see that verdict"
    if gate is not None:
        openness = 1 - gate.mean if gate.inverted else gate.mean
        if openness > 0.9:
            return "its forget gate is open already: use layer normalisation, or train for longer"
        return (
            f"forget gate {gate.name} keeps {100 * openness:.0f} % a step: {_open_gate(evidence)}"
        )
    if layer.activity.gated:
        return "initialise its gates so that they keep more (biases, chrono initialisation)"
    if layer.dynamics.mean_radius > 0.95:
        return "use a gated cell (--cell gru or lstm)"
    return "use orthogonal initialisation (--init orthogonal), or a gated cell (--cell gru or lstm)"


def _kind(layer: LayerInsight) -> str:
    """The cell in words, with its spectral radius."""
    cell = "simple RNN" if layer.flow.cell == "RNN" else layer.flow.cell
    return f"{cell}, spectral radius {layer.dynamics.mean_radius:.2f}"
