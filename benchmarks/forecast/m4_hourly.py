"""M4 hourly: train on the histories, forecast the 48 hours of the competition's test, judge.

    python benchmarks/forecast/m4_hourly.py [--config FILE.toml] [--seed 0] [--rehearse] [KEY=VALUE]

RECURRA_DATA names the folder with m4_hourly. The test is read once, after training. With --rehearse
it isn't read at all: the last 48 hours of the histories stand in for it, to choose settings by.
"""

import argparse
import csv
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

import numpy as np

from recurra import Forecaster
from recurra.settings import data_folder
from recurra.tasks.forecast.evaluation.judge import Forecasts, baseline_forecasts, judge

SEASON, HORIZON = 24, 48


def rows(path: Path) -> dict[str, np.ndarray]:
    """The values of each line by the name in its first field."""
    with path.open(encoding="utf-8") as file:
        return {
            line[0]: np.array([float(value) for value in line[1:] if value])
            for line in csv.reader(file)
        }


def series(rehearse: bool) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The histories, and what is to be forecast."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("Set RECURRA_DATA to the folder with m4_hourly.")
    train = rows(folder / "m4_hourly" / "hourly_train.csv")
    if not rehearse:
        return train, rows(folder / "m4_hourly" / "hourly_test.csv")
    return {n: v[:-HORIZON] for n, v in train.items()}, {n: v[-HORIZON:] for n, v in train.items()}


def fitted(settings: dict[str, Any], histories: dict[str, np.ndarray]) -> Forecaster:
    """A forecaster trained on a table with a row for each series."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "histories.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([name, *values] for name, values in histories.items())
        return Forecaster(**settings, horizon=HORIZON, season=SEASON).fit(table)


def main() -> None:
    """Train, and print the table of the test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=Path(__file__).with_suffix(".toml"), type=Path)
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="settings, as in the file")
    given = parser.parse_args()
    settings = tomllib.loads(given.config.read_text("utf-8"))
    settings |= tomllib.loads("\n".join(given.changes)) | {"seed": given.seed}
    histories, test = series(given.rehearse)
    began = time.perf_counter()
    model = fitted(settings, histories)
    found = model.predict()
    minutes = (time.perf_counter() - began) / 60
    names = list(found[model.config.id].unique())
    columns = ["recurra-lo-95", "recurra-lo-80", "recurra", "recurra-hi-80", "recurra-hi-95"]
    values = found[columns].to_numpy().reshape(len(names), HORIZON, -1)
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)
    past = [histories[name] for name in names]
    judgement = judge(
        np.stack([test[name] for name in names]),
        [
            Forecasts("recurra", values[..., 2], values, levels),
            *baseline_forecasts(past, SEASON, HORIZON, levels),
        ],
        histories=past,
        season=SEASON,
        series=names,
    )
    print(f"{minutes:.1f} minutes, seed {given.seed}, steps {[r.steps for r in model.results]}")
    for name, row in judgement.table.items():
        print(name, {metric: round(value, 4) for metric, value in row.items()})


if __name__ == "__main__":
    main()
