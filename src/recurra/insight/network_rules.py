"""Rules for a network as a whole: inputs, directions, depth, windows, clipping."""

from __future__ import annotations

from collections.abc import Iterator

from recurra.insight.verdicts import Evidence, Verdict

__all__ = ["network_verdicts"]

LARGE, SMALL = 30.0, 0.02
"""A feature with a larger root mean square is too large, a step with a smaller norm too small."""
SHORT, START = 8, 16
"""In shorter rows every step is near the start; else that is the first sixteenth of the steps."""
DEEP, DEEP_AND_IDLE = 1e-3, 0.03
"""The gradient that arrives at the lowest layer, as a share of the highest's, below which depth
stops it, and that of a network that has learnt nothing: healthy ones of five layers and more have
0.2 and more."""
PADDED_STEPS, PADDED_ROWS = 0.05, 0.25
"""Shares of steps and of rows from which steps that repeat one another at the end are padding."""
CLIPPED = 0.5
"""The share of training steps that may be clipped."""


def network_verdicts(evidence: Evidence) -> Iterator[Verdict]:
    """The findings on the network as a whole."""
    yield from _input_scale(evidence)
    yield from _padding(evidence)
    yield from _direction(evidence)
    yield from _window(evidence)
    yield from _depth(evidence)
    yield from _unfinished(evidence)
    yield from _clipping(evidence)


def _input_scale(evidence: Evidence) -> Iterator[Verdict]:
    inputs, name = evidence.inputs, evidence.layers[0].name
    if inputs.largest > LARGE:
        text = f"a feature of the input has a root mean square of {inputs.largest:.3g}"
    elif 0 < inputs.norm < SMALL:
        text = f"a step's input has a norm of {inputs.norm:.2g}"
    else:
        return
    yield Verdict(
        name,
        "input scale",
        evidence.weighed("severe", least="warning"),
        f"{text}, and weights are drawn for inputs of about 1{evidence.in_words}",
        "standardise each feature of the data to mean 0 and deviation 1",
    )


def _padding(evidence: Evidence) -> Iterator[Verdict]:
    inputs, first = evidence.inputs, evidence.layers[0]
    if inputs.padding < PADDED_STEPS or inputs.padded_rows < PADDED_ROWS:
        return
    yield Verdict(
        first.name,
        "padding read",
        evidence.weighed("severe", least="warning"),
        f"{100 * inputs.padded_rows:.0f} % of the rows end in steps that repeat one another, "
        f"{100 * inputs.padding:.0f} % of all steps, and the layer reads them as data",
        "give the layer the rows' lengths (lengths=...), or a packed sequence, and take the "
        "output at each row's own end",
    )


def _direction(evidence: Evidence) -> Iterator[Verdict]:
    for layer in evidence.layers:
        arrival = layer.arrival
        if arrival.read is None or arrival.steps < SHORT:
            continue
        if arrival.read > max(1, arrival.steps // START):
            continue
        steps = "step" if arrival.read == 1 else "steps"
        yield Verdict(
            layer.name,
            "direction read at its start",
            evidence.weighed("severe", least="warning"),
            f"the loss hears this direction where it has read {arrival.read} {steps} of "
            f"{arrival.steps}: y[:, -1] or y[-1] is the start of a reverse direction",
            "take each direction where it ends: its last state, or torch.cat((y[-1, :, :H], "
            "y[0, :, H:]), -1), or a mean over the steps",
        )


def _window(evidence: Evidence) -> Iterator[Verdict]:
    window, task = evidence.window, evidence.task
    if window is None or task is None or task.unlearnt is None or task.unlearnt < window:
        return
    yield Verdict(
        "training",
        "window too short",
        "severe",
        f"inputs {task.unlearnt} steps back explain what the network does wrong, and training "
        f"looks back at most {window} steps",
        f"train with windows of {2 * task.unlearnt} steps or more (window = {2 * task.unlearnt})",
    )


def _depth(evidence: Evidence) -> Iterator[Verdict]:
    heard = [layer for layer in evidence.layers if layer.arrival.read is not None]
    if len(heard) < 3:
        return
    top = max(layer.arrival.norm for layer in heard)
    lowest = min(heard, key=lambda layer: layer.arrival.norm)
    share = lowest.arrival.norm / top if top else 1.0
    if share >= (DEEP_AND_IDLE if evidence.is_idle else DEEP):
        return
    yield Verdict(
        lowest.name,
        "vanishing across layers",
        evidence.weighed("severe", least="warning"),
        f"{share:.1g} of the gradient that the highest layer gets arrives here, through "
        f"{len(heard)} layers{evidence.in_words}",
        "use fewer layers, or skip connections with normalisation (--skip residual --norm pre)",
    )


def _unfinished(evidence: Evidence) -> Iterator[Verdict]:
    task = evidence.task
    if task is None or task.unlearnt is None or task.skill is None or evidence.is_idle:
        return
    share = max(task.missing)
    yield Verdict(
        "training",
        "unfinished",
        "note",
        f"inputs up to {task.unlearnt} steps back still explain {100 * share:.0f} % of what a "
        f"constant answer lacks{evidence.in_words}",
        "train it for longer",
        "medium",
    )


def _clipping(evidence: Evidence) -> Iterator[Verdict]:
    share = evidence.clipped or 0.0
    if share <= CLIPPED:
        return
    yield Verdict(
        "training",
        "clipping",
        evidence.weighed("warning"),
        f"{100 * share:.0f} % of the steps were clipped: the limit determines the step size"
        f"{evidence.in_words}",
        "lower the learning rate, warm it up longer, or raise the limit (clip_norm)",
        "medium",
    )
