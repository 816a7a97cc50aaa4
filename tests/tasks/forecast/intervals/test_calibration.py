"""Calibrated quantiles: their coverage of other windows, and paths through them."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from forecast_helpers.toys import window_traits

from recurra.tasks.forecast.intervals.calibration import (
    Calibration,
    calibrate,
    quantiles_at,
    uncalibrated,
)
from recurra.tasks.forecast.intervals.widening import Widening

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
NORMAL = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.double)).numpy()


def skewed(random, windows, horizon=3):
    """Truths whose spread grows along the horizon, and forecasts that are too narrow and low."""
    level = random.normal(size=(windows, 1))
    actual = level + random.gamma(2.0, size=(windows, horizon)) * np.arange(1, horizon + 1)
    return np.repeat(level[..., None] + 0.2 * NORMAL, horizon, 1), actual


@pytest.mark.parametrize("given", [slice(None), slice(2, 3)])
def test_quantiles_have_the_coverage_they_state(given):
    random = np.random.default_rng(0)
    forecasts, actual = skewed(random, 1000)
    calibration = calibrate(forecasts[..., given], actual, LEVELS, window_traits(1000))
    forecasts, actual = skewed(random, 4000)
    below = (actual[..., None] <= calibration(forecasts[..., given], window_traits(4000))).mean(0)
    for level, shares in zip(LEVELS, below.T, strict=True):
        # Four deviations: of the share counted here, and of the 1000 values that calibrated.
        bound = 4 * math.sqrt(level * (1 - level) * (1 / 4000 + 1 / 1000))
        assert np.abs(shares - level).max() < bound


def test_a_small_sample_has_its_stated_coverage_on_average():
    random = np.random.default_rng(1)
    levels, covered = (0.1, 0.5, 0.9), []
    for _ in range(600):
        actual = random.normal(size=(20, 1))
        found = calibrate(np.zeros((19, 1, 3)), actual[1:], levels, window_traits(19))
        found = found(np.zeros((1, 1, 3)), window_traits(1))
        covered.append(actual[0, 0] <= found[0, 0])
    shares = np.mean(covered, 0)
    assert np.abs(shares - levels).max() < 4 * math.sqrt(0.25 / 600)
    assert shares[2] - shares[0] == pytest.approx(0.8, abs=4 * math.sqrt(0.16 / 600))


def test_quantiles_ascend_even_where_the_network_crosses_them():
    crossed = np.array([[[3.0, 1.0, 2.0]]])
    calibration = dataclasses.replace(
        uncalibrated((0.1, 0.5, 0.9), 1), offsets=np.array([[[0.0, 5.0, 0.0]]] * 2)
    )
    assert calibration(crossed, window_traits(1)).tolist() == [[[2.0, 3.0, 6.0]]]


def test_missing_values_are_left_out():
    random = np.random.default_rng(2)
    forecasts, actual = skewed(random, 900)
    gaps = actual.copy()
    gaps[::3] = np.nan
    kept = np.arange(900) % 3 > 0
    wanted = calibrate(forecasts[kept], actual[kept], LEVELS, window_traits(600))
    found = calibrate(forecasts, gaps, LEVELS, window_traits(900))
    np.testing.assert_array_equal(found.offsets, wanted.offsets)
    np.testing.assert_array_equal(found.errors, wanted.errors)


@pytest.mark.parametrize("windows", [0, 3])
def test_without_actual_values_nothing_is_added(windows):
    nothing = np.full((windows, 2, len(LEVELS)), np.nan)
    found = calibrate(nothing, nothing[..., 0], LEVELS, window_traits(windows))
    assert (found.offsets == 0).all()
    assert found.ranks.shape == uncalibrated(LEVELS, 2).ranks.shape


def test_steps_with_few_errors_learn_from_their_neighbours():
    actual = np.zeros((150, 5))
    actual[:, 4] = 1.0
    offsets = calibrate(np.zeros((150, 5, 1)), actual, (0.5,), window_traits(150)).offsets[1, :, 0]
    assert offsets.tolist() == [0, 0, 0, 0, 0.5]


def test_values_at_levels_lie_on_the_normal_line_between_and_beyond_quantiles():
    levels = (0.1, 0.5, 0.9)
    quantiles = 5 + 2 * torch.special.ndtri(torch.tensor(levels, dtype=torch.double)).numpy()
    wanted = np.array([[0.001], [0.3], [0.7], [0.9999]])
    found = quantiles_at(quantiles[None], levels, wanted)
    line = 5 + 2 * torch.special.ndtri(torch.from_numpy(wanted)).numpy()
    np.testing.assert_allclose(found, line)
    np.testing.assert_allclose(
        quantiles_at(quantiles[None], levels, np.array([levels]).T).T[0], quantiles
    )


def test_paths_go_up_and_down_as_held_out_windows_did():
    random = np.random.default_rng(3)
    actual = random.normal(size=(400, 1)) * np.array([1.0, 1.0, -1.0])
    calibration = calibrate(np.zeros((400, 3, 5)), actual, LEVELS, window_traits(400))
    paths = calibration.paths(np.tile(NORMAL, (2, 3, 1)), 3000, np.random.default_rng(0))
    rank = np.corrcoef(paths[1].T)
    np.testing.assert_allclose(rank, [[1, 1, -1], [1, 1, -1], [-1, -1, 1]], atol=0.02)


def test_paths_have_the_quantiles_that_they_are_drawn_through():
    calibration = uncalibrated(LEVELS, 2)
    quantiles = np.stack([NORMAL, 3 * NORMAL + 1])[None]
    paths = calibration.paths(quantiles, 20_000, np.random.default_rng(0))[0]
    found = np.quantile(paths, LEVELS, axis=0).T
    np.testing.assert_allclose(found, quantiles[0], atol=0.15)


def test_a_calibration_is_stored_bit_for_bit():
    random = np.random.default_rng(4)
    found = calibrate(*skewed(random, 60), LEVELS, window_traits(60, error=random.random(60)))
    again = Calibration.from_tensors(LEVELS, found.tensors())
    assert again.usual == found.usual
    for name in Widening._fields:
        np.testing.assert_array_equal(*(getattr(c.widening, name) for c in (again, found)))
    for name in ("offsets", "errors", "ranks", "reach", "bias"):
        np.testing.assert_array_equal(getattr(again, name), getattr(found, name))


def test_overlapping_windows_are_not_counted_twice():
    """Two windows apart: the outer quantiles are set by the largest errors, not by a rank of 40,
    and the centre hardly moves.
    """
    actual = 1 + np.random.default_rng(5).normal(size=(40, 1))
    found = calibrate(np.zeros((40, 1, 1)), actual, (0.1, 0.5, 0.9), window_traits(40), disjoint=2)
    found = found.offsets[1, 0]
    wanted = np.array([actual.min(), np.median(actual), actual.max()])
    np.testing.assert_allclose(found, wanted - np.median(actual) * 10 / 12)
    many = calibrate(np.zeros((40, 1, 1)), actual, (0.1, 0.5, 0.9), window_traits(40)).offsets[1, 0]
    assert found[2] - found[0] > many[2] - many[0]


def test_quantiles_of_a_network_move_as_far_as_there_is_evidence():
    """Errors of one size: believed by a sixth after two windows apart, nearly whole after 400."""
    actual, given = np.ones((400, 1)), np.zeros((400, 1, 3))
    for apart, share in ((2, 2 / 12), (400, 400 / 410)):
        found = calibrate(
            given, actual, (0.1, 0.5, 0.9), window_traits(400), disjoint=apart
        ).offsets
        np.testing.assert_allclose(found, share)


def test_few_windows_apart_make_one_offset_of_all_steps():
    """Twenty windows apart of 200 steps' errors: neighbours join, so offsets don't jump."""
    actual = np.random.default_rng(8).normal(size=(400, 60))
    rough, smooth = (
        calibrate(
            np.zeros((400, 60, 1)), actual, (0.1, 0.5, 0.9), window_traits(400), disjoint=n
        ).offsets[1]
        for n in (400, 20)
    )
    assert np.abs(np.diff(smooth[:, 2])).mean() < np.abs(np.diff(rough[:, 2])).mean() / 3


def test_a_window_that_moves_more_has_wider_intervals():
    """Errors as large as the windows' own changes: both kinds are covered as often as they say."""
    random, levels = np.random.default_rng(6), (0.1, 0.5, 0.9)
    change = np.tile([0.5, 2.0], 4000)
    actual = change[:, None] * random.normal(size=(8000, 1))
    own = window_traits(8000, error=change)
    found = calibrate(np.zeros((4000, 1, 1)), actual[:4000], levels, own.at(np.arange(4000)))
    quantiles = found(np.zeros((4000, 1, 1)), own.at(np.arange(4000, 8000)))
    inside = (quantiles[..., 0] <= actual[4000:]) & (actual[4000:] <= quantiles[..., 2])
    np.testing.assert_allclose([inside[::2].mean(), inside[1::2].mean()], 0.8, atol=0.03)
    constant = calibrate(np.zeros((4000, 1, 1)), actual[:4000], levels, window_traits(4000))
    quantiles = constant(np.zeros((4000, 1, 1)), window_traits(4000))
    inside = (quantiles[..., 0] <= actual[4000:]) & (actual[4000:] <= quantiles[..., 2])
    assert inside[1::2].mean() < 0.65 < 0.99 < inside[::2].mean()


def test_paths_that_are_moved_keep_their_order_and_grow_with_the_error_to_expect():
    calibration = dataclasses.replace(
        uncalibrated((0.1, 0.5, 0.9), 1), offsets=np.array([[[-1.0, 0.0, 1.0]]] * 2)
    )
    drawn = np.array([[[0.0], [1.0], [2.0]]])
    moved = calibration.shifted(np.repeat(drawn, 2, 0), window_traits(2, error=[1.0, 0.25]))
    rank = np.interp([1 / 6, 0.5, 5 / 6], [0.1, 0.5, 0.9], [-1, 0, 1])
    np.testing.assert_allclose(moved[0, :, 0], np.arange(3) + rank)
    np.testing.assert_allclose(moved[1, :, 0], np.arange(3) + rank / 4)


def test_windows_that_never_changed_are_left_out():
    """Of nothing that ever moved there is no error to expect, however large it then was."""
    random = np.random.default_rng(9)
    actual = random.normal(size=(200, 2))
    traits = window_traits(200, error=np.where(np.arange(200) < 20, np.nan, 1.0))
    wild = np.where(np.arange(200)[:, None] < 20, 1e6, actual)
    found = calibrate(np.zeros((200, 2, 1)), wild, LEVELS, traits)
    wanted = calibrate(np.zeros((180, 2, 1)), actual[20:], LEVELS, window_traits(180))
    np.testing.assert_array_equal(found.offsets, wanted.offsets)
    assert found.error_scale(window_traits(1, error=np.nan))[0].tolist() == [1, 1]


def test_the_kinds_of_windows_do_not_widen_each_other():
    random = np.random.default_rng(10)
    rare = np.arange(1000) % 10 == 0
    actual = random.normal(size=(1000, 1)) * np.where(rare, 5.0, 1.0)[:, None]
    traits = window_traits(1000, gap=rare.astype(int))
    found = calibrate(np.zeros((1000, 1, 1)), actual, LEVELS, traits)
    quantiles = found(np.zeros((1000, 1, 1)), traits)
    width = (quantiles[:, 0, 3] - quantiles[:, 0, 1]) / (2 * 1.2816)
    assert width[~rare][0] == pytest.approx(1, rel=0.1)
    assert width[rare][0] == pytest.approx(5, rel=0.25)


def test_a_kind_that_is_rare_has_the_offsets_of_all():
    actual = np.random.default_rng(11).normal(size=(100, 1))
    rare = np.arange(100) < 10
    found = calibrate(np.zeros((100, 1, 1)), actual, LEVELS, window_traits(100, gap=rare * 1))
    every = calibrate(np.zeros((100, 1, 1)), actual, LEVELS, window_traits(100))
    np.testing.assert_array_equal(found.offsets[0], every.offsets[1])


def test_a_few_jumps_do_not_set_the_tails_of_all():
    random = np.random.default_rng(12)
    actual = random.normal(size=(1000, 1))
    actual[:80] *= 1e6
    found = calibrate(np.zeros((1000, 1, 1)), actual, LEVELS, window_traits(1000))
    assert np.abs(found.offsets).max() < 15
