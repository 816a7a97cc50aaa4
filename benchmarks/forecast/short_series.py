"""The forecaster's defaults on the short series of m1, tourism and cif2016, beside the baselines.

    python benchmarks/forecast/short_series.py [SET ...] [--seed 0] [--rehearse] [KEY=VALUE ...]

RECURRA_DATA names the folder with the sets; without SET all are forecast. No setting but horizon
and season is given, unless by KEY=VALUE. The test is read once, after training. With --rehearse it
isn't read at all: the last horizon of the histories stands in for it, to choose settings by.
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

SETS = {
    "m1_yearly": (1, 6),
    "m1_quarterly": (4, 8),
    "m1_monthly": (12, 18),
    "tourism_yearly": (1, 4),
    "tourism_quarterly": (4, 8),
    "tourism_monthly": (12, 24),
    "cif2016_h6": (12, 6),
    "cif2016_h12": (12, 12),
}
"""Season and horizon of each set."""


def rows(name: str, part: str) -> list[np.ndarray]:
    """The values of each series of a part, train or test."""
    folder = data_folder()
    if folder is None:
        raise SystemExit("Set RECURRA_DATA to the folder with m1, tourism and cif2016.")
    path = folder / name.split("_")[0] / f"{name}_{part}.csv"
    with path.open(encoding="utf-8") as file:
        return [np.array(row["values"].split(), np.float64) for row in csv.DictReader(file)]


def series(name: str, horizon: int, rehearse: bool) -> tuple[list[np.ndarray], np.ndarray]:
    """The histories, and what is to be forecast (N, H)."""
    histories = rows(name, "train")
    if not rehearse:
        return histories, np.stack(rows(name, "test"))
    long = [values for values in histories if len(values) > 2 * horizon]
    return [v[:-horizon] for v in long], np.stack([v[-horizon:] for v in long])


def judged(name: str, settings: dict[str, Any], rehearse: bool) -> dict[str, dict[str, Any]]:
    """Train, forecast and judge one set, a line for each model: scores by model, metric, window."""
    season, horizon = SETS[name]
    histories, actual = series(name, horizon, rehearse)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "histories.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([f"s{n}", *v] for n, v in enumerate(histories))
        model = Forecaster(
            horizon=horizon, season=season, freq="1", layout="rows", id="id", **settings
        ).fit(table)
    found = model.predict()
    seconds = time.perf_counter() - began
    columns = ["recurra-lo-95", "recurra-lo-80", "recurra", "recurra-hi-80", "recurra-hi-95"]
    values = found[columns].to_numpy().reshape(len(histories), horizon, -1)
    levels = (0.025, 0.1, 0.5, 0.9, 0.975)
    judgement = judge(
        actual,
        [
            Forecasts("recurra", values[..., 2], values, levels),
            *baseline_forecasts(histories, season, horizon, levels),
        ],
        histories=histories,
        season=season,
        series=range(len(histories)),
    )
    print(f"{name}: {len(histories)} series, {seconds:.0f} s", flush=True)
    for sentence in model.choice.sentences() if model.choice else ():
        print(f"  {sentence}")
    shown = ("sMAPE", "MASE", "OWA", "coverage80", "coverage95")
    for contender, row in judgement.table.items():
        print(f"  {contender}", {metric: round(row[metric], 3) for metric in shown}, flush=True)
    return {
        contender: {m: np.asarray(scores[m]) for m in ("sMAPE", "MASE")}
        for contender, scores in judgement.windows.items()
    }


def main() -> None:
    """Judge the sets, and each collection as a whole."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("words", nargs="*", metavar="SET or KEY=VALUE")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--rehearse", action="store_true")
    given = parser.parse_args()
    names = [word for word in given.words if "=" not in word] or list(SETS)
    changes = "\n".join(word for word in given.words if "=" in word)
    settings = tomllib.loads(changes) | {"seed": given.seed}
    found = {name: judged(name, settings, given.rehearse) for name in names}
    for collection in dict.fromkeys(name.split("_")[0] for name in names):
        parts = [windows for name, windows in found.items() if name.startswith(collection)]
        for contender in parts[0]:
            if all(contender in windows for windows in parts):
                smape, mase = (
                    np.nanmean(np.concatenate([windows[contender][m] for windows in parts]))
                    for m in ("sMAPE", "MASE")
                )
                print(f"{collection} {contender}: sMAPE {smape:.2f}, MASE {mase:.3f}")


if __name__ == "__main__":
    main()
