"""ETTh1, the standard split: mean squared error of all test windows, on standardised values.

    python benchmarks/forecast/etth1.py [--config FILE.toml] [--horizons 96,192,336,720] [KEY=VALUE]

Rows 0 to 8,639 are trained on, 8,640 to 11,519 choose the weights, 11,520 to 14,399 are the test;
each variable is standardised by its training rows. RECURRA_DATA names the folder with etth1. With
--rehearse all bounds lie 2,880 rows earlier, so that the test isn't read: to choose settings by.
"""

import argparse
import tempfile
import time
import tomllib
from pathlib import Path

import numpy as np
import pandas

from recurra import Forecaster
from recurra.settings import data_folder
from recurra.tasks.forecast import Backtest

BOUNDS = (8640, 11520, 14400)
REHEARSAL = (5760, 8640, 11520)
"""Where training, the held-out part and the test end."""

ADAPT = 500
"""Steps after which an error counts half, where intervals adapt to the actual values."""

PUBLISHED = {96: 0.375, 192: 0.405, 336: 0.439, 720: 0.472}
"""DLinear: Zeng, Chen, Zhang and Xu 2023, arXiv:2205.13504, table 2."""

BATCH = 256
"""SegRNN's code of the paper leaves out the last windows that don't fill such a batch."""


def standardised(train: int, test: int) -> pandas.DataFrame:
    """The seven variables up to the test's end, each by the mean and deviation in training."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("Set RECURRA_DATA to the folder with etth1.")
    table = pandas.read_csv(folder / "etth1" / "ETTh1.csv")[:test]
    values = table.drop(columns="date")
    return table[["date"]].join((values - values[:train].mean()) / values[:train].std(ddof=0))


def tested(model: Forecaster, table: pandas.DataFrame, rows: int) -> dict[str, float]:
    """The metrics over all windows of the test, its last rows, and the mean squared error of whole
    batches.
    """
    windows = rows - model.config.horizon + 1
    still, moved = (
        model.evaluate(table, windows=windows, step=1, baselines=False, adapt=half_life)
        for half_life in (0, ADAPT)
    )
    squares = ((still.predicted.point - still.actual) ** 2).mean(1).reshape(-1, windows)
    batches = float(np.mean(squares[:, : windows // BATCH * BATCH]))
    followed = {
        f"{name} adapted": value for name, value in moved.judgement.table["recurra"].items()
    }
    return {**still.judgement.table["recurra"], **followed, "MSE of batches": batches}


def told(model: Forecaster, found: dict[str, float]) -> str:
    """The figures of the test and of the held-out part, in words."""
    held = model.validation
    assert isinstance(held, Backtest)
    chosen = np.nanmean((held.predicted.point - held.actual) ** 2)
    return (
        f"MSE {found['MSE']:.3f} (DLinear {PUBLISHED[model.config.horizon]}), of whole batches "
        f"{found['MSE of batches']:.3f}, of the held-out part {chosen:.3f}; "
        f"MAE {found['MAE']:.3f}, CRPS {found['CRPS']:.4f}; within 80 and 95 %: "
        f"{found['coverage80']:.3f}, {found['coverage95']:.3f}; adapted: "
        f"{found['coverage80 adapted']:.3f}, {found['coverage95 adapted']:.3f}, "
        f"CRPS {found['CRPS adapted']:.4f}; {model.results[0].steps} steps"
    )


def main() -> None:
    """Train and test for each horizon and seed, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=Path(__file__).with_suffix(".toml"), type=Path)
    parser.add_argument("--horizons", default="96,192,336,720")
    parser.add_argument("--seeds", default=1, type=int)
    parser.add_argument("--rehearse", action="store_true")
    parser.add_argument("changes", nargs="*", metavar="KEY=VALUE", help="settings, as in the file")
    given = parser.parse_args()
    settings = tomllib.loads(given.config.read_text("utf-8"))
    settings |= tomllib.loads("\n".join(given.changes))
    train, valid, test = REHEARSAL if given.rehearse else BOUNDS
    table = standardised(train, test)
    for horizon in map(int, given.horizons.split(",")):
        for seed in range(given.seeds):
            model = Forecaster(**settings, horizon=horizon, seed=seed, holdback=valid - train)
            began = time.perf_counter()
            with tempfile.TemporaryDirectory() as folder:
                model.fit(table[:valid], out=folder, overwrite=True)
            minutes = (time.perf_counter() - began) / 60
            found = tested(model, table, test - valid)
            print(
                f"horizon {horizon}, seed {seed}: {told(model, found)}, {minutes:.1f} minutes",
                flush=True,
            )


if __name__ == "__main__":
    main()
