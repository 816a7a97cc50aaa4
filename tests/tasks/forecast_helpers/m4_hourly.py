"""M4's hourly series, as its repository has them."""

import csv

import numpy as np


def read(folder, name):
    """The rows (n,) of a file of the set `m4_hourly`, in its order."""
    with open(folder / "m4_hourly" / name, encoding="utf-8", newline="") as file:
        rows = [row[1:] for row in csv.reader(file) if row[0].startswith("H")]
    return [np.array([float(value) for value in row if value]) for row in rows]
