"""Sections of a report that show an inspection, and the gradient flow of a training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from recurra.errors import MissingExtra
from recurra.insight.dynamics import LayerDynamics
from recurra.insight.fixed_points import FixedPoint
from recurra.insight.inspection import Inspection
from recurra.insight.saturation import Saturation
from recurra.insight.task_memory import TaskMemory
from recurra.insight.verdicts import LayerInsight
from recurra.plots import (
    StateCloud,
    UnfoldedRow,
    plot_exponents,
    plot_flow,
    plot_gates,
    plot_heat,
    plot_jacobians,
    plot_states,
    plot_unfolded,
    require_matplotlib,
)
from recurra.reports.html_page import Section, TextTable, drawn_section

if TYPE_CHECKING:
    from recurra.plots import Figure

__all__ = ["COLUMNS", "inspection_sections", "layer_row", "watched_sections"]

COLUMNS = (
    "layer",
    "cell",
    "horizon",
    "gradient",
    "radius",
    "exponent",
    "dimension",
    "saturated",
)
GATES = {"i": "input gate", "o": "output gate", "r": "reset gate"}
GATES_OF = {"RGLRU": {"r": "recurrence gate"}}
"""Gates as the literature calls them, by their letters in the equations, which cells share, and
those of a cell that differs. A forget gate is known by what it does: it multiplies a state."""
UNFOLDED = 12
"""The unfolded network shows so many steps, the last."""


def layer_row(layer: LayerInsight) -> tuple[str, ...]:
    """The figures of a layer as text, by `COLUMNS`.

    Radius is the mean spectral radius of a step's Jacobian, exponent the largest Lyapunov exponent
    of a long drive with its standard error, dimension the Kaplan-Yorke dimension; saturated are the
    shares of values near their limits.
    """
    horizon, dynamics = layer.flow.horizon, layer.dynamics
    exponent = "" if layer.drive is None else str(layer.drive)
    saturated = ", ".join(
        f"{_in_words(layer, s)} {100 * s.share:.0f} %" for s in layer.activity.saturation
    )
    spectrum = dynamics.spectrum
    dimension = "?" if spectrum.dimension != spectrum.dimension else f"{spectrum.dimension:.1f}"
    figures = (f"{dynamics.mean_radius:.3f}", exponent, dimension)
    return (layer.name, layer.flow.cell, str(horizon), horizon.pace, *figures, saturated)


def _in_words(layer: LayerInsight, value: Saturation) -> str:
    """A gate or candidate spelled out: "input gate i"."""
    if value.keeps:
        return f"forget gate {value.name}"
    if value.kind == "sigmoid":
        words = GATES | GATES_OF.get(layer.flow.cell, {})
        return f"{words.get(value.name, 'gate')} {value.name}"
    return f"candidate {value.name}" if value.name.isidentifier() else value.name


def inspection_sections(
    inspection: Inspection,
    labels: Sequence[str] = (),
    output: Tensor | None = None,
    predictions: Sequence[str] = (),
    row: int = 0,
) -> list[Section]:
    """The sections that show an inspection, of any task; pictures are of one row of the batch.

    Where the task has them: `labels` name the row's steps, `output` (T, size) is the network's
    output for the row, and `predictions` are its predictions as text, step by step. Without
    matplotlib a sentence takes the pictures' place.
    """
    verdicts = [(v.layer, v.severity, v.text, v.remedy, v.confidence) for v in inspection.verdicts]
    columns = ("layer", "severity", "finding", "remedy", "confidence")
    layers = [layer_row(layer) for layer in inspection.layers]
    found = Section("Verdicts", TextTable(columns, verdicts, text_columns=len(columns)))
    tables = [
        _spaces(inspection),
        Section("Layers", TextTable(COLUMNS, layers, text_columns=len(COLUMNS))),
    ]
    if inspection.clipped is not None:
        tables.append(Section("Clipping", {"steps clipped": f"{100 * inspection.clipped:.1f} %"}))
    learnt = [] if inspection.task is None else [_learnt(inspection.task)]
    try:
        require_matplotlib()
    except MissingExtra as absent:
        return [found, *learnt, Section("Pictures", [str(absent)]), *tables]
    return [found, *learnt, *_pictures(inspection, labels, output, predictions, row), *tables]


def _spaces(inspection: Inspection) -> Section:
    """Dimensions, time constants and fixed points of each layer's states."""
    facts = {}
    for layer in inspection.layers:
        space = layer.space
        parts = [
            f"{space.participation:.1f} dimensions (participation ratio)",
            *map(str, space.times),
        ]
        if space.points is not None:
            parts.append(_points(space.points))
        facts[layer.name] = "; ".join(parts)
    return Section("States", facts)


def _points(points: Sequence[FixedPoint]) -> str:
    """Kinds of points with their numbers, and the slowest decay at an attractor."""
    if not points:
        return "no fixed or slow point under the median input near the states"
    kinds = Counter(point.kind for point in points)
    words = ", ".join(f"{count} × {kind}" for kind, count in kinds.most_common(4))
    slowest = max(point.time_constant for point in points)
    return f"under the median input: {words}; the slowest direction decays in {slowest:.3g} steps"


def _clouds(inspection: Inspection) -> dict[str, StateCloud]:
    """What is drawn of each layer with two state units or more."""
    found = {}
    for layer in inspection.layers:
        space = layer.space
        if space.axes.shape[1] < 2:
            continue
        points = [
            (space.place(point.state)[:2].tolist(), point.unstable == 0, point.is_fixed)
            for point in space.points or ()
        ]
        shares = (float(space.explained[0]), float(space.explained[1]))
        found[layer.name] = StateCloud([p[:, :2].cpu() for p in space.paths], points, shares)
    return found


def _learnt(task: TaskMemory) -> Section:
    """What the network has learnt, and from which distances."""
    facts = {"loss": f"{task.loss:.4g}"}
    facts["loss of the best constant answer"] = (
        "not found: the loss is not of one tensor of the output alone"
        if task.constant is None
        else f"{task.constant:.4g}"
    )
    if task.used is not None:
        facts["looks back"] = f"{task.used} steps"
    if task.asked:
        far = max(
            (d for d, a in zip(task.distances, task.asked, strict=True) if a > 0.05), default=0
        )
        facts["inputs explain the targets up to"] = f"{far} steps back"
        left = task.unlearnt
        facts["left to learn"] = "nothing seen" if left is None else f"up to {left} steps back"
    return Section("What it has learnt", facts)


def _pictures(
    inspection: Inspection,
    labels: Sequence[str],
    output: Tensor | None,
    predictions: Sequence[str],
    row: int,
) -> list[Section]:
    return [
        drawn_section(
            "Gradient flow",
            lambda: plot_flow(_flow(inspection), "", strides=_strides(inspection)),
            caption="A gradient that starts at a layer's output, followed back through its own "
            "steps: the median of many starts, by distance. The dot marks the horizon, where 1 % "
            "of the start is left.",
        ),
        drawn_section(
            "The network unfolded in time",
            lambda: plot_unfolded(
                _unfolded(inspection, output, row),
                labels[-UNFOLDED:],
                predictions[-UNFOLDED:],
                title="",
            ),
            caption="Squares are the units that vary most, coloured by value. The thicker an arrow "
            "along time, the more of the gradient passes it.",
            wide=True,
        ),
        *(
            drawn_section(
                f"Activity of {layer.name}",
                _gates(inspection, layer, labels, row),
                caption="Each line is a unit, the least active at the bottom; each column is a "
                "step.",
                wide=True,
            )
            for layer in inspection.layers
        ),
        drawn_section(
            "Dynamics",
            lambda: plot_jacobians(_jacobians(inspection)),
            lambda: plot_exponents(_exponents(inspection)),
            caption="First, the effect of one step on a small change of the states: thick lines "
            "are the spectral radius of its Jacobian, thin lines its norm. Then the effect of all "
            "steps together: an exponent above 0 means that small changes grow.",
        ),
        *_state_pictures(inspection),
    ]


def _state_pictures(inspection: Inspection) -> list[Section]:
    clouds = _clouds(inspection)
    if not clouds:
        return []
    return [
        drawn_section(
            "State space",
            lambda: plot_states(clouds),
            caption="Paths of some rows along the two directions in which states vary most; a dot "
            "is where a path begins. Under a constant input, the median one, discs are attractors, "
            "crosses are fixed points that small changes leave; hollow ones are slow, not fixed.",
        )
    ]


def _flow(inspection: Inspection) -> dict[str, list[float]]:
    return {layer.name: layer.reach.median.tolist() for layer in inspection.layers}


def _strides(inspection: Inspection) -> dict[str, int]:
    return {layer.name: layer.reach.stride for layer in inspection.layers}


def _gates(
    inspection: Inspection, layer: LayerInsight, labels: Sequence[str], row: int
) -> Callable[[], Figure]:
    """A function that draws the gates and the memory of a layer."""
    gates = [s for s in layer.activity.saturation if s.kind == "sigmoid"]
    memory = layer.flow.longest.name
    names = {s.name: _in_words(layer, s) for s in gates} | {memory: f"state {memory}"}
    values = inspection.values[layer.name]
    shown = {words: _of_row(inspection, values[name], row) for name, words in names.items()}
    steps = len(next(iter(shown.values())))
    fitting = labels if len(labels) == steps else ()
    return lambda: plot_gates(shown, fitting, "")


def _of_row(inspection: Inspection, values: Tensor, row: int) -> Tensor:
    """Values (T, B, size) of one row, without padding: (steps, size)."""
    return values[: int(inspection.lengths[row]), row].detach().cpu()


def _unfolded(inspection: Inspection, output: Tensor | None, row: int) -> list[UnfoldedRow]:
    """Rows of the last steps: the input, each layer that runs at its steps, the output."""
    steps = int(inspection.lengths[row])
    inputs = inspection.inputs[inspection.layers[0].name]
    rows = [UnfoldedRow("input", _of_row(inspection, inputs, row)[-UNFOLDED:])]
    for layer in inspection.layers:
        if _run_together(inspection, layer):
            memory, state = layer.flow.longest, layer.flow.states[0].name
            values = _of_row(inspection, inspection.values[layer.name][state], row)
            gradient = memory.over_time[0].repeat_interleave(layer.reach.stride)[:steps].cpu()
            shown = (values[-UNFOLDED:], gradient[-UNFOLDED:])
            rows.append(UnfoldedRow(layer.name, *shown, layer.flow.reverse))
    if output is not None:
        rows.append(UnfoldedRow("output", output[:steps][-UNFOLDED:].detach().cpu()))
    return rows


def _run_together(inspection: Inspection, layer: LayerInsight) -> bool:
    """Check whether a layer runs at the steps of the first one, apart from a dilation's padding."""
    first = inspection.layers[0]
    apart = len(inspection.inputs[first.name]) - len(inspection.inputs[layer.name])
    return abs(apart) < max(first.reach.stride, layer.reach.stride)


def _jacobians(inspection: Inspection) -> dict[str, Any]:
    return {
        d.name: (d.times.tolist(), d.radius.nanmean(0).tolist(), d.norm.nanmean(0).tolist())
        for d in _dynamics(inspection)
    }


def _exponents(inspection: Inspection) -> dict[str, list[float]]:
    return {d.name: d.spectrum.exponents.tolist() for d in _dynamics(inspection)}


def _dynamics(inspection: Inspection) -> list[LayerDynamics]:
    return [layer.dynamics for layer in inspection.layers]


def _positions(lines: Sequence[Mapping[str, Any]]) -> str:
    """How much of the loss's gradient the last step of a window has, in the last watched step."""
    last = lines[-1]
    if "loss_shares" not in last:
        return ""
    share = last["loss_shares"][0]
    return (
        f"In the last of these training steps {100 * share:.0f} % of the gradient that the loss "
        f"sends to {last['layer']} arrives at the window's last step."
    )


def watched_sections(lines: Sequence[Mapping[str, Any]]) -> list[Section]:
    """The lines of a run's gradients.jsonl as a heat map, if any covers two steps or more.

    Without matplotlib a sentence takes the picture's place.

    Example:
        >>> watched_sections([])
        []
    """
    long = [line for line in lines if len(line["norms"]) > 1 and line["norms"][0] > 0]
    if not long:
        return []
    caption = (
        "Read a column upwards: it is one training step, and the colour is the share of the "
        "gradient at a layer's last step in a window that is left so many steps back in time, dark "
        "where it has vanished, blue where it has grown. The line is the horizon, where 1 % is "
        f"left; it rises as a network learns to remember. {_positions(long)}"
    )
    title = "Gradient flow during training"
    return [drawn_section(title, lambda: plot_heat(long, ""), caption=caption)]
