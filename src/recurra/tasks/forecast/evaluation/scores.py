"""Every window's scores, from utilsforecast; what scales them is in ground.py."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from recurra.data.tables.table import load_pandas
from recurra.errors import MissingExtra

__all__ = ["POINT", "Mask", "Matrix", "Model", "Quantiles", "Scores", "scores"]

Matrix = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]
Scores = dict[str, Matrix]

POINT = ("MAE", "MSE", "RMSE", "sMAPE")
"""What is scored of point forecasts; MASE is MAE over the history's scale."""

_FACTORS = {"sMAPE": 200.0, "CRPS": 2.0}
"""utilsforecast's sMAPE is a share of one, and its multi-quantile loss half of the CRPS."""
_STEPS = 200_000
"""So many steps are scored at once: the frames stay small, whatever the horizon."""


class Model(NamedTuple):
    """A model's forecasts: point (W, H), and quantiles (W, H, Q) where it has some."""

    point: Matrix
    quantiles: Matrix | None

    def at(self, windows: slice | Mask) -> "Model":
        """The forecasts of these windows alone."""
        quantiles = None if self.quantiles is None else self.quantiles[windows]
        return Model(self.point[windows], quantiles)


class Quantiles(NamedTuple):
    """The levels (Q,) that models share, and which two of them each interval lies between."""

    levels: Sequence[float]
    intervals: Mapping[float, tuple[int, int]]


def scores(truth: Matrix, models: Sequence[Model], quantiles: Quantiles) -> list[Scores]:
    """For each model each metric (W,), over the known steps of truth (W, H).

    Each window needs a known step. Units: MAE, RMSE and CRPS the series', sMAPE per cent from 0 to
    200, the rest none. MissingExtra without utilsforecast.
    """
    parts = [
        _scored(truth[windows], [model.at(windows) for model in models], quantiles)
        for windows in _chunks(*truth.shape)
    ]
    return [
        {metric: np.concatenate([part[number][metric] for part in parts]) for metric in names}
        for number, names in enumerate(parts[0])
    ]


def _chunks(windows: int, horizon: int) -> Iterator[slice]:
    size = max(_STEPS // horizon, 1)
    for start in range(0, windows, size):
        yield slice(start, start + size)


def _scored(truth: Matrix, models: Sequence[Model], quantiles: Quantiles) -> list[Scores]:
    losses, names = _losses(), [f"m{number}" for number in range(len(models))]
    frame = _frame(truth, models, quantiles.intervals)
    tables = {
        "MAE": losses.mae(frame, names),
        "MSE": losses.mse(frame, names),
        "RMSE": losses.rmse(frame, names),
        "sMAPE": losses.smape(frame, names),
        **_of_quantiles(frame, names, quantiles),
    }
    return [
        {
            metric: _FACTORS.get(metric, 1.0) * _column(table, name)
            for metric, table in tables.items()
            if name in table.columns
        }
        for name in names
    ]


def _of_quantiles(frame: Any, names: Sequence[str], quantiles: Quantiles) -> dict[str, Any]:
    """The tables of those models that have quantiles."""
    found = [name for name in names if f"{name}-q0" in frame.columns]
    if not found:
        return {}
    losses, levels = _losses(), np.array(quantiles.levels)
    columns = {name: [f"{name}-q{number}" for number in range(len(levels))] for name in found}
    coverages = {
        f"coverage{percent:g}": losses.coverage(frame, found, f"{percent:g}")
        for percent in quantiles.intervals
    }
    return {"CRPS": losses.mqloss(frame, columns, levels), **coverages}


def _column(table: Any, name: str) -> Matrix:
    column: Matrix = table.sort_values("unique_id")[name].to_numpy(dtype=np.float64)
    return column


def _frame(
    truth: Matrix, models: Sequence[Model], intervals: Mapping[float, tuple[int, int]]
) -> Any:
    """A frame of the known steps in the form that utilsforecast takes; a window is a series."""
    known = ~np.isnan(truth)
    columns: dict[str, Any] = {"unique_id": np.nonzero(known)[0], "y": truth[known]}
    for number, (point, quantiles) in enumerate(models):
        columns[f"m{number}"] = point[known].astype(np.float64)
        if quantiles is None:
            continue
        found = quantiles[known].T.astype(np.float64)
        columns |= {f"m{number}-q{index}": values for index, values in enumerate(found)}
        for percent, (low, high) in intervals.items():
            columns[f"m{number}-lo-{percent:g}"] = found[low]
            columns[f"m{number}-hi-{percent:g}"] = found[high]
    return load_pandas("Judging forecasts").DataFrame(columns)


def _losses() -> Any:
    """utilsforecast's metrics; MissingExtra where it is not installed."""
    try:
        from utilsforecast import losses
    except ImportError as error:
        raise MissingExtra("utilsforecast", "forecast", "Judging forecasts") from error
    return losses
