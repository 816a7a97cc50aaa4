"""M4 hourly: train on the histories, forecast the 48 hours of the competition's test, judge.

    python benchmarks/forecast/m4_hourly.py [--config FILE.toml] [--seed 0]

WEFT_DATA names the folder with m4_hourly. The test is read once, after training.
"""

import argparse
import csv
import time
import tomllib
from pathlib import Path

import numpy as np

from weft import Forecaster
from weft.settings import data_folder
from weft.tasks.forecast.judge import Forecasts, baseline_forecasts, judge

SEASON, HORIZON = 24, 48


def rows(path: Path) -> dict[str, np.ndarray]:
    """The values of each line by the name in its first field."""
    with path.open(encoding="utf-8") as file:
        return {
            line[0]: np.array([float(value) for value in line[1:] if value])
            for line in csv.reader(file)
        }


def main() -> None:
    """Train, and print the table of the test."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=Path(__file__).with_suffix(".toml"), type=Path)
    parser.add_argument("--seed", default=0, type=int)
    given = parser.parse_args()
    folder = data_folder()
    if folder is None:
        raise SystemExit("Set WEFT_DATA to the folder with m4_hourly.")
    train = folder / "m4_hourly" / "hourly_train.csv"
    settings = tomllib.loads(given.config.read_text("utf-8"))
    began = time.perf_counter()
    model = Forecaster(**settings, horizon=HORIZON, season=SEASON, seed=given.seed).fit(train)
    found = model.predict()
    minutes = (time.perf_counter() - began) / 60
    histories, test = rows(train), rows(folder / "m4_hourly" / "hourly_test.csv")
    names = list(found[model.config.id].unique())
    columns = ["weft-lo-95", "weft-lo-80", "weft", "weft-hi-80", "weft-hi-95"]
    values = found[columns].to_numpy().reshape(len(names), HORIZON, -1)
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)
    past = [histories[name] for name in names]
    judgement = judge(
        np.stack([test[name] for name in names]),
        [
            Forecasts("weft", values[..., 2], values, levels),
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
