"""One-day value at risk and volatility of eight currencies, beside the two methods banks use.

    python benchmarks/forecast/value_at_risk.py [--config FILE.toml] [--seeds 1]

The forecast is of the next day's log return: its 5 % and 1 % quantiles are the value at risk.
Beside it historical simulation (the quantile of the last 500 returns) and the exponentially
weighted variance of RiskMetrics (J.P. Morgan 1996: 0.94, normal). The first 60 % of the days are
trained on, the next 20 % choose weights and calibrate, the last 20 % are the test. A currency that
is pegged (a fifth of its returns or more are zero) is left out, and named. RECURRA_DATA names the
folder with exchange_rate.
"""

import argparse
import tomllib
from pathlib import Path

import numpy as np
import pandas

from recurra import Forecaster
from recurra.settings import data_folder

LEVELS = (0.01, 0.05)
NORMAL = (-2.326348, -1.644854)
PAST, WEIGHT = 500, 0.94


def returns() -> pandas.DataFrame:
    """Daily log returns in percent, a column a currency, and the number of the day."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("Set RECURRA_DATA to the folder with exchange_rate.")
    table = pandas.read_csv(folder / "exchange_rate" / "exchange_rate.txt", header=None)
    values = 100 * np.log(table.to_numpy())[1:] - 100 * np.log(table.to_numpy())[:-1]
    pegged = (values == 0).mean(0) >= 0.2
    print("left out as pegged:", [f"currency {k}" for k in np.flatnonzero(pegged)])
    names = [f"currency {k}" for k in np.flatnonzero(~pegged)]
    return pandas.DataFrame(values[:, ~pegged], columns=names).assign(day=np.arange(len(values)))


def pinball(bound: np.ndarray, actual: np.ndarray, level: float) -> float:
    """The mean pinball loss of a bound."""
    error = actual - bound
    return float(np.maximum(level * error, (level - 1) * error).mean())


def report(name: str, bounds: np.ndarray, actual: np.ndarray, spread: np.ndarray | None) -> None:
    """A line: share of days beyond each bound of (W, 2), pinball loss, error of volatility."""
    parts = [
        f"{level:.0%}: {(actual < bound).mean():.2%} beyond, "
        f"loss {pinball(bound, actual, level):.4f}"
        for level, bound in zip(LEVELS, bounds.T, strict=True)
    ]
    if spread is not None:
        share = actual**2 / spread**2
        parts.append(f"QLIKE {np.mean(share + 2 * np.log(spread)):.4f}")
    print(f"{name:24}", "; ".join(parts), flush=True)


def history(values: np.ndarray, first: int) -> np.ndarray:
    """Historical simulation: the bounds (T, 2) of each day from `first` on."""
    windows = np.lib.stride_tricks.sliding_window_view(values, PAST)[first - PAST : -1]
    return np.quantile(windows, LEVELS, axis=1).T


def weighted(values: np.ndarray, first: int) -> np.ndarray:
    """The exponentially weighted deviation (T,) for each day from `first` on."""
    variance, found = float(values[:PAST].var()), np.empty(len(values))
    for day, value in enumerate(values):
        found[day] = variance
        variance = WEIGHT * variance + (1 - WEIGHT) * value**2
    return np.sqrt(found[first:])


def main() -> None:
    """Train, and print each method's line over all currencies."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default=Path(__file__).with_suffix(".toml"), type=Path)
    parser.add_argument("--seeds", default=1, type=int)
    given = parser.parse_args()
    settings = tomllib.loads(given.config.read_text("utf-8"))
    table = returns()
    train, valid = int(0.6 * len(table)), int(0.8 * len(table))
    values = [table[name].to_numpy() for name in table.columns if name != "day"]
    actual = np.concatenate([series[valid:] for series in values])
    report(
        "historical simulation", np.concatenate([history(v, valid) for v in values]), actual, None
    )
    spread = np.concatenate([weighted(series, valid) for series in values])
    report("exponentially weighted", spread[:, None] * np.array(NORMAL), actual, spread)
    for seed in range(given.seeds):
        model = Forecaster(**settings, horizon=1, seed=seed, holdback=valid - train)
        model.fit(table[:valid])
        found = model.evaluate(table, windows=len(table) - valid, step=1, baselines=False)
        quantiles, levels = found.predicted.quantiles[:, 0], found.levels
        low, high = (quantiles[:, levels.index(level)] for level in (0.1587, 0.8413))
        bounds = quantiles[:, [levels.index(level) for level in LEVELS]]
        report(f"recurra, seed {seed}", bounds, found.actual[:, 0], (high - low) / 2)


if __name__ == "__main__":
    main()
