"""Calendar features: which cycles a frequency has, and where stamps stand in them."""

import numpy as np
import pandas as pd
import pytest

from recurra.data.series.calendar import calendar_features, calendar_names
from recurra.data.series.frequency import parse_frequency

DAYS = ["day of week", "day of month", "day of year"]
CYCLES = {
    "s": ["second of minute", "minute of hour", "hour of day", *DAYS],
    "15min": ["minute of hour", "hour of day", *DAYS],
    "h": ["hour of day", *DAYS],
    "D": DAYS,
    "B": DAYS,
    "W-SUN": DAYS[1:],
    "MS": ["month of year"],
    "QE": ["month of year"],
    "YS": [],
    "1": [],
}


def angles(stamp, name):
    """The share of each cycle that has gone by."""
    row = calendar_features(np.array([stamp], dtype="datetime64[ns]"), parse_frequency(name))[0]
    shares = np.arctan2(row[::2], row[1::2]) / (2 * np.pi) % 1
    cycles = [label.removeprefix("sin ") for label in calendar_names(parse_frequency(name))[::2]]
    return dict(zip(cycles, shares.round(4).tolist(), strict=True))


@pytest.mark.parametrize(("name", "cycles"), CYCLES.items())
def test_cycles(name, cycles):
    frequency = parse_frequency(name)
    labels = calendar_names(frequency)
    assert labels == [f"{wave} {cycle}" for cycle in cycles for wave in ("sin", "cos")]
    stamps = np.arange(3) if name == "1" else pd.date_range("2024-01-01", periods=3).to_numpy()
    features = calendar_features(stamps, frequency)
    assert (features.shape, features.dtype) == ((3, 2 * len(cycles)), np.float32)


def test_a_monday_noon_before_1970_and_after():
    for monday in ("1969-12-29", "2024-07-01"):
        shares = angles(f"{monday} 12:00", "h")
        assert (shares["hour of day"], shares["day of week"]) == (0.5, 0.0)


def test_sunday_is_the_last_day():
    assert angles("2024-07-07", "D")["day of week"] == pytest.approx(6 / 7, abs=1e-4)


def test_months_and_years_have_their_own_lengths():
    assert angles("2024-02-15", "D")["day of month"] == pytest.approx(14 / 29, abs=1e-4)
    assert angles("2023-02-15", "D")["day of month"] == pytest.approx(14 / 28, abs=1e-4)
    assert angles("2024-07-02", "D")["day of year"] == pytest.approx(183 / 366, abs=1e-4)
    assert angles("1960-04-30", "ME")["month of year"] == pytest.approx(3 / 12, abs=1e-4)


def test_a_cycle_comes_round():
    hours = pd.date_range("2024-01-01", periods=24 * 8, freq="h").to_numpy()
    day = calendar_features(hours, parse_frequency("h"))[:, :2]
    assert np.abs(day[24:] - day[:-24]).max() < 1e-6
    assert len(np.unique(day.round(4), axis=0)) == 24
    assert np.allclose((day**2).sum(axis=1), 1, atol=1e-5)
