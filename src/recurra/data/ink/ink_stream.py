"""Features while the pen writes: rows for one-directional models, the same bits as of the whole."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from recurra.data.ink.ink import COLUMNS, LARGEST, Floats, Points
from recurra.data.ink.ink_features import InkFeatures
from recurra.data.ink.ink_resampling import PathResampler
from recurra.errors import ConfigError, DataError

__all__ = ["InkStream"]


class InkStream:
    """Takes points as they arrive and gives the rows that are due.

    A row waits for the sample after it, so at most the path of one step is outstanding until the
    pen is lifted. All rows together equal `how.features` of the whole ink, however it was cut.

    Args:
        how: settings with size "fixed", as `InkFeatures.causal` makes them.
        columns: the columns of the points that will come, one of `recurra.data.ink.ink.COLUMNS`.

    Raises:
        ConfigError: the settings need the whole ink.

    >>> stream = InkStream(InkFeatures.causal(unit=10.0))
    >>> first = stream.feed(np.array([[0.0, 0.0], [0.0, 5.0]]))
    >>> rest = stream.feed(np.array([[0.0, 10.0]]), pen_up=True)
    >>> len(first), len(rest), len(stream.finish())
    (2, 4, 0)
    """

    def __init__(self, how: InkFeatures, columns: tuple[str, ...] = ("x", "y")) -> None:
        if how.size != "fixed":
            raise ConfigError(
                "size='ink' needs the whole ink, so it can't be streamed; train with size='fixed', "
                "as InkFeatures.causal(unit) makes it."
            )
        if columns not in COLUMNS:
            raise ConfigError(f"columns={columns}; give one of {COLUMNS}.")
        self.how = how
        self.columns = columns
        self._resampler = PathResampler(how.spacing)
        self._rows = how.rows()

    def feed(self, points: Points, *, pen_up: bool = False) -> Floats:
        """The rows due after points (n, columns) of the current stroke, which `pen_up` ends.

        A pen-up without any point of a stroke changes nothing. DataError for other shapes, or
        values that are not finite; nothing has then been taken in.
        """
        if points.ndim != 2 or points.shape[1] != len(self.columns):
            raise DataError(
                f"points of shape {points.shape}; give (points, {len(self.columns)}): "
                f"{', '.join(self.columns)}."
            )
        points = points.astype(np.float64)
        if not (np.abs(points) <= LARGEST).all():
            raise DataError("a point is not finite, or too large; leave it out.")
        ready = self.how.prepared(points, self.columns)
        samples = self._resampler.feed(ready)
        if not pen_up or not self._resampler.last:
            return self._rows.feed(samples, pen_up=False)
        return self._rows.feed(np.concatenate([samples, self._resampler.finish()]), pen_up=True)

    def finish(self) -> Floats:
        """The last rows; a stroke that is still open ends here."""
        return self.feed(np.empty((0, len(self.columns))), pen_up=True)

    def state(self) -> dict[str, Any]:
        """What the next rows depend on, as JSON values of bounded size."""
        resampler = self._resampler
        return {
            "columns": list(self.columns),
            "resampler": [resampler.last, resampler.length, resampler.taken],
            "rows": self._rows.state(),
        }

    @classmethod
    def resumed(cls, how: InkFeatures, state: Mapping[str, Any]) -> "InkStream":
        """A stream that goes on where another with the same settings gave its `state`."""
        stream = cls(how, tuple(state["columns"]))
        last, stream._resampler.length, stream._resampler.taken = state["resampler"]
        stream._resampler.last = list(last)
        for name, value in state["rows"].items():
            setattr(stream._rows, name, value)
        return stream
