"""What a training saw of its gradients' way through time, as a section of its report."""

from collections.abc import Mapping, Sequence
from typing import Any

from recurra.errors import MissingExtra
from recurra.insight.plot import plot_heat, svg
from recurra.insight.report import Picture, Section

__all__ = ["watched_sections"]

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
