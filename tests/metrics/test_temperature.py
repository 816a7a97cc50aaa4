"""Temperature scaling: the least log loss, and finite numbers whatever is given."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, special

from recurra.errors import ConfigError, DataError
from recurra.metrics.reliability import reliability
from recurra.metrics.temperature import Temperature


def class_items(temperature, count=3000, classes=5):
    """Logits that are `temperature` times those of the chances that classes are drawn with."""
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(count, classes))
    chances = special.softmax(logits, axis=1)
    actual = (chances.cumsum(1) < generator.random((count, 1))).sum(1)
    return temperature * logits, actual


def label_items(temperature, count=3000):
    generator = np.random.default_rng(0)
    logits = 2 * generator.normal(size=(count, 3)) - 1
    return temperature * logits, generator.random(logits.shape) < special.expit(logits)


def class_loss(temperature, logits, actual):
    chances = special.log_softmax(logits / temperature, axis=1)
    return -chances[np.arange(len(actual)), actual].mean()


def label_loss(temperature, logits, actual):
    signed = np.where(actual, logits, -logits) / temperature
    return -special.log_expit(signed).mean()


SCALES = [1e-4, 0.3, 1, 2.5, 1e4]


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    ("items", "loss", "independent"),
    [(class_items, class_loss, False), (label_items, label_loss, True)],
)
def test_the_log_loss_is_the_least(items, loss, independent, scale):
    logits, actual = items(scale)
    found = Temperature.fit(logits, actual, independent=independent)
    bounds = math.log(scale / 5), math.log(scale * 5)
    best = optimize.minimize_scalar(
        lambda t: loss(math.exp(t), logits, actual), bounds=bounds, method="bounded"
    )
    assert found.value == pytest.approx(math.exp(best.x), rel=2e-3)
    assert loss(found.value, logits, actual) == pytest.approx(best.fun, abs=1e-6)
    assert found.value == pytest.approx(scale, rel=0.1)


@pytest.mark.parametrize("scale", SCALES)
def test_probabilities_become_calibrated(scale):
    logits, actual = class_items(scale)
    chances = Temperature.fit(logits, actual).apply(logits)
    assert reliability(chances.max(1), chances.argmax(1) == actual).ece < 0.02
    assert chances.argmax(1).tolist() == logits.argmax(1).tolist()


@pytest.mark.parametrize("scale", [1e-4, 1, 1e4])
@pytest.mark.parametrize("count", [1, 2, 1000])
@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("right", [False, True])
def test_items_that_are_all_right_or_all_wrong(right, independent, count, scale):
    logits = np.tile([[scale, -scale, -2 * scale]], (count, 1))
    actual = np.tile([[1, 0, 0]], (count, 1)) if right else np.tile([[0, 1, 1]], (count, 1))
    if not independent:
        actual = np.zeros(count, int) if right else np.full(count, 2)
    found = Temperature.fit(logits, actual, independent=independent)
    assert 0 < found.value < math.inf
    chances = found.apply(logits)
    assert np.isfinite(chances).all()
    assert ((chances > 0) | (scale == 1e4)).all()
    assert (found.value <= 1.0001) if right else (found.value >= 0.9999)


def test_items_that_are_all_right_do_not_make_it_certain():
    """Of one item nearly nothing is learnt; of many, more."""
    few = Temperature.fit([[2.0, 0.0]], [0])
    many = Temperature.fit([[2.0, 0.0]] * 1000, [0] * 1000)
    assert 0.8 < few.value < 1
    assert 0.1 < many.value < few.value
    assert many.apply([2.0, 0.0])[0] == pytest.approx(0.999, abs=0.001)


def test_logits_that_tell_nothing_keep_the_temperature():
    assert Temperature.fit([[3.0, 3.0]] * 9, [0, 1, 1] * 3).value == pytest.approx(1, abs=1e-6)
    alone = Temperature.fit([[3.0]], [0])
    assert alone.value == pytest.approx(1, abs=1e-6)
    assert alone.apply([[3.0]]).tolist() == [[1]]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.floats(-1e5, 1e5)] * 3, st.integers(0, 2)), min_size=1, max_size=8),
    st.booleans(),
)
def test_any_logits_give_a_temperature_that_is_no_worse(rows, independent):
    logits = np.array([row[:3] for row in rows])
    actual = np.array([row[3] for row in rows])
    labels = np.eye(3, dtype=int)[actual] if independent else actual
    found = Temperature.fit(logits, labels, independent=independent)
    assert 0 < found.value < math.inf
    loss = label_loss if independent else class_loss
    assert loss(found.value, logits, labels) <= loss(1, logits, labels) * (1 + 1e-6) + 1e-6


def test_probabilities_keep_the_shape_of_logits():
    logits = np.random.default_rng(0).normal(size=(4, 3, 2))
    assert Temperature(2.0).apply(logits) == pytest.approx(special.softmax(logits / 2, axis=-1))
    labels = Temperature(2.0, independent=True)
    assert labels.apply(logits) == pytest.approx(special.expit(logits / 2))
    assert labels.apply([-1e9, 1e9]).tolist() == [0, 1]
    assert Temperature(1e-4).apply([1e9, 0, -1e9]).tolist() == [1, 0, 0]


def test_fields_are_json():
    found = Temperature.fit([[1.0, 0.0]], [[1, 0]], independent=True)
    assert Temperature(**json.loads(json.dumps(dataclasses.asdict(found)))) == found


@pytest.mark.parametrize(
    ("logits", "actual", "independent", "message"),
    [
        ([1.0], [0], False, r"logits \(1,\); give finite numbers \(N, K\)"),
        ([[math.nan, 0]], [0], False, r"logits \(1, 2\); give finite"),
        ([[1.0, 0]], [0, 1], False, r"logits \(1, 2\) and actual \(2,\)"),
        ([[1.0, 0]], [2], False, "The class of item 0 is 2"),
        ([[1.0, 0]], [1], True, r"logits \(1, 2\) and actual \(1,\); give both as \(N, K\)"),
        ([[1.0, 0]], [[1, 2]], True, "each actual label as 0 or 1"),
    ],
)
def test_wrong_items(logits, actual, independent, message):
    with pytest.raises(DataError, match=message):
        Temperature.fit(logits, actual, independent=independent)


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan])
def test_a_temperature_is_finite_and_above_0(value):
    with pytest.raises(ConfigError, match="it is finite and above 0"):
        Temperature(value)
