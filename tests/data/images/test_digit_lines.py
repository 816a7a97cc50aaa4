"""Joined digits: their texts, their pictures in order, and the spaces between them."""

from itertools import pairwise

import numpy as np
import pytest

from recurra.data.digits import read_digits
from recurra.data.images.digit_lines import join_digits
from recurra.errors import ConfigError, DataError


def blocks(count=30):
    """Digit n as a block of n + 3 columns, whose level tells the picture; labels n."""
    labels = np.arange(count) % 10
    pictures = np.zeros((count, 28, 28), np.uint8)
    for number, label in enumerate(labels):
        pictures[number, 4:24, 5 : 8 + label] = 100 + 5 * number
    return pictures, labels


def runs(line):
    """The runs of columns with ink: first, last + 1, level."""
    inked = line.max(1) > 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], inked, [0]])))
    return [(a, b, float(line[a:b].max())) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def join(seed, **options):
    return join_digits(*blocks(), np.random.default_rng(seed), **options)


@pytest.mark.parametrize("seed", range(20))
def test_the_text_is_what_the_blocks_say(seed):
    columns, text = join(seed, slant=0.0, spacing=(1, 6))
    found = runs(columns)
    assert text == "".join(str(b - a - 3) for a, b, _ in found)
    levels = [level for _, _, level in found]
    assert len(set(levels)) == len(levels)  # different pictures
    gaps = [b[0] - a[1] for a, b in pairwise(found)]
    assert all(1 <= gap <= 6 for gap in gaps)
    assert (found[0][0], len(columns) - found[-1][1]) == (2, 2)
    assert columns.shape[1] == 28
    assert columns.dtype == np.float32


def test_counts_reach_from_the_first_to_the_last():
    assert {len(join(seed).text) for seed in range(80)} == {3, 4, 5, 6, 7}
    assert {len(join(seed, count=(2, 2)).text) for seed in range(9)} == {2}


def test_the_same_for_the_same_seed():
    first, again, other = join(1), join(1), join(2)
    np.testing.assert_array_equal(first.columns, again.columns)
    assert (first.text, first.columns.shape) != (other.text, other.columns.shape)


def test_a_line_leans_one_way_and_slants_differ():
    def lean(line):  # the first ink's column at the top less that at the bottom
        return np.argmax(line[:, 5] > 0.05) - np.argmax(line[:, 22] > 0.05)

    leans = [lean(join(seed, slant=0.5).columns) for seed in range(40)]
    assert min(leans) < -3
    assert max(leans) > 3


def test_overlapping_boxes_keep_the_ink_of_both():
    columns, _ = join(0, slant=0.0, spacing=(-3, -3), count=(4, 4))
    wide, _ = join(0, slant=0.0, spacing=(0, 0), count=(4, 4))
    assert len(columns) == len(wide) - 9
    assert columns.max() == wide.max()


def test_an_empty_picture_is_a_space_of_its_own_width():
    pictures = np.zeros((3, 28, 28), np.uint8)
    generator = np.random.default_rng(0)
    line = join_digits(pictures, np.array([1, 2, 3]), generator, count=(3, 3), slant=0.0)
    assert not line.columns.any()
    assert len(line.columns) > 3 * 28


def test_bad_input():
    pictures, labels = blocks(5)
    generator = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"labels of shape \(4,\): give \(N, rows, columns\)"):
        join_digits(pictures, labels[:4], generator)
    with pytest.raises(ConfigError, match=r"count = \(3, 7\): a line has from 1 to 5 digits"):
        join_digits(pictures, labels, generator)
    with pytest.raises(ConfigError, match=r"count = \(4, 3\)"):
        join_digits(pictures, labels, generator, count=(4, 3))


@pytest.mark.data
def test_real_digits(real_data):
    digits = read_digits(real_data / "mnist_subset", "valid")
    generator = np.random.default_rng(0)
    for _ in range(50):
        columns, text = join_digits(digits.pictures, digits.labels, generator)
        assert 3 <= len(text) <= 7
        assert 5 * len(text) < len(columns) < 40 * len(text)
        assert 0.05 < columns.mean() < 0.5
