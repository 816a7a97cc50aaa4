"""Judges a network: all rules over all evidence, the likeliest cause first."""

from __future__ import annotations

from recurra.insight.layer_rules import layer_verdicts
from recurra.insight.network_rules import network_verdicts
from recurra.insight.verdicts import SEVERITIES, Evidence, Verdict

__all__ = ["judge"]

CAUSES = (
    "zero weights",
    "identical units",
    "weights too large",
    "input scale",
    "padding read",
    "direction read at its start",
    "dead units",
    "output gate closed",
    "update gate closed",
    "input gate closed",
    "unstable",
    "window too short",
    "chaotic",
    "exploding",
    "drifting states",
    "forget gate closed",
    "vanishing across layers",
    "vanishing",
    "saturated gates",
    "saturated tanh",
    "clipping",
    "nothing learnt",
    "unfinished",
)
"""Names of verdicts; what comes before may be the cause of what comes after it."""


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """The verdicts, the worst first and causes before their effects; "healthy" without any."""
    found = list(network_verdicts(evidence))
    for layer in evidence.layers:
        found += layer_verdicts(layer, evidence)
    if not any(verdict.severity in ("warning", "severe") for verdict in found):
        found = [_idle(evidence) if evidence.is_idle else _healthy(evidence), *found]
    return tuple(sorted(found, key=_order))


def _order(verdict: Verdict) -> tuple[int, int]:
    """What is good first, alone or before notes; then the worst first, and causes first."""
    if verdict.severity == "good":
        return (-len(SEVERITIES), 0)
    return -SEVERITIES.index(verdict.severity), CAUSES.index(verdict.name)


def _idle(evidence: Evidence) -> Verdict:
    return Verdict(
        "training",
        "nothing learnt",
        "warning",
        f"no illness is seen{evidence.in_words}",
        "train it for longer, try other learning rates, or look whether inputs tell the targets",
        "low",
    )


def _healthy(evidence: Evidence) -> Verdict:
    layer = max(evidence.layers, key=lambda layer: layer.reach.horizon.steps)
    text = f"healthy: the gradient reaches {layer.reach.horizon} back"
    task = evidence.task
    if task is not None and task.skill is not None:
        text += evidence.in_words
        if task.used is not None:
            text += f", and it looks back {task.used} steps"
    return Verdict(layer.name, "healthy", "good", text)
