"""Frequencies: their names, seasons and grids beside pandas', and what is inferred from stamps."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.series.calendar import calendar_features
from recurra.data.series.frequency import infer_frequency, parse_frequency
from recurra.errors import ConfigError, DataError

PANDAS = [
    "s",
    "min",
    "15min",
    "h",
    "2h",
    "D",
    "B",
    "2B",
    "W-SUN",
    "2W-WED",
    "MS",
    "ME",
    "BMS",
    "BME",
]
PANDAS += ["QS", "QE", "QS-FEB", "YS", "YE", "YE-JUN", "BQE", "2QS"]
SEASONS = {"s": 60, "min": 60, "15min": 96, "30min": 48, "10min": 144, "h": 24, "2h": 12, "D": 7}
SEASONS |= {"B": 5, "W": 52, "2W": 26, "MS": 12, "QE": 4, "YS": 1, "1": 1, "7": 1, "7h": 1}
SAME = {"60min": "h", "24h": "D", "7D": "W", "3MS": "QS", "12ME": "YE", "1.5h": "90min"}
SAME |= {"w": "W", "4": "4", 4: "4"}


def stamps_of(name, count=40, start="2023-01-03 00:00"):
    return pd.date_range(start, periods=count, freq=name).to_numpy()


def infer(*series):
    offsets = np.cumsum([0, *map(len, series)])
    return infer_frequency(np.concatenate(series), offsets).name


@pytest.mark.parametrize("name", PANDAS)
def test_stamps_that_follow_are_those_of_pandas(name):
    stamps = stamps_of(name)
    frequency = parse_frequency(name)
    assert (frequency.after(stamps[:1], 39)[0] == stamps[1:]).all()
    assert (frequency.positions(stamps, stamps[:1]) == np.arange(40)).all()
    assert (frequency.shift(stamps[-1:], np.arange(-39, 1)) == stamps).all()


@pytest.mark.parametrize("name", [name for name in PANDAS if not name.startswith("2B")])
def test_what_pandas_made_is_inferred(name):
    stamps = stamps_of(name)
    assert infer(stamps) == name
    assert infer(np.delete(stamps, [7, 8, 20]), stamps[5:30]) == name


@pytest.mark.parametrize(("name", "season"), SEASONS.items())
def test_seasons(name, season):
    assert parse_frequency(name).season == season


@pytest.mark.parametrize(("name", "canonical"), SAME.items())
def test_one_frequency_has_one_name(name, canonical):
    assert parse_frequency(name) == parse_frequency(canonical)
    assert parse_frequency(name).name == canonical


@pytest.mark.parametrize(
    ("name", "near"), {"hourly": "'h'", "months": "'MS'", "mni": "'min'", "H": "'h'"}.items()
)
def test_a_name_that_is_near(name, near):
    with pytest.raises(ConfigError, match=f"{name}.*Did you mean {near}"):
        parse_frequency(name)


@pytest.mark.parametrize("name", ["", "0h", "-1", "W-XXX", "h-SUN", "MS-JAN", "True"])
def test_names_that_are_none(name):
    with pytest.raises(ConfigError, match="is not a frequency"):
        parse_frequency(name)


@pytest.mark.parametrize(
    ("name", "stamp"),
    [
        ("h", "2024-01-01 01:30"),
        ("h", "2023-12-31 23:00"),
        ("D", "2024-01-02 01:00"),
        ("B", "2024-01-06"),
        ("B", "2024-01-02 09:00"),
        ("B", "2023-12-29"),
        ("MS", "2023-12-01"),
        ("MS", "2024-02-02"),
        ("MS", "2024-02-01 06:00"),
        ("QS", "2024-02-01"),
        ("W-MON", "2024-01-09"),
        ("QS-FEB", "2024-04-01"),
    ],
)
def test_stamps_off_the_grid(name, stamp):
    start, stamp = (np.array([text], dtype="datetime64[ns]") for text in ("2024-01-01", stamp))
    assert parse_frequency(name).positions(stamp, start).tolist() == [-1]


@given(step=st.integers(1, 50), start=st.integers(-1000, 1000), count=st.integers(1, 30))
def test_whole_numbers_go_there_and_back(step, start, count):
    frequency = parse_frequency(step)
    stamps = frequency.after(np.array([start]), count)[0]
    assert stamps.tolist() == [start + step * k for k in range(1, count + 1)]
    assert frequency.positions(stamps, stamps[:1]).tolist() == list(range(count))


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(PANDAS), year=st.integers(1900, 2030), by=st.integers(-80, 80))
def test_a_shift_is_undone_by_its_opposite(name, year, by):
    stamps = stamps_of(name, 20, f"{year}-02-27 00:00")
    frequency = parse_frequency(name)
    assert (frequency.shift(frequency.shift(stamps, by), -by) == stamps).all()


def test_weekdays_differ_and_the_name_leaves_them_open():
    monday, tuesday = stamps_of("W-MON"), stamps_of("W-TUE")
    assert (infer(monday), infer(monday, tuesday)) == ("W-MON", "W")


def test_days_that_never_meet_a_weekend_are_days():
    assert infer(stamps_of("D", 4, "2024-01-01")) == "D"
    assert infer(stamps_of("B", 6, "2024-01-01")) == "B"


def test_a_series_of_one_stamp_is_no_hindrance():
    assert infer(stamps_of("h", 1), stamps_of("h", 3), stamps_of("h", 1, "2022-05-05")) == "h"


def test_nothing_to_infer_from():
    with pytest.raises(DataError, match=r"no series has two stamps; give freq"):
        infer(stamps_of("h", 1), stamps_of("D", 1))
    with pytest.raises(DataError, match=r"of 4 steps .* at most 1 are of one length; give freq"):
        infer(np.array([1, 2, 4, 7, 11]))


def test_beyond_what_nanoseconds_can_say():
    last = np.array(["2024-01-01"], dtype="datetime64[ns]")
    with pytest.raises(DataError, match=r"500 steps of 'YS' .* leave the years 1678 to 2261"):
        parse_frequency("YS").after(last, 500)


@pytest.mark.parametrize("unit", ["s", "ms", "us"])
def test_the_unit_of_stamps_does_not_matter(unit):
    """pandas 3 makes microseconds of most dates, and numpy any unit."""
    stamps = pd.date_range("2024-01-01 05:00", periods=9, freq="h").to_numpy()
    fine, coarse = stamps.astype("M8[ns]"), stamps.astype(f"M8[{unit}]")
    hours = infer_frequency(coarse, np.array([0, 9]))
    assert hours.name == "h"
    np.testing.assert_array_equal(hours.after(coarse[:1], 3), hours.after(fine[:1], 3))
    np.testing.assert_array_equal(hours.positions(coarse, coarse[:1]), np.arange(9))
    np.testing.assert_array_equal(calendar_features(coarse, hours), calendar_features(fine, hours))


@pytest.mark.parametrize(
    ("name", "steps"), [("2h", 50_000), ("B", 3000), ("W", 700), ("MS", 150), ("QE", 60)]
)
def test_elapsed_steps_are_those_of_a_count_on_the_grid_or_off_it(name, steps):
    frequency = parse_frequency(name)
    days = np.random.default_rng(0).integers(1, 4000, 30)
    start = np.datetime64("2024-01-01", "ns")
    first = frequency.shift(np.array([start]), 0)
    stamps = np.concatenate([first, first + days * np.timedelta64(86_400_000_000_000 + 1, "ns")])
    grid = frequency.after(first, steps)[0]
    wanted = np.searchsorted(grid, stamps, side="right")
    np.testing.assert_array_equal(frequency.elapsed(stamps), wanted)
