"""Figures of items with several labels: against scikit-learn, and what is undefined."""

import math

import numpy as np
import pytest
import sklearn.metrics as oracle

from recurra.errors import ConfigError, DataError
from recurra.metrics.multilabel import label_scores


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("threshold", [0.5, 0.3, [0.2, 0.5, 0.9]])
def test_figures_are_those_of_scikit_learn(threshold, weighted):
    generator = np.random.default_rng(0)
    actual = generator.random((40, 3)) < [0.1, 0.5, 0.8]
    chances = np.clip(0.5 * actual + generator.random((40, 3)) * 0.7, 0, 1)
    weights = generator.integers(0, 4, 40) / 2 if weighted else None
    found = label_scores(chances, actual, threshold=threshold, weights=weights)
    predicted, rest = chances >= threshold, {"sample_weight": weights, "zero_division": np.nan}
    each = oracle.precision_recall_fscore_support(actual, predicted, **rest)
    np.testing.assert_allclose(np.transpose(found.labels), each)
    expected = {
        "micro_f1": oracle.f1_score(actual, predicted, average="micro", **rest),
        "macro_f1": oracle.f1_score(actual, predicted, average="macro", **rest),
        "exact": oracle.accuracy_score(actual, predicted, sample_weight=weights),
        "hamming": oracle.hamming_loss(actual, predicted, sample_weight=weights),
    }
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected)


def test_a_label_that_is_nowhere_is_left_out_of_the_mean():
    found = label_scores([[0.9, 0.1], [0.9, 0.2]], [[1, 0], [0, 0]])
    np.testing.assert_equal(found.labels[1], (math.nan, math.nan, math.nan, 0))
    assert found.macro_f1 == pytest.approx(2 / 3)
    nothing = label_scores([[0.1]], [[0]])
    assert math.isnan(nothing.micro_f1)
    assert math.isnan(nothing.macro_f1)
    assert (nothing.exact, nothing.hamming) == (1, 0)


def test_a_label_is_predicted_from_the_threshold_on():
    assert label_scores([[0.5]], [[1]]).exact == 1
    assert label_scores([[0.49]], [[1]]).exact == 0


def test_probabilities_of_labels_need_not_sum_to_1():
    assert label_scores([[0.9, 0.9, 0.9]], [[1, 1, 1]]).micro_f1 == 1


def test_wrong_labels():
    for actual, message in (
        ([1], r"probabilities \(1, 2\) and actual \(1,\)"),
        ([[1, 2]], "An actual label is 2; it is 0 or 1"),
        ([[1, math.nan]], "An actual label is nan"),
    ):
        with pytest.raises(DataError, match=message):
            label_scores([[0.5, 0.5]], actual)
    with pytest.raises(DataError, match=r"class 1 of item 0 is 1\.5"):
        label_scores([[0.5, 1.5]], [[0, 1]])
    for threshold in ([0.5] * 3, math.nan):
        with pytest.raises(ConfigError, match="it is one number, or 2, one a label"):
            label_scores([[0.5, 0.5]], [[0, 1]], threshold=threshold)
