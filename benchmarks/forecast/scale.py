"""Ten thousand series: does memory grow with the data alone, and how fast are forecasts.

    python benchmarks/forecast/scale.py [--series 10000] [--length 1000] [--lookback 168]

Prints the size of the values, what reading, training and forecasting add to the peak of the
process's memory, and series a second. Run it with another --lookback to see that memory stays.
"""

import argparse
import resource
import sys
import time

import numpy as np
import pandas

from recurra import Forecaster


def peak() -> float:
    """The highest memory of the process so far, in MiB."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def made(series: int, length: int) -> pandas.DataFrame:
    """Daily seasons, a level that wanders, noise; hourly."""
    random = np.random.default_rng(0)
    hours = np.arange(length)
    level = random.normal(size=(series, length)).cumsum(1) * 0.05
    size = random.uniform(0.5, 2, (series, 1))
    phase = random.uniform(0, 24, (series, 1))
    values = 10 + level + size * np.sin((hours + phase) * 2 * np.pi / 24)
    values += 0.2 * random.normal(size=(series, length))
    stamps = pandas.date_range("2024-01-01", periods=length, freq="h")
    return pandas.DataFrame(
        {
            "unique_id": np.repeat(np.arange(series), length),
            "ds": np.tile(stamps, series),
            "y": values.ravel(),
        }
    )


def main() -> None:
    """Make, train, forecast; a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in {"series": 10_000, "length": 1000, "lookback": 168, "steps": 200}.items():
        parser.add_argument(f"--{name}", default=default, type=int)
    given = parser.parse_args()
    table = made(given.series, given.length)
    size = table["y"].nbytes / 2**20
    before = peak()
    print(f"values {size:.0f} MiB, look-back {given.lookback}; before: {before:.0f} MiB")
    model = Forecaster(
        horizon=24, freq="h", lookback=given.lookback, hidden=64, max_steps=given.steps
    )
    began = time.perf_counter()
    model.fit(table)
    seconds = time.perf_counter() - began
    steps = model.results[0]
    print(
        f"fit: {seconds:.1f} s ({steps.seconds:.1f} s of training, "
        f"{given.steps * model.config.batch_size / steps.seconds:,.0f} windows/s), "
        f"peak +{peak() - before:.0f} MiB"
    )
    began = time.perf_counter()
    found = model.predict()
    seconds = time.perf_counter() - began
    print(
        f"predict: {len(found):,} rows in {seconds:.1f} s, {given.series / seconds:,.0f} series/s, "
        f"peak +{peak() - before:.0f} MiB"
    )


if __name__ == "__main__":
    main()
