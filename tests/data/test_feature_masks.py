"""Masks over features: within their limits, anywhere, and none where none are asked for."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recurra.data.feature_masks import FeatureMasks, mask_features
from recurra.errors import ConfigError


def features(frames, bands):
    return np.random.default_rng(0).standard_normal((frames, bands)).astype(np.float32)


def mask(before, how, seed=0):
    """The features after, and which values changed (T, F)."""
    after = mask_features(before, how, np.random.default_rng(seed))
    return after, after != before


@given(
    frames=st.integers(2, 400),
    bands=st.integers(2, 60),
    share=st.floats(0, 0.5),
    width=st.integers(1, 50),
    count=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_masks_cover_no_more_than_their_shares(frames, bands, share, width, count, seed):
    before = features(frames, bands)
    time = FeatureMasks(share, width, 0, count)
    after, changed = mask(before, time, seed)
    rows = changed.any(axis=1)
    assert np.array_equal(changed, np.broadcast_to(rows[:, None], changed.shape))
    assert rows.sum() <= share * frames
    assert np.array_equal(after[rows], np.broadcast_to(before.mean(axis=0), before.shape)[rows])
    columns = mask(before, FeatureMasks(0, width, share, count), seed)[1].any(axis=0)
    assert columns.sum() <= share * bands


def test_masks_of_time_grow_in_number_and_not_in_width():
    how = FeatureMasks(time_share=0.2, time_width=15, feature_share=0)
    rows = [mask(features(1_500, 4), how, seed)[1].any(axis=1) for seed in range(40)]
    totals = [int(row.sum()) for row in rows]
    assert 90 < np.mean(totals) < 160  # 20 masks of 7.5 frames, some of which overlap
    rows = [mask(features(75, 4), how, seed)[1].any(axis=1) for seed in range(200)]
    assert max(int(row.sum()) for row in rows) == 15
    ends = [np.flatnonzero(row)[[0, -1]] for row in rows if row.any()]
    assert all(stop - start < 15 for start, stop in ends)


def test_masks_reach_both_ends():
    masked = np.zeros((2, 50), bool)
    how = FeatureMasks(time_width=50)
    for seed in range(300):
        changed = mask(features(50, 50), how, seed)[1]
        masked |= [changed.all(axis=1), changed.all(axis=0)]
    assert masked.all()


def test_one_seed_gives_one_result_and_the_input_stays():
    before = features(90, 40)
    results = [mask(before, FeatureMasks(), seed)[0] for seed in (3, 3, 4)]
    assert np.array_equal(*results[:2])
    assert not np.array_equal(*results[1:])
    assert np.array_equal(before, features(90, 40))


def test_no_masks():
    assert not mask(features(90, 40), FeatureMasks.none())[1].any()
    empty = mask_features(features(0, 40), FeatureMasks(), np.random.default_rng(0))
    assert empty.shape == (0, 40)


def test_settings_that_cannot_be_are_named():
    for name, value in {"time_share": 0.6, "feature_share": -1, "time_width": 0}.items():
        with pytest.raises(ConfigError, match=f"{name} = {value}"):
            FeatureMasks(**{name: value})


def test_settings_travel_as_json():
    how = FeatureMasks(time_width=7)
    assert FeatureMasks(**json.loads(json.dumps(asdict(how)))) == how
