"""Windows against a cut by hand: ragged series, gaps, look-backs longer than the series."""

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import HORIZON, config, one, panel_of, table, with_covariates
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.data.series.calendar import calendar_features, calendar_table
from recurra.tasks.forecast.windows.cutter import TrainingWindows, cutter_for
from recurra.tasks.forecast.windows.splits import (
    Origins,
    count_disjoint,
    folds,
    holdout_origins,
    origins_between,
    split,
)

COVARIATES = {"past": "wind", "future": "price", "static": "kind,size"}
PANEL = panel_of(with_covariates(table((30, 9, 2))), **COVARIATES)
PLAIN = config(scaling="none", **COVARIATES)

CYCLES = ("hour of day", "day of week")


def row_by_row(array, n, rows):
    """Rows of a series, zeros where it has none."""
    inside = [0 <= row < PANEL.lengths[n] for row in rows]
    own = array[PANEL.offsets[n] : PANEL.offsets[n + 1]]
    zero = np.zeros_like(own[0])
    return np.array([own[row] if there else zero for row, there in zip(rows, inside, strict=True)])


@settings(max_examples=40, deadline=None)
@given(data=st.data(), lookback=st.integers(1, 40), actual=st.booleans())
def test_a_window_is_what_a_cut_by_hand_gives(data, lookback, actual):
    n = data.draw(st.integers(0, 2))
    known = data.draw(st.integers(1, int(PANEL.lengths[n])))
    cutter = cutter_for(PLAIN, PANEL, lookback, CYCLES)
    batch = cutter.cut(Origins(np.array([n]), np.array([known])), with_actual=actual)
    rows = list(range(known - lookback, known + HORIZON))
    upto = len(rows) if actual else lookback
    seen = row_by_row(np.isfinite(PANEL.y), n, rows) & (np.arange(len(rows)) < upto)
    values = np.where(seen, row_by_row(PANEL.y, n, rows), 0)
    np.testing.assert_array_equal(batch.seen[:, 0], seen)
    np.testing.assert_array_equal(batch.values[:, 0], values.astype(np.float32))
    past = [*row_by_row(PANEL.past, n, rows[:lookback]), *np.zeros((HORIZON, 1))]
    np.testing.assert_array_equal(batch.past[:, 0], past)
    np.testing.assert_array_equal(batch.future[:, 0, :1], row_by_row(PANEL.future, n, rows))
    np.testing.assert_array_equal(batch.static[0], PANEL.static[n])
    assert batch.age[:, 0].tolist() == rows


def test_calendar_of_each_step_is_that_of_its_stamp():
    cutter = cutter_for(PLAIN, PANEL, 12, CYCLES)
    batch = cutter.cut(Origins(np.array([1]), np.array([9])), with_actual=False)
    stamps = PANEL.frequency.after(PANEL.starts[1:2] - np.timedelta64(1, "h"), 13)[0]
    wanted = calendar_features(stamps, PANEL.frequency, CYCLES)
    np.testing.assert_array_equal(batch.future[3:, 0, 1:], wanted)


def test_series_between_the_steps_of_another_have_their_own_calendar():
    frame = one("b", range(9), "2024-01-03 05:30")
    panel = panel_of(pandas.concat([one("a", range(30)), frame]))
    found = calendar_table(panel, 2, CYCLES)
    stamps = panel.frequency.after(panel.starts[1:] - np.timedelta64(1, "h"), 11)[0]
    series, rows = np.ones(11, int), np.arange(11)
    np.testing.assert_array_equal(
        found.at(series, rows), calendar_features(stamps, panel.frequency, CYCLES)
    )


def test_covariates_of_steps_after_the_series_are_those_given():
    ahead = np.arange(3 * HORIZON * 1, dtype=np.float32).reshape(3, HORIZON, 1)
    cutter = cutter_for(PLAIN, PANEL, 5, CYCLES, future=ahead)
    ends = Origins(np.arange(3), PANEL.lengths - 1)
    batch = cutter.cut(ends, with_actual=False)
    for n in range(3):
        own = PANEL.future[PANEL.offsets[n + 1] - 1, 0]
        assert batch.future[5:, n, 0].tolist() == [own, *ahead[n, : HORIZON - 1, 0]]


def test_actual_values_are_missing_beyond_the_end():
    found = cutter_for(PLAIN, PANEL, 5, CYCLES).actual(
        Origins(np.array([0, 0]), np.array([20, 28]))
    )
    np.testing.assert_array_equal(found[0], PANEL.values(0)[20:24])
    np.testing.assert_array_equal(found[1], [*PANEL.values(0)[28:], np.nan, np.nan])


def test_scale_and_location_lead_back_to_the_data():
    cutter = cutter_for(config(transform="log"), panel_of(table((30,), gaps=False)), 12, ())
    batch = cutter.cut(Origins(np.array([0]), np.array([20])), with_actual=True)
    back = (batch.values[:, 0].double() * batch.scale + batch.location).exp()
    np.testing.assert_allclose(back, cutter.panel.values(0)[8:24], rtol=1e-6)


def test_windows_are_drawn_alike_and_none_beyond_the_limits():
    cutter = cutter_for(PLAIN, PANEL, 3, CYCLES)
    first, last = np.array([5, 3, 9]), np.array([9, 3, 2])
    windows = TrainingWindows(cutter, first, last, batch_size=600, seed=1)
    ages = windows.window(0, 0).age[3].numpy()
    names = windows.window(0, 0).series.numpy()
    pairs, counts = np.unique(np.stack([names, ages]), axis=1, return_counts=True)
    assert (windows.total, len(windows)) == (6, 1)
    assert len(TrainingWindows(cutter, first, last, batch_size=4, seed=1)) == 2
    assert pairs.T.tolist() == [[0, 5], [0, 6], [0, 7], [0, 8], [0, 9], [1, 3]]
    assert counts.min() > 100 - 4 * 9


def test_the_same_seed_and_step_draw_the_same_windows():
    def drawn(seed, epoch, index):
        limits = np.array([5, 3, 1]), np.array([25, 8, 2])
        made = TrainingWindows(
            cutter_for(PLAIN, PANEL, 3, CYCLES), *limits, batch_size=9, seed=seed
        )
        return made.window(epoch, index).age[0].tolist()

    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({tuple(drawn(*key)) for key in [(1, 2, 3), (2, 2, 3), (1, 1, 3), (1, 2, 2)]}) == 4


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(-3, 20)), min_size=1), st.integers(1, 6))
def test_origins_between_are_those_of_a_loop(limits, stride):
    first, last = np.array(limits).T
    found = origins_between(first, last, stride)
    wanted = [(n, k) for n, (low, high) in enumerate(limits) for k in range(high, low - 1, -stride)]
    assert sorted(zip(*map(list, found), strict=True)) == sorted(wanted)


def test_no_held_out_step_is_trained_on():
    panel, settings = panel_of(table((60, 14, 15, 16, 5, 3), gaps=False)), config(holdback=8)
    points = split(settings, panel, 18)
    held_out = holdout_origins(settings, panel, points)
    # Two horizons are held out where two more are left.
    assert points.limit.tolist() == [52, 14, 15, 8, 5, 3]
    assert (points.last + HORIZON <= points.limit).all()
    assert points.first.tolist()[:5] == [18, 5, 5, 2, 1]
    assert set(held_out.series) == {0, 3}
    assert all(
        points.limit[n] <= k <= panel.lengths[n] - HORIZON for n, k in zip(*held_out, strict=True)
    )


def test_the_scale_of_a_series_is_that_before_the_held_out_part():
    panel = panel_of(one("a", [*wavy(20), 1e6, 1e6]))
    usual = cutter_for(PLAIN, panel, 3, (), limit=np.array([20])).series_scale
    np.testing.assert_allclose(usual[:2], [[np.mean(wavy(20))], [np.std(wavy(20))]])


def test_the_scale_of_a_series_is_of_its_known_values():
    panel = panel_of(
        pandas.concat([one("a", [1, np.nan, 4]), one("b", [np.nan]), one("c", [0.1] * 3)])
    )
    usual = cutter_for(PLAIN, panel, 3, ()).series_scale
    np.testing.assert_allclose(usual.centre, [2.5, np.nan, 0.1])
    assert usual.spread.tolist() == [1.5, 0, 0]


def wavy(steps):
    return [float(n % 3) for n in range(steps)]


def test_disjoint_windows_are_counted_by_series():
    origins = Origins(np.array([0, 0, 0, 2, 2]), np.array([10, 12, 18, 7, 10]))
    assert count_disjoint(origins, 4) == 3 + 1
    assert count_disjoint(Origins(*(part[:0] for part in origins)), 4) == 0


@pytest.mark.parametrize("series", [1, 3, 12])
def test_folds_hold_every_window_once_and_share_no_step_with_the_others(series):
    horizon, known = 4, np.tile(np.arange(20, 60, 3), series)
    origins = Origins(np.repeat(np.arange(series), len(known) // series), known)
    seen = np.zeros(len(known), int)
    for inside, others in folds(origins, horizon):
        seen += inside
        assert others.any()
        for w in np.flatnonzero(inside):
            same = others & (origins.series == origins.series[w])
            assert (np.abs(known[same] - known[w]) >= horizon).all()
    assert (seen == 1).all()


def test_windows_that_all_overlap_have_no_others():
    origins = Origins(np.zeros(4, int), np.arange(10, 14))
    assert not any(others.any() for _, others in folds(origins, 4))
