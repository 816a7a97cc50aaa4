"""Resampling: Pillow's own resizing and transforms, and what must hold for whole pixels."""

import numpy as np
import pytest
from PIL import Image

from recurra.data.images.resampling import bilinear, resize, shear

PICTURE = np.random.default_rng(0).random((23, 41), np.float32)


@pytest.mark.parametrize(("height", "width"), [(23, 41), (11, 20), (48, 90), (7, 200), (1, 1)])
def test_resizing_is_pillows_triangle_filter(height, width):
    expected = Image.fromarray(PICTURE).resize((width, height), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(resize(PICTURE, height, width), np.asarray(expected), atol=2e-6)


def test_between_pixels_as_pillow_transforms():
    # Pillow's matrix maps corners of pixels, ours their centres.
    matrix = (0.9, 0.2, 3.0, -0.1, 1.1, 2.0)
    expected = Image.fromarray(PICTURE).transform(
        (30, 15), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR
    )
    y, x = np.mgrid[:15, :30] + 0.5
    ours = bilinear(PICTURE, -0.1 * x + 1.1 * y + 2.0 - 0.5, 0.9 * x + 0.2 * y + 3.0 - 0.5)
    inner = (slice(2, 12), slice(0, 28))  # Pillow has its own rule at the edges
    np.testing.assert_allclose(ours[inner], np.asarray(expected)[inner], atol=2e-6)


def test_whole_positions_are_the_pixels_and_outside_is_paper():
    y, x = np.mgrid[-3:26, -3:44]
    ours = bilinear(PICTURE, y, x)
    assert (ours[3:26, 3:44] == PICTURE).all()
    ours[3:26, 3:44] = 0
    assert not ours.any()


def test_half_outside_is_half_paper():
    assert bilinear(np.ones((1, 1), np.float32), np.array([-0.5]), np.array([0.0]))[0] == 0.5


@pytest.mark.parametrize("slope", [1.0, -1.0])
def test_a_shear_by_whole_pixels_moves_rows(slope):
    sheared = shear(PICTURE, slope)
    assert sheared.shape == (23, 41 + 22)
    for row in range(23):
        move = 22 - row if slope > 0 else row
        assert (sheared[row, move : move + 41] == PICTURE[row]).all()
    assert sheared.sum(dtype=float) == pytest.approx(PICTURE.sum(dtype=float))
