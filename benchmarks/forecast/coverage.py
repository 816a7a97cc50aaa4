"""Coverage and width of default intervals on the tests of m1, tourism and carparts, by group.

    python benchmarks/forecast/coverage.py [SET ...] [--seed 0]

Nothing is set but the horizon and the frequency; the tests are read once, after training. Each set
has the intervals' coverage by group of series and by step, with the width and the interval score in
units of the MASE scale, beside those of the best baseline. Counts are judged as by a randomised
PIT. RECURRA_DATA names the folder with the sets.
"""

import argparse
import csv
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas

from recurra import Forecaster
from recurra.settings import data_folder


class Collection(NamedTuple):
    """A collection of series: the start of its files' names, its horizon and its frequency."""

    files: str
    horizon: int
    freq: str


SETS = {
    f"{name}_{period}": Collection(f"{name}/{name}_{period}", horizon, freq)
    for name, horizons in {"m1": (6, 8, 18), "tourism": (4, 8, 24)}.items()
    for (period, freq), horizon in zip(
        {"yearly": "YS", "quarterly": "QS", "monthly": "MS"}.items(), horizons, strict=True
    )
}
SETS["carparts"] = Collection("carparts/carparts", 12, "MS")


def values_of(path: Path) -> dict[str, np.ndarray]:
    """The values of each series by its name."""
    with path.open(encoding="utf-8") as file:
        return {
            row["id"]: np.array([float(v) for v in row["values"].replace("NA", "nan").split()])
            for row in csv.DictReader(file)
        }


def series_of(folder: Path, chosen: Collection) -> dict[str, np.ndarray]:
    """Histories followed by their tests, without series that have gaps."""
    files = folder / chosen.files
    whole = files.with_name(f"{files.name}.csv")
    if whole.exists():
        rows = values_of(whole)
    else:
        past, test = (
            values_of(files.with_name(f"{files.name}_{p}.csv")) for p in ("train", "test")
        )
        rows = {name: np.concatenate([values, test[name]]) for name, values in past.items()}
    return {name: values for name, values in rows.items() if not np.isnan(values).any()}


def table(rows: dict[str, np.ndarray], freq: str) -> pandas.DataFrame:
    """A table in long form; all series begin on the same day."""
    return pandas.concat(
        pandas.DataFrame(
            {
                "unique_id": name,
                "ds": pandas.date_range("1960-01-01", periods=len(values), freq=freq),
                "y": values,
            }
        )
        for name, values in rows.items()
    )


def judged(chosen: Collection, rows: dict[str, np.ndarray], seed: int) -> Any:
    """The judgement of a forecaster with defaults on the last horizon of each series."""
    past = {name: values[: -chosen.horizon] for name, values in rows.items()}
    model = Forecaster(horizon=chosen.horizon, freq=chosen.freq, seed=seed)
    return model.fit(table(past, chosen.freq)).evaluate(table(rows, chosen.freq))


def main() -> None:
    """Train on each set, and print the intervals of its test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="*", default=list(SETS), metavar="SET")
    parser.add_argument("--seed", default=0, type=int)
    chosen = parser.parse_args()
    folder = data_folder()
    if folder is None:
        raise SystemExit("Set RECURRA_DATA to the folder with m1, tourism and carparts.")
    if unknown := [name for name in chosen.sets if name not in SETS]:
        raise SystemExit(f"There is no set {unknown[0]!r}; choose from {', '.join(SETS)}.")
    warnings.simplefilter("ignore")
    for name in chosen.sets:
        found = judged(SETS[name], series_of(folder, SETS[name]), chosen.seed)
        row = found.judgement.table["recurra"]
        point = ", ".join(f"{m} {row[m]:.3f}" for m in ("MASE", "RMSSE", "OWA", "bias"))
        print(f"{name}: {point}")
        for one in found.intervals:
            figures = "  ".join(
                f"{p:g} %: {100 * one.coverage[p]:5.1f} %, {one.width[p]:6.2f}, {one.score[p]:6.2f}"
                for p in one.coverage
            )
            print(f"  {one.group:15} {one.model:14} {one.windows:5}  {figures}", flush=True)


if __name__ == "__main__":
    main()
