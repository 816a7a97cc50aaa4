"""Distortions: each alone against what it must do to known ink, and what chance draws."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image, ImageChops, ImageFilter

from recurra.data.images.image_distortion import ImageDistortion, blurred, distort, thickened
from recurra.data.images.text_core import slant_of
from recurra.errors import ConfigError

NAMES = {field.name for field in dataclasses.fields(ImageDistortion)}
ZERO = dict.fromkeys(NAMES - {"chance", "grid"}, 0.0)
HEIGHT = 48


def bars(width=200):
    """Upright bars in the middle rows of a line (width, 48)."""
    line = np.zeros((width, HEIGHT), np.float32)
    for at in range(20, width - 20, 16):
        line[at : at + 3, 10:38] = 1
    return line


def alone(name, size, seed=0, line=None):
    """A line under one distortion, always applied."""
    how = ImageDistortion(**{**ZERO, "chance": 1.0, name: size})
    return distort(bars() if line is None else line, how, np.random.default_rng(seed))


def every(name, size, measure, seeds=60):
    return np.array([measure(alone(name, size, seed)) for seed in range(seeds)])


def spread(line):
    """The columns from the first with ink to the last."""
    inked = np.flatnonzero(line.max(1) > 0.3)
    return inked[-1] - inked[0] + 1


def test_none_leaves_every_bit():
    line = np.random.default_rng(0).random((90, HEIGHT), np.float32)
    for how in (ImageDistortion.none(), ImageDistortion(**{**ZERO, "chance": 1.0})):
        assert (distort(line, how, np.random.default_rng(1)) == line).all()


def test_the_same_for_the_same_seed_and_the_line_is_left_alone():
    line = bars()
    first, again, other = (
        distort(line, ImageDistortion(), np.random.default_rng(seed)) for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or (first != other).any()
    assert (line == bars()).all()
    assert first.dtype == np.float32
    assert first.flags.c_contiguous


@pytest.mark.parametrize("seed", range(20))
def test_results_are_lines_of_ink(seed):
    line = distort(bars(), ImageDistortion(chance=1.0), np.random.default_rng(seed))
    assert line.shape[1] == HEIGHT
    assert len(line) >= 200 / 1.2
    assert np.isfinite(line).all()
    assert line.min() >= 0
    assert line.max() <= 1


def test_slants_reach_both_limits_and_not_beyond():
    slants = every("slant", 0.4, lambda line: slant_of(line.T))
    assert -0.45 < slants.min() < -0.3
    assert 0.3 < slants.max() < 0.45


def test_slanting_loses_no_ink():
    ink = every("slant", 0.4, lambda line: line.sum())
    np.testing.assert_allclose(ink, bars().sum(), rtol=1e-3)


def test_scales_across_reach_both_limits():
    widths = every("scale_x", 0.25, spread) / spread(bars())
    assert 1 / 1.25 - 0.02 < widths.min() < 0.84
    assert 1.2 < widths.max() < 1.25 + 0.02


def test_scales_down_and_shifts_move_rows():
    def rows(line):
        inked = np.flatnonzero(line.max(0) > 0.5)
        return inked[0], inked[-1] + 1

    heights = every("scale_y", 0.2, lambda line: np.ptp(rows(line)))
    assert 28 / 1.2 - 1.5 < heights.min() < 26
    assert 30 < heights.max() < 28 * 1.2 + 1.5
    tops = every("shift", 0.1, lambda line: rows(line)[0])
    assert 5 <= tops.min() < 7
    assert 13 < tops.max() <= 15


def test_the_elastic_field_bends_but_keeps_the_mean_place():
    moves = every("elastic", 0.05, lambda line: line.mean(0) @ np.arange(HEIGHT) / line.mean())
    moves = moves / HEIGHT - 23.5
    assert abs(moves.mean()) < 0.5
    assert 0.05 < moves.std() < 0.05 * HEIGHT
    bent = alone("elastic", 0.05)
    assert bent.shape == bars().shape
    # A bar is bent: its place differs from row to row, within about three deviations.
    places = [np.argmax(bent[18:26, row]) for row in range(14, 34)]
    assert 0 < np.ptp(places) < 6 * 0.05 * HEIGHT


def test_thickness_is_pillows_dilation_by_a_cross():
    picture = np.zeros((20, 30), np.float32)
    picture[5:9, 6:20] = 0.7
    picture[12, 10] = 1
    image = Image.fromarray((picture * 255).astype(np.uint8))
    # Pillow's filter has a square; the cross is the brightest of 5 moved pictures, and within it.
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    moved = [np.asarray(ImageChops.offset(image, *move)) for move in moves]
    np.testing.assert_allclose(thickened(picture, 1.0), np.max(moved, 0) / 255, atol=0.004)
    np.testing.assert_allclose(thickened(picture, -1.0), np.min(moved, 0) / 255, atol=0.004)
    square = np.asarray(image.filter(ImageFilter.MaxFilter(3)))
    assert (thickened(picture, 1.0) <= square / 255 + 0.004).all()
    half = thickened(picture, 0.5)
    np.testing.assert_allclose(half, (picture + thickened(picture, 1.0)) / 2, atol=1e-6)


@pytest.mark.parametrize("deviation", [0.6, 1.0, 2.0])
def test_blur_has_its_deviation_and_keeps_the_ink(deviation):
    picture = np.zeros((31, 33), np.float32)
    picture[15, 16] = 1
    result = blurred(picture, deviation)
    assert result.sum() == pytest.approx(1, abs=1e-5)
    for axis, middle in ((1, 15), (0, 16)):
        profile = result.sum(axis)
        variance = profile @ (np.arange(len(profile)) - middle) ** 2
        assert np.sqrt(variance) == pytest.approx(deviation, rel=0.02)


def test_contrast_and_noise_keep_to_their_limits():
    darkest = every("contrast", 0.4, lambda line: line.max())
    assert 0.6 <= darkest.min() < 0.65
    assert 0.95 < darkest.max() <= 1
    grain = every("noise", 0.1, lambda line: (line - bars())[:20].std())
    assert grain.max() < 0.1
    assert grain.max() > 3 * grain.min()


def test_chance_leaves_out_its_share():
    how = ImageDistortion(**{**ZERO, "chance": 0.25, "contrast": 0.5})
    generator = np.random.default_rng(0)
    same = [distort(bars(60), how, generator).max() == 1 for _ in range(400)]
    assert np.mean(same) == pytest.approx(0.75, abs=0.07)


@pytest.mark.parametrize("shape", [(1, 8), (3, 48), (700, 64)])
def test_lines_of_any_size(shape):
    line = np.random.default_rng(0).random(shape, np.float32)
    for seed in range(5):
        result = distort(line, ImageDistortion(chance=1.0), np.random.default_rng(seed))
        assert result.shape[1] == shape[1]


def test_settings_are_plain_values_and_checked():
    how = ImageDistortion(slant=0.1)
    assert ImageDistortion(**json.loads(json.dumps(dataclasses.asdict(how)))) == how
    for wrong in ({"chance": 1.5}, {"slant": -0.1}, {"grid": 0.0}, {"noise": float("nan")}):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} = .*: give a number from"):
            ImageDistortion(**wrong)
