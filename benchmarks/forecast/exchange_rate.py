"""Exchange rates of eight currencies: against repeating the last value, and are the intervals true.

    python benchmarks/forecast/exchange_rate.py [--config FILE.toml] [--seeds 1]

Lai, Chang, Yang and Liu 2018 (arXiv:1703.07015): the first 60 % of the days are trained on, the
next 20 % choose the weights, the last are the test; the root relative squared error of the value 3,
6, 12 and 24 days ahead, over all currencies together.
RECURRA_DATA names the folder with exchange_rate.
"""

import argparse
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas

from recurra import Forecaster
from recurra.settings import data_folder

HORIZON, AHEAD = 24, (3, 6, 12, 24)
ADAPT = 500
"""Steps after which an error counts half, where intervals adapt to the actual values."""

PUBLISHED = {
    "LSTNet-skip": (0.0226, 0.0280, 0.0356, 0.0449),
    "AR": (0.0228, 0.0279, 0.0353, 0.0445),
}


def rates() -> pandas.DataFrame:
    """A row a day, a column a currency, and the number of the day."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("Set RECURRA_DATA to the folder with exchange_rate.")
    table = pandas.read_csv(folder / "exchange_rate" / "exchange_rate.txt", header=None)
    table.columns = [f"currency {k}" for k in range(table.shape[1])]
    return table.assign(day=np.arange(len(table)))


def relative_error(error: np.ndarray, actual: np.ndarray) -> list[float]:
    """The root relative squared error at each of the distances, of windows (W, H)."""
    steps = [step - 1 for step in AHEAD]
    apart = actual[:, steps] - actual[:, steps].mean()
    return [
        round(float(np.sqrt((e**2).sum() / (a**2).sum())), 4)
        for e, a in zip(error[:, steps].T, apart.T, strict=True)
    ]


def main() -> None:
    """Train and test for each seed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=Path(__file__).with_suffix(".toml"), type=Path)
    parser.add_argument("--seeds", default=1, type=int)
    given = parser.parse_args()
    settings = tomllib.loads(given.config.read_text("utf-8"))
    table = rates()
    train, valid = int(0.6 * len(table)), int(0.8 * len(table))
    print("published", PUBLISHED)
    for seed in range(given.seeds):
        began = time.perf_counter()
        model = Forecaster(**settings, horizon=HORIZON, seed=seed, holdback=valid - train)
        model.fit(table[:valid])
        minutes = (time.perf_counter() - began) / 60
        windows = len(table) - valid - HORIZON + 1
        found = model.evaluate(table, windows=windows, step=1, baselines=False)
        moved = model.evaluate(table, windows=windows, step=1, baselines=False, adapt=ADAPT)
        last = [found.panel.values(n)[k - 1] for n, k in zip(*found.origins, strict=True)]
        repeated = found.actual - np.array(last)[:, None]
        print("repeat last", relative_error(repeated, found.actual))
        error = found.actual - found.predicted.point
        row, after = (part.judgement.table["recurra"] for part in (found, moved))
        print(
            f"seed {seed}: {relative_error(error, found.actual)}, within 80 and 95 %: "
            f"{row['coverage80']:.3f}, {row['coverage95']:.3f}; adapted: "
            f"{after['coverage80']:.3f}, {after['coverage95']:.3f}; {minutes:.1f} minutes",
            flush=True,
        )


if __name__ == "__main__":
    main()
