"""Figures of a label at each step against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from recurra.errors import DataError
from recurra.metrics.step_scores import step_scores


def drawn(seed=0):
    generator = np.random.default_rng(seed)
    actual = [generator.integers(0, 4, generator.integers(1, 30)) for _ in range(25)]
    noise = [generator.integers(0, 4, len(own)) for own in actual]
    chosen = [generator.random(len(own)) < 0.85 for own in actual]
    return actual, [np.where(*each) for each in zip(chosen, actual, noise, strict=True)]


def test_figures_are_those_of_scikit_learn():
    actual, predicted = drawn()
    flat = np.concatenate(actual), np.concatenate(predicted)
    scores = step_scores(actual, predicted, 4, background=2)
    assert scores.accuracy == pytest.approx(metrics.accuracy_score(*flat))
    assert scores.confusion.tolist() == metrics.confusion_matrix(*flat).tolist()
    each = metrics.f1_score(*flat, average=None)
    assert [one.f1 for one in scores.labels] == pytest.approx(each)
    rest = {"labels": [0, 1, 3]}
    assert scores.macro_f1 == pytest.approx(metrics.f1_score(*flat, **rest, average="macro"))
    wanted = metrics.precision_recall_fscore_support(*flat, **rest, average="micro")
    assert scores.foreground[:3] == pytest.approx(wanted[:3])
    assert scores.foreground.support == (flat[0] != 2).sum()
    equal = [(a == b).all() for a, b in zip(actual, predicted, strict=True)]
    assert scores.exact == pytest.approx(np.mean(equal))
    low, high = scores.interval(np.random.default_rng(0))
    assert low < scores.accuracy < high


def test_without_a_background_the_foreground_is_all():
    actual, predicted = drawn()
    scores = step_scores(actual, predicted, 5)
    assert scores.foreground.f1 == pytest.approx(scores.accuracy)
    assert np.isnan(scores.labels[4].f1)


@pytest.mark.parametrize(
    ("actual", "predicted", "message"),
    [
        ([[0, 1], [1]], [[0, 1], [1, 1]], "Sequence 1 has 1 actual labels and 2 predicted"),
        ([[0]], [], "1 sequences of actual labels and 0 of predicted"),
        ([], [], "at least one"),
        ([[0, 2]], [[0, 1]], "The class of item 1 is 2; 2 classes"),
    ],
)
def test_what_doesnt_fit_is_named(actual, predicted, message):
    with pytest.raises(DataError, match=message):
        step_scores(actual, predicted, 2)
