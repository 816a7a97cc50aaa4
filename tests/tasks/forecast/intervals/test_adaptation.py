"""Adaptive quantiles: the values they know, those they ignore, and their limit."""

import numpy as np
import pandas
import pytest
from forecast_helpers.toys import table, tiny, wave, window_traits

from recurra.errors import ConfigError
from recurra.tasks.forecast.intervals.adaptation import adaptive_quantiles
from recurra.tasks.forecast.intervals.calibration import calibrate, uncalibrated

LEVELS = (0.1, 0.5, 0.9)


def calibrated(columns=1, horizon=2, seed=9):
    """Held-back errors of the standard normal distribution, all windows alike."""
    actual = np.random.default_rng(seed).normal(size=(2000, horizon))
    return calibrate(np.zeros((2000, horizon, columns)), actual, LEVELS, window_traits(2000))


def follow(calibration, actual, position=None, half_life=300, error=1.0, columns=1):
    windows, horizon = actual.shape
    position = np.arange(windows) if position is None else position
    given = np.zeros((windows, horizon, columns))
    return adaptive_quantiles(
        calibration, given, actual, window_traits(windows, error=error), position, half_life
    )


def below(actual, quantiles):
    return (actual[..., None] <= quantiles).mean((0, 1))


@pytest.mark.parametrize("columns", [1, 3])
@pytest.mark.parametrize(("centre", "size"), [(0, 0.3), (0, 3), (1.5, 1)])
def test_quantiles_end_where_their_share_lies_below(columns, centre, size):
    actual = centre + size * np.random.default_rng(0).normal(size=(3000, 2))
    found = follow(calibrated(columns), actual, columns=columns)
    np.testing.assert_allclose(below(actual[1000:], found[1000:]), LEVELS, atol=0.04)
    width = (found[2000:, :, 2] - found[2000:, :, 0]).mean()
    assert width == pytest.approx(2 * 1.2816 * size, rel=0.15)


def test_values_beyond_all_held_out_errors_are_reached():
    """Twenty deviations out is beyond the last edge: the outer quantile ends there."""
    actual = np.full((3000, 1), 20.0)
    found = follow(calibrated(horizon=1), actual)
    assert found[-1, 0, 2] > 10
    assert (np.diff(found[:, 0, 2]) >= 0).all()


def test_errors_of_long_ago_are_forgotten():
    """Wide for twenty half-lives, then as narrow as the held-out errors for six."""
    size = np.repeat([3.0, 1.0], [1000, 300])[:, None]
    actual = size * np.random.default_rng(5).normal(size=(1300, 1))
    found = follow(calibrated(horizon=1), actual, half_life=50)
    width = found[..., 2] - found[..., 0]
    assert width[900:1000].mean() > 2.5 * 2 * 1.2816
    assert width[1200:].mean() < 1.35 * 2 * 1.2816


def test_late_values_make_nothing_swing():
    """Values that come 150 steps late: the width settles between the two, and stays there."""
    actual = 3 * np.random.default_rng(1).normal(size=(1500, 150))
    found = follow(calibrated(horizon=150), actual)
    width = (found[..., 2] - found[..., 0])[800:, -1]
    assert 3.5 < width.min() <= width.max() < 1.4 * 2 * 1.2816 * 3


def test_distances_without_known_values_adapt_with_the_others():
    """Levels move together, so far distances widen before a value of theirs is known."""
    actual = 3 * np.random.default_rng(2).normal(size=(260, 300))
    found = follow(calibrated(horizon=300), actual)
    width = found[..., 2] - found[..., 0]
    assert width[250, -1] > 1.15 * width[0, -1]


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_value_counts_from_the_first_origin_that_knows_it(step):
    calibration, position = calibrated(horizon=3), 10 + step * np.arange(8)
    actual = np.zeros((8, 3))
    first = follow(calibration, actual, position)
    for window in range(8):
        for ahead in range(3):
            other = actual.copy()
            other[window, ahead] = 5.0
            changed = (follow(calibration, other, position) != first).any(-1)
            knows = position > position[window] + ahead
            assert not changed[~knows].any()
            assert changed[knows, ahead].all()


def test_nothing_moves_before_a_value_is_known():
    calibration = calibrated()
    found = follow(calibration, np.full((20, 2), np.nan))
    wanted = calibration(np.zeros((20, 2, 1)), window_traits(20))
    np.testing.assert_allclose(found, wanted)
    known = follow(calibration, np.full((20, 2), 9.0))
    np.testing.assert_allclose(known[0], wanted[0])


def test_series_learn_together_whatever_their_order():
    random = np.random.default_rng(3)
    actual, position = random.normal(size=(40, 2)), np.tile(np.arange(20), 2)
    order = random.permutation(40)
    both = follow(calibrated(), actual, position)
    np.testing.assert_allclose(follow(calibrated(), actual[order], position[order]), both[order])
    other = actual.copy()
    other[20:] += 5
    moved = follow(calibrated(), other, position)[:20]
    assert (moved[10:, :, 2] > both[10:20, :, 2]).all()


def test_wild_windows_are_followed_by_as_much_more():
    """Values three times as large where windows change three times as much are no news."""
    random, change = np.random.default_rng(4), np.tile([1.0, 3.0], 1000)
    actual = random.normal(size=(2000, 1)) * change[:, None]
    calibration = calibrate(
        np.zeros((2000, 1, 1)), actual, LEVELS, window_traits(2000, error=change)
    )
    found = follow(calibration, actual, error=change)
    width = (found[..., 2] - found[..., 0])[:, 0]
    np.testing.assert_allclose(width[1::2].mean() / width[::2].mean(), 3, 0.02)
    # Wild ones alone: what is learnt of them is by their own measure.
    found = follow(calibration, actual[1::2][:400], error=change[1::2][:400], half_life=100)
    assert 6 < (found[..., 2] - found[..., 0])[150:].mean() < 9


def test_without_held_out_errors_there_is_nothing_to_start_from():
    with pytest.raises(ConfigError, match="smaller holdback"):
        follow(uncalibrated(LEVELS, 2), np.zeros((5, 2)))


def test_evaluating_with_a_half_life_changes_later_windows_alone():
    frame = table(gaps=False)
    model = tiny(model="direct").fit(frame)
    still, moved = (model.evaluate(frame, windows=5, step=4, adapt=a) for a in (0, 20))
    quantiles = [found.predicted.quantiles for found in (still, moved)]
    position = [
        list(found.panel.frequency.after(found.panel.starts[n : n + 1], k)[0])[-1]
        for found in (still,)
        for n, k in zip(*found.origins, strict=True)
    ]
    first = np.array(position) == min(position)
    np.testing.assert_allclose(quantiles[0][first], quantiles[1][first])
    assert not np.allclose(quantiles[0], quantiles[1])
    with pytest.raises(ConfigError, match="adapt = -1"):
        model.evaluate(frame, adapt=-1)


def test_series_that_begin_between_the_steps_of_others_know_no_later_values():
    """Every two hours, at even and at odd ones: what comes last moves no earlier window."""
    parts = [
        pandas.DataFrame({"unique_id": name, "ds": stamps, "y": wave(90, seed)})
        for seed, (name, stamps) in enumerate(
            (name, pandas.date_range(f"2024-01-01 0{hour}:00", periods=90, freq="2h"))
            for name, hour in (("even", 0), ("odd", 1))
        )
    ]
    frame, later = pandas.concat(parts, ignore_index=True), pandas.concat(parts, ignore_index=True)
    later.loc[later.ds >= later.ds.max() - pandas.Timedelta("8h"), "y"] += 40
    model = tiny(model="direct", freq="2h").fit(frame)
    one, other = (model.evaluate(f, windows=30, step=1, adapt=5) for f in (frame, later))
    known = one.origins.cutoffs
    early = known <= known.max() - 1
    quantiles = [found.predicted.quantiles for found in (one, other)]
    np.testing.assert_array_equal(quantiles[0][early], quantiles[1][early])
    assert len(np.unique(quantiles[0][:, 0, 1])) > 30
