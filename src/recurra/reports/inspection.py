"""An inspection as sections of a report: verdicts, a table of layers, pictures."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from recurra.errors import MissingExtra
from recurra.insight.inspection import Inspection
from recurra.insight.verdicts import LayerInsight
from recurra.plots import Row, plot_dynamics, plot_flow, plot_gates, plot_heat, plot_unfolded, svg
from recurra.reports.page import Picture, Section, Table

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["COLUMNS", "inspection_sections", "layer_row", "pictures", "watched_sections"]


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
UNFOLDED = 12
"""So many steps, the last, are shown of the unfolded network."""


def layer_row(layer: LayerInsight) -> tuple[str, ...]:
    """What is known of a layer, by `COLUMNS`.

    Radius is the mean spectral radius of a step's Jacobian, exponent the largest Lyapunov exponent,
    dimension the Kaplan-Yorke dimension; saturated are the shares of values near their limits.
    """
    horizon, dynamics = layer.flow.horizon, layer.dynamics
    saturated = ", ".join(f"{s.name} {s.share:.0%}" for s in layer.activity.saturation)
    known = ("", "", "")
    if dynamics is not None:
        spectrum = dynamics.spectrum
        dimension = "?" if spectrum.dimension != spectrum.dimension else f"{spectrum.dimension:.1f}"
        known = (f"{dynamics.mean_radius:.3f}", f"{spectrum.largest:+.3f}", dimension)
    return (layer.name, layer.flow.cell, str(horizon), horizon.pace, *known, saturated)


def inspection_sections(
    found: Inspection,
    labels: Sequence[str] = (),
    output: Tensor | None = None,
    predictions: Sequence[str] = (),
    row: int = 0,
) -> list[Section]:
    """The sections that show an inspection; pictures are of one row of the batch.

    `labels` name the steps, `output` (T, size) is what the network gave for the row, and
    `predictions` are its words. Without matplotlib a sentence stands for the pictures.
    """
    told = [(v.layer, v.severity, v.text, v.remedy) for v in found.verdicts]
    sections = [
        Section("Verdicts", Table(("layer", "severity", "what", "remedy"), told)),
        Section("Layers", Table(COLUMNS, [layer_row(layer) for layer in found.layers])),
    ]
    if found.clipped is not None:
        sections.append(Section("Clipping", {"steps clipped": f"{found.clipped:.1%}"}))
    try:
        return sections + [
            Section(title, Picture(svg(draw()), caption))
            for title, caption, draw in pictures(found, labels, output, predictions, row)
        ]
    except MissingExtra as absent:
        return [*sections, Section("Pictures", {"": absent})]


Drawn = tuple[str, str, Callable[[], "Figure"]]
"""A title, a caption, and what draws the picture."""


def pictures(
    found: Inspection,
    labels: Sequence[str] = (),
    output: Tensor | None = None,
    predictions: Sequence[str] = (),
    row: int = 0,
) -> list[Drawn]:
    """The pictures of an inspection."""
    return [
        (
            "Gradient flow",
            "Norm of the gradient towards each layer's state, by the distance from the loss. The "
            "dot marks the horizon: the gradient is 1 % of where it started.",
            lambda: plot_flow(_flow(found), strides=_strides(found)),
        ),
        (
            "The network unfolded in time",
            "Squares are units, those that vary most, coloured by value; arrows along time are the "
            "thicker, the more of the gradient passes them.",
            lambda: plot_unfolded(
                _unfolded(found, output, row), labels[-UNFOLDED:], predictions[-UNFOLDED:]
            ),
        ),
        *(_gates(found, layer, labels, row) for layer in found.layers),
        (
            "Dynamics",
            "Left, what one step does to a small change of the states: full lines the spectral "
            "radius of its Jacobian, thin lines its norm. Right, what all steps do together: an "
            "exponent above 0 means that small changes grow.",
            lambda: plot_dynamics(*_dynamics(found)),
        ),
    ]


def _flow(found: Inspection) -> dict[str, list[float]]:
    return {_memory(layer): layer.flow.longest.by_distance[0].tolist() for layer in found.layers}


def _strides(found: Inspection) -> dict[str, int]:
    return {_memory(layer): layer.flow.longest.stride for layer in found.layers}


def _memory(layer: LayerInsight) -> str:
    return f"{layer.name} ({layer.flow.longest.name})"


def _gates(found: Inspection, layer: LayerInsight, labels: Sequence[str], row: int) -> Drawn:
    values = found.values[layer.name]
    gates = [s.name for s in layer.activity.saturation if s.kind == "sigmoid"]
    shown = dict.fromkeys([*gates, layer.flow.longest.name])
    chosen = {name: values[name][:, row].cpu() for name in shown}
    return (
        f"Activity of {layer.name}",
        "Each line is a unit, the least active at the bottom; each column a step.",
        lambda: plot_gates(chosen, labels, f"{layer.name}: gates and memory"),
    )


def _unfolded(found: Inspection, output: Tensor | None, row: int) -> list[Row]:
    first = found.layers[0].name
    rows = [Row("input", found.inputs[first][-UNFOLDED:, row].cpu())]
    for layer in found.layers:
        state = layer.flow.states[0]
        shown = found.values[layer.name][state.name][-UNFOLDED:, row].cpu()
        gradient = layer.flow.longest.over_time[0][-UNFOLDED:].cpu()
        rows.append(Row(layer.name, shown, gradient, layer.flow.reverse))
    if output is not None:
        rows.append(Row("output", output[-UNFOLDED:].detach().cpu()))
    return rows


def _dynamics(found: Inspection) -> tuple[Any, Any]:
    known = [layer.dynamics for layer in found.layers if layer.dynamics is not None]
    curves = {
        d.name: (d.times.tolist(), d.radius.nanmean(0).tolist(), d.norm.nanmean(0).tolist())
        for d in known
    }
    return curves, {d.name: d.spectrum.exponents.tolist() for d in known}


TITLE = "Gradient flow while training"
CAPTION = (
    "How much of the gradient that reaches a layer's last step in a window arrives so many steps "
    "back in time. The line is the horizon: 1 % is left."
)


def watched_sections(lines: Sequence[Mapping[str, Any]]) -> list[Section]:
    """The lines of a run's gradients.jsonl as a heat map; nothing where they tell nothing of time.

    Without matplotlib a sentence stands for the picture.

    Example:
        >>> watched_sections([])
        []
    """
    telling = [line for line in lines if len(line["norms"]) > 1 and line["norms"][0] > 0]
    if not telling:
        return []
    try:
        return [Section(TITLE, Picture(svg(plot_heat(telling, "")), CAPTION))]
    except MissingExtra as absent:
        return [Section(TITLE, {"": absent})]
