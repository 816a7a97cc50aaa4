"""The features of series as a page without a server makes them."""

from __future__ import annotations

from typing import Any

from recurra.errors import ConfigError
from recurra.tasks.inputs.input import Input
from recurra.tasks.inputs.series_input import SeriesInput

__all__ = ["series_facts"]


def series_facts(how: Input) -> dict[str, Any]:
    """Channels, what is made of missing values, and the statistics of the training data.

    Raises ConfigError for another kind of input, and for series whose times count.
    """
    if not isinstance(how, SeriesInput):
        raise ConfigError(
            f"A page by itself reads series and writes text, and this model reads {how.kind}; use "
            "`recurra serve`, or export to onnx."
        )
    if how.columns.times:
        raise ConfigError(
            "A page by itself reads series of equal steps, and this model uses the time between "
            "them; use `recurra serve`."
        )
    size, statistics = how.columns.width, how.standardiser
    return {
        "channels": list(how.columns.channels),
        "missing": how.columns.missing,
        "mean": [0.0] * size if statistics is None else list(statistics.mean),
        "deviation": [1.0] * size if statistics is None else list(statistics.std),
    }
