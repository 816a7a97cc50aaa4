"""Statistics of features over items, read once, and features standardised by them."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.standardise import Standardiser
from recurra.errors import DataError


def items(lengths, features=3):
    generator = np.random.default_rng(0)
    return [
        (1e3 + 2 * generator.standard_normal((n, features))).astype(np.float32) for n in lengths
    ]


@given(st.lists(st.integers(0, 20), min_size=1, max_size=8).filter(lambda n: sum(n) > 1))
def test_statistics_are_those_of_all_frames_together(lengths):
    standardiser = Standardiser.of(iter(items(lengths)))
    frames = np.concatenate(items(lengths)).astype(np.float64)
    np.testing.assert_allclose(standardiser.mean, frames.mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(standardiser.std, frames.std(axis=0), rtol=1e-6)


def test_standardised_features_have_mean_zero_and_deviation_one():
    data = items([50, 70])
    frames = np.concatenate([Standardiser.of(data).apply(item) for item in data])
    assert frames.dtype == np.float32
    np.testing.assert_allclose(frames.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(frames.std(axis=0), 1, atol=1e-4)


def test_a_feature_that_never_varies_is_centred():
    constant = np.full((5, 1), 7, np.float32)
    assert Standardiser.of([constant]).apply(constant).tolist() == [[0]] * 5


def test_settings_travel_as_json():
    standardiser = Standardiser.of(items([9]))
    again = Standardiser(**json.loads(json.dumps(asdict(standardiser))))
    assert again == standardiser
    assert hash(again) == hash(standardiser)


def test_items_that_cannot_be_are_named():
    with pytest.raises(DataError, match="no frames"):
        Standardiser.of(items([0]))
    with pytest.raises(DataError, match=r"Item 1 has the shape \(4, 2\); items are \(T, 3\)"):
        Standardiser.of([*items([4]), *items([4], features=2)])
    with pytest.raises(DataError, match="Item 0 has values that aren't finite"):
        Standardiser.of([np.array([[np.nan]], np.float32)])
    with pytest.raises(DataError, match=r"shape \(4, 2\).*3 features"):
        Standardiser.of(items([4])).apply(items([4], features=2)[0])
    with pytest.raises(DataError, match="2 means and 1 deviations"):
        Standardiser((0, 0), (1,))
    with pytest.raises(DataError, match="deviations above 0"):
        Standardiser((0,), (0,))
