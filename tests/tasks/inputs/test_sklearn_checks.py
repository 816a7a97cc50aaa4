"""scikit-learn's own checks of estimators: all pass but those that are told here, with reasons."""

import numpy as np
import pytest
from classify_helpers import examples, small

from recurra import Classifier, Regressor, Tagger
from recurra.errors import DataError, RecurraWarning, RunError

pytest.importorskip("sklearn")

PUBLIC = "config, results and run are public, as of every estimator here, and change by training"
LENGTHS = "an array (N, T) holds N series of one channel, and a series may have any length"
FRAMES = "a data frame has a row for each step of the sequences, not one for each sequence"
BRIEF = "the tests train for two steps"

EXPECTED = {
    "check_no_attributes_set_in_init": PUBLIC,
    "check_dont_overwrite_parameters": PUBLIC,
    "check_do_not_raise_errors_in_init_or_set_params": "a wrong setting is refused at once",
    "check_n_features_in": LENGTHS,
    "check_n_features_in_after_fitting": LENGTHS,
    "check_sample_weights_pandas_series": FRAMES,
    "check_sample_weight_equivalence_on_dense_data": "a repeated item has another place in batches "
    "and another part in what is held out",
    "check_estimators_empty_data_messages": "the empty sequence is told in other words",
}
OF_CLASSIFIER = {
    "check_classifier_data_not_an_array": FRAMES,
    "check_classifiers_train": BRIEF,
    "check_supervised_y_2d": "a column of labels is told by a RecurraWarning",
}
OF_REGRESSOR = {
    "check_regressor_data_not_an_array": FRAMES,
    "check_regressors_train": BRIEF,
    "check_fit2d_1feature": "that check's labels are all the same",
}
TINY = {"hidden": 4, "channels": 2, "max_steps": 2, "watch_every": 0}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("estimator", "more"),
    [
        (Classifier, OF_CLASSIFIER),
        pytest.param(Regressor, OF_REGRESSOR, marks=pytest.mark.slow),
    ],
)
def test_all_checks_pass_but_those_expected(estimator, more, monkeypatch):
    from sklearn.utils.estimator_checks import check_estimator

    monkeypatch.setenv("RECURRA_ENGINE", "interp")
    expected = {**EXPECTED, **more}
    results = check_estimator(
        estimator(**TINY), on_fail=None, on_skip=None, expected_failed_checks=expected
    )
    by_status = {}
    for result in results:
        by_status.setdefault(result["status"], set()).add(result["check_name"])
    assert by_status.get("failed", set()) == set()
    assert by_status["xfail"] == expected.keys()
    assert len(by_status["passed"]) > 40


def test_a_model_without_training_raises_scikit_learns_error_too():
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError, match=r"call fit, or Classifier\.load") as raised:
        Classifier().predict([np.zeros(3)])
    assert isinstance(raised.value, RunError)


@pytest.mark.filterwarnings("ignore")
def test_a_tagger_is_copied_searched_and_checked_by_what_a_tag_for_each_step_allows():
    from sklearn.exceptions import NotFittedError
    from sklearn.model_selection import GridSearchCV
    from sklearn.utils import estimator_checks

    model = Tagger(**TINY)
    for check in ("check_estimator_cloneable", "check_get_params_invariance", "check_set_params"):
        getattr(estimator_checks, check)("Tagger", model)
    texts, tags = [["the", "cat", "sleeps"], ["a", "dog"]] * 10, [["D", "N", "V"], ["D", "N"]] * 10
    found = GridSearchCV(model, {"hidden": [2, 4]}, cv=2).fit(texts, tags)
    assert len(found.predict(texts[:2])[0]) == 3
    with pytest.raises(NotFittedError, match=r"Tagger\.load"):
        model.predict(texts)


def test_rows_of_an_array_are_series_of_one_channel():
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(40, 9)) + np.arange(40)[:, None] % 2
    model = Classifier(**TINY).fit(rows, np.arange(40) % 2)
    assert model.n_features_in_ == 1
    assert model.predict(rows).shape == (40,)
    np.testing.assert_array_equal(model.predict(list(rows)), model.predict(rows))
    channels = small("series", max_steps=2).fit(*examples("series", 30))
    assert channels.n_features_in_ == 2
    texts = small("text", max_steps=2).fit(*examples("text", 30))
    assert not hasattr(texts, "n_features_in_")


@pytest.mark.parametrize(
    ("data", "labels", "part"),
    [
        (np.zeros(8), ["a", "b", "a"], "Reshape your data"),
        (np.zeros((8, 3)), None, "given without labels"),
        (np.zeros((8, 3)), np.arange(8) / 8, "continuous numbers, such as 0.125"),
    ],
)
def test_arrays_that_cannot_be_are_told(data, labels, part):
    with pytest.raises(DataError, match=part):
        Classifier(**TINY).fit(data, labels)


def test_frames_and_sparse_matrices_are_told_apart():
    pandas, sparse = pytest.importorskip("pandas"), pytest.importorskip("scipy.sparse")
    with pytest.raises(DataError, match=r"frame.to_numpy\(\)"):
        Classifier(**TINY).fit(pandas.DataFrame(np.zeros((8, 3))), ["a", "b"] * 4)
    with pytest.raises(DataError, match=r"sparse matrix.*toarray"):
        Classifier(**TINY).fit(sparse.csr_matrix(np.zeros((8, 3))), ["a", "b"] * 4)
    with pytest.raises(DataError, match=r"sparse matrix.*toarray"):
        Tagger(**TINY).fit(sparse.csr_matrix(np.zeros((8, 3))), ["a", "b"] * 4)


def test_a_column_of_labels_is_taken_as_what_it_is():
    contents, labels = examples("series", 30)
    with pytest.warns(RecurraWarning, match=r"shape \(30, 1\), taken as \(30,\)"):
        model = small("series", max_steps=2).fit(contents, np.array(labels)[:, None])
    assert model.classes_.tolist() == ["fast", "mixed", "slow"]
