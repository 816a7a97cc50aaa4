"""Reliability of confidences, and their calibration against chances that are known."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import ConfigError, DataError
from recurra.metrics.reliability import ConfidenceCalibration, reliability

ITEMS = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=30)


@settings(max_examples=50)
@given(ITEMS, st.integers(1, 12))
def test_bins_hold_every_item_once(items, bins):
    confidences, correct = zip(*items, strict=True)
    found = reliability(confidences, correct, bins)
    assert sum(one.count for one in found.bins) == len(items)
    total = sum(one.count * one.accuracy for one in found.bins)
    assert total == pytest.approx(sum(correct))
    for one in found.bins:
        assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9
    assert 0 <= found.ece <= 1


def test_edges():
    found = reliability([0, 0.5, 1], [0, 1, 1], bins=2)
    assert [(one.low, one.high, one.count) for one in found.bins] == [(0, 0.5, 1), (0.5, 1, 2)]
    assert found.ece == pytest.approx((1 * 0 + 2 * 0.25) / 3)


def miscalibrated(slope, offset, size=20000):
    """Confidences whose actual chances are sigmoid(slope logit(p) + offset), and outcomes."""
    generator = np.random.default_rng(0)
    chances = generator.uniform(0.02, 0.98, size)
    logits = (np.log(chances / (1 - chances)) - offset) / slope
    return 1 / (1 + np.exp(-logits)), generator.random(size) < chances


@pytest.mark.parametrize(("slope", "offset"), [(0.4, -0.3), (1, 0), (2.5, 1)])
def test_the_calibration_that_was_undone_is_found(slope, offset):
    confidences, correct = miscalibrated(slope, offset)
    found = ConfidenceCalibration.fit(confidences, correct)
    assert (found.slope, found.offset) == pytest.approx((slope, offset), rel=0.06, abs=0.05)
    assert reliability(found.apply(confidences), correct).ece < 0.02


def test_the_fit_is_the_maximum():
    """Against all neighbours of the penalised likelihood, computed another way."""
    confidences, correct = miscalibrated(0.6, 0.4, size=200)
    found = ConfidenceCalibration.fit(confidences, correct)

    def value(slope, offset):
        chances = ConfidenceCalibration(slope, offset).apply(confidences)
        likelihood = np.log(np.where(correct, chances, 1 - chances)).sum()
        return likelihood - ((slope - 1) ** 2 + offset**2) / 2

    best = value(found.slope, found.offset)
    for step in (1e-3, -1e-3):
        assert best > value(found.slope + step, found.offset)
        assert best > value(found.slope, found.offset + step)


@settings(max_examples=50)
@given(ITEMS)
def test_any_items_give_finite_numbers_and_keep_the_order(items):
    confidences, correct = zip(*items, strict=True)
    found = ConfidenceCalibration.fit(confidences, correct)
    assert found.slope > 0
    assert np.isfinite([found.slope, found.offset]).all()
    after = found.apply(sorted(confidences))
    assert (np.diff(after) >= 0).all()
    assert ((after >= 0) & (after <= 1)).all()


def test_confidences_that_mislead_become_the_share_that_is_right():
    found = ConfidenceCalibration.fit([0.9] * 500 + [0.1] * 500, [0] * 450 + [1] * 300 + [0] * 250)
    assert found.slope == 0.01
    assert found.apply([0.1, 0.9]) == pytest.approx([0.3, 0.3], abs=0.01)


def test_fields_are_json():
    found = ConfidenceCalibration.fit(*miscalibrated(0.5, 0.1, 100))
    assert ConfidenceCalibration(**json.loads(json.dumps(dataclasses.asdict(found)))) == found


@pytest.mark.parametrize("use", [reliability, ConfidenceCalibration.fit])
def test_wrong_confidences(use):
    for given_, message in (
        (([], []), r"confidences \(0,\) and correct \(0,\); give both as \(N,\)"),
        (([0.5], [1, 0]), r"confidences \(1,\) and correct \(2,\)"),
        (([0.5, 1.5], [1, 0]), "Confidence 1 is 1.5; it is from 0 to 1"),
        (([float("nan")], [1]), "Confidence 0 is nan"),
    ):
        with pytest.raises(DataError, match=message):
            use(*given_)


def test_wrong_settings():
    with pytest.raises(ConfigError, match="bins = 0"):
        reliability([0.5], [1], bins=0)
    for wrong in ({"slope": 0}, {"slope": float("inf")}, {"offset": float("nan")}):
        with pytest.raises(ConfigError, match="both are finite, and the slope is above 0"):
            ConfidenceCalibration(**wrong)
