"""Figures of classifiers: against scikit-learn, literal values, and what is undefined."""

import math

import numpy as np
import pytest
import sklearn.metrics as oracle
from hypothesis import given, settings
from hypothesis import strategies as st

from recurra.errors import ConfigError, DataError
from recurra.metrics.classification import (
    classification_scores,
    confused_pairs,
    confusion_matrix,
)


def items(seed, count=60, classes=4, weighted=False):
    """Probabilities that are right more often than not, of classes that all occur."""
    generator = np.random.default_rng(seed)
    actual = np.concatenate([np.arange(classes), generator.integers(classes, size=count)])
    logits = generator.normal(size=(len(actual), classes)) + np.eye(classes)[actual]
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    weights = generator.integers(0, 4, len(actual)) / 2 if weighted else None
    return chances, actual, weights


CASES = [(0, 4, False), (1, 4, True), (2, 2, False), (3, 7, True)]


@pytest.fixture(params=CASES, ids=str)
def case(request):
    seed, classes, weighted = request.param
    return items(seed, classes=classes, weighted=weighted)


def test_figures_are_those_of_scikit_learn(case):
    chances, actual, weights = case
    found = classification_scores(chances, actual, weights=weights)
    predicted, rest = chances.argmax(1), {"sample_weight": weights}
    expected = {
        "accuracy": oracle.accuracy_score(actual, predicted, **rest),
        "balanced_accuracy": oracle.balanced_accuracy_score(actual, predicted, **rest),
        "macro_f1": oracle.f1_score(actual, predicted, average="macro", **rest),
        "weighted_f1": oracle.f1_score(actual, predicted, average="weighted", **rest),
        "log_loss": oracle.log_loss(actual, chances, **rest),
        "brier": oracle.brier_score_loss(
            actual, chances, labels=range(chances.shape[1]), scale_by_half=False, **rest
        ),
        "kappa": oracle.cohen_kappa_score(actual, predicted, **rest),
        "matthews": oracle.matthews_corrcoef(actual, predicted, **rest),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)
    np.testing.assert_allclose(found.confusion, oracle.confusion_matrix(actual, predicted, **rest))


def test_classes_are_those_of_scikit_learn(case):
    chances, actual, weights = case
    found = classification_scores(chances, actual, weights=weights).classes
    expected = oracle.precision_recall_fscore_support(
        actual, chances.argmax(1), sample_weight=weights, zero_division=np.nan
    )
    np.testing.assert_allclose(np.transpose(found), expected)


@pytest.mark.parametrize("k", [1, 2, 3])
def test_top_k_is_that_of_scikit_learn(k):
    chances, actual, weights = items(1, weighted=True)
    found = classification_scores(chances, actual, weights=weights, top=[k, 9]).top
    expected = oracle.top_k_accuracy_score(actual, chances, k=k, sample_weight=weights)
    assert found == {k: pytest.approx(expected)}


def test_of_equal_probabilities_the_first_is_predicted_and_first_of_the_top():
    found = classification_scores([[1 / 3] * 3] * 3, [0, 1, 2], top=[1, 2, 3])
    assert found.top == pytest.approx({1: 1 / 3, 2: 2 / 3, 3: 1})
    assert found.accuracy == pytest.approx(1 / 3)


def test_what_is_undefined_is_nan_and_left_out_of_means():
    """Class 2 is never predicted, class 3 never actual, class 4 neither."""
    found = classification_scores(np.eye(5)[[0, 0, 3, 0]], [0, 0, 1, 2])
    precision, recall, f1, support = np.transpose(found.classes)
    nan = math.nan
    np.testing.assert_equal(precision, [2 / 3, nan, nan, 0, nan])
    np.testing.assert_equal(recall, [1, 0, 0, nan, nan])
    np.testing.assert_equal(f1, [0.8, 0, 0, 0, nan])
    np.testing.assert_equal(support, [2, 1, 1, 0, 0])
    assert found.balanced_accuracy == pytest.approx(1 / 3)
    assert found.macro_f1 == pytest.approx(0.8 / 4)
    assert found.weighted_f1 == pytest.approx(0.4)


def test_agreement_by_chance_alone_is_undefined():
    alone = classification_scores([[1, 0], [1, 0]], [0, 0])
    assert math.isnan(alone.kappa)
    assert math.isnan(alone.matthews)
    assert (alone.accuracy, alone.log_loss, alone.brier) == (1, 0, 0)
    wrong = classification_scores([[1, 0], [1, 0]], [1, 1])
    assert wrong.kappa == 0
    assert math.isnan(wrong.matthews)
    assert (wrong.brier, wrong.log_loss) == (2, pytest.approx(36.04, abs=0.01))


@settings(max_examples=50)
@given(st.lists(st.tuples(*[st.integers(0, 3)] * 2, st.integers(1, 3)), min_size=1, max_size=20))
def test_a_weight_is_that_many_items(rows):
    actual, predicted, weights = map(np.array, zip(*rows, strict=True))
    chances = 0.9 * np.eye(4)[predicted] + 0.025
    weighted = classification_scores(chances, actual, weights=weights, top=[2])
    repeated = classification_scores(
        np.repeat(chances, weights, 0), np.repeat(actual, weights), top=[2]
    )
    for name, value in vars(repeated).items():
        if name == "top":
            assert weighted.top == pytest.approx(value)
        else:
            np.testing.assert_allclose(getattr(weighted, name), value, err_msg=name)


def test_rounding_of_16_bits_is_no_error():
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(50, 30)).astype(np.float16)
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    chances[0] = 0
    chances[0, 3] = 1 + 1e-6
    assert 0 <= classification_scores(chances, np.arange(50) % 30).accuracy <= 1


def test_pairs_are_the_confusions_by_count():
    confusion = np.array([[5, 2, 0], [2, 1, 0], [3, 0, 9]])
    found = confused_pairs(confusion)
    assert [(one.actual, one.predicted, one.items) for one in found] == [
        (2, 0, 3),
        (1, 0, 2),
        (0, 1, 2),
    ]
    assert [one.share for one in found] == pytest.approx([3 / 12, 2 / 3, 2 / 7])
    assert confused_pairs(confusion, n=1) == found[:1]
    assert confused_pairs(np.diag([3, 4])) == []


WRONG = [
    ([0.5, 0.5], [0, 1], r"probabilities \(2,\); give them as \(N, K\)"),
    ([[]], [], r"probabilities \(1, 0\)"),
    ([[0.5, 0.2]], [0], r"The probabilities of item 0 sum to 0\.7; they sum to 1"),
    ([[1, 0], [2, -1]], [0, 1], "class 0 of item 1 is 2; it is from 0 to 1"),
    ([[math.nan, 1]], [0], "class 0 of item 0 is nan"),
    ([[1, 0]], [2], "The class of item 0 is 2; 2 classes are 0 to 1"),
    ([[1, 0]], [-1], "The class of item 0 is -1"),
    ([[1, 0]], [0.0], "of dtype float64; give whole numbers"),
    ([[1, 0]], [0, 1], r"probabilities \(1, 2\) and actual \(2,\)"),
]


@pytest.mark.parametrize(("chances", "actual", "message"), WRONG)
def test_wrong_items(chances, actual, message):
    with pytest.raises(DataError, match=message):
        classification_scores(chances, actual)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1], r"weights \(1,\) for 2 items"),
        ([0, 0], "not all 0"),
        ([1, -1], "Weights are finite, 0 or more"),
        ([1, math.inf], "Weights are finite"),
    ],
)
def test_wrong_weights(weights, message):
    with pytest.raises(DataError, match=message):
        classification_scores([[1, 0], [0, 1]], [0, 1], weights=weights)


def test_wrong_settings():
    with pytest.raises(ConfigError, match=r"top = \(0,\); each is 1 or more"):
        classification_scores([[1, 0]], [0], top=[0])
    with pytest.raises(DataError, match="2 actual classes and 1 predicted ones"):
        confusion_matrix([0, 1], [0], 2)
