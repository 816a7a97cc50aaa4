"""Anomaly scores of observations, by the values before each alone."""

import numpy as np
import pandas
import pytest
import torch
from forecast_helpers.toys import (
    HORIZON,
    MODELS,
    ahead_of,
    no_compiling,
    one,
    table,
    tiny,
    wave,
    with_covariates,
)

from recurra.tasks.forecast.online.anomaly import normal_scores

LEVELS = (0.025, 0.1, 0.5, 0.9, 0.975)
NORMAL = torch.special.ndtri(torch.tensor(LEVELS, dtype=torch.double)).numpy()
TABLE = table((60, 50))


@pytest.fixture(autouse=True, scope="module")
def _interpreted():
    with no_compiling():
        yield


@pytest.fixture(scope="module")
def trained():
    return tiny(model="direct", max_steps=60, learning_rate=0.02).fit(TABLE)


def test_scores_of_a_normal_forecast_are_deviations_from_its_mean():
    actual = np.array([-4.0, -1.0, 0.0, 0.3, 1.96, 5.0])
    quantiles = np.tile(3 + 2 * NORMAL, (6, 1))
    np.testing.assert_allclose(normal_scores(quantiles, LEVELS, 3 + 2 * actual), actual, atol=1e-9)


def test_scores_at_the_quantiles_of_any_forecast_are_those_of_their_levels():
    quantiles = np.tile([1.0, 1.5, 7.0, 7.5, 20.0], (5, 1))
    np.testing.assert_allclose(normal_scores(quantiles, LEVELS, quantiles[0]), NORMAL)


def test_scores_beside_a_certain_forecast_end_somewhere():
    certain = np.full((4, 5), 2.0)
    found = normal_scores(certain, LEVELS, np.array([2.0, 2.1, 1.9, np.nan]))
    np.testing.assert_array_equal(found, [0, 40, -40, np.nan])


def test_every_observation_but_the_first_has_a_row(trained):
    found = trained.anomalies()
    assert len(found) == 59 + 49
    names = [
        "unique_id",
        "ds",
        "y",
        "recurra",
        "recurra-lo-80",
        "recurra-hi-80",
        "recurra-lo-95",
        "recurra-hi-95",
    ]
    assert sorted(found.columns) == sorted([*names, "score"])
    joined = found.merge(TABLE, on=["unique_id", "ds"], suffixes=("", "_given"))
    pandas.testing.assert_series_equal(joined.y, joined.y_given, check_names=False)
    assert (found.score.isna() == found.y.isna()).all()


def test_the_last_ones_are_the_end_of_all(trained):
    found = trained.anomalies().groupby("unique_id").tail(5).reset_index(drop=True)
    pandas.testing.assert_frame_equal(trained.anomalies(last=5), found, rtol=1e-5)


def test_a_planted_outlier_stands_out(trained):
    values = wave(40)
    values[30] += 6
    found = trained.anomalies(one("a", values), last=20)
    assert found.score.to_numpy().argmax() == 10
    assert found.score[10] > 4 > 3 > found.score.median()


def test_each_was_forecast_by_what_came_before_it(trained):
    found = trained.anomalies(last=3)
    for back in (3, 1):
        then = trained.predict(
            pandas.concat(part.iloc[: len(part) - back] for _, part in TABLE.groupby("unique_id")),
            horizon=1,
        )
        row = found.groupby("unique_id").nth(3 - back)
        np.testing.assert_allclose(row.recurra, then.recurra, rtol=1e-5)
        np.testing.assert_allclose(row["recurra-hi-95"], then["recurra-hi-95"], rtol=1e-5)
        assert row.ds.tolist() == then.ds.tolist()


@pytest.mark.parametrize("model", MODELS)
def test_where_the_table_ends_future_covariates_stay_as_they_were(model):
    frame = with_covariates(TABLE)
    forecaster = tiny(model=model, future="price", max_steps=20, learning_rate=0.02).fit(frame)
    found = forecaster.anomalies(last=2)
    parts = [part for _, part in frame.groupby("unique_id")]
    for back in (2, 1):
        then = pandas.concat(part.iloc[: len(part) - back] for part in parts)
        held = ahead_of(then)
        held["price"] = np.concatenate(
            [np.pad(part.price.to_numpy()[-back:], (0, HORIZON - back), "edge") for part in parts]
        )
        wanted = forecaster.predict(then, future=held, horizon=1)
        row = found.groupby("unique_id").nth(2 - back)
        np.testing.assert_allclose(row["recurra-hi-95"], wanted["recurra-hi-95"], rtol=1e-5)


def test_nothing_later_changes_a_score(trained):
    changed = TABLE.assign(y=TABLE.y.where(TABLE.groupby("unique_id").cumcount() < 45, 1e3))
    before, after = (trained.anomalies(frame) for frame in (TABLE, changed))
    early = before.groupby("unique_id").cumcount() < 44
    np.testing.assert_array_equal(before.score[early], after.score[early])
    assert (before.score[~early].dropna() < after.score[~early][before.score.notna()]).any()


def test_the_second_observation_is_not_judged_by_a_certain_forecast(trained):
    assert trained.anomalies().groupby("unique_id").first().score.max() < 40


def test_what_departs_from_a_constant_has_the_highest_score():
    with pytest.warns(UserWarning, match="constant"):
        model = tiny(model="direct").fit(pandas.concat([TABLE, one("c", [5.0] * 40)]))
    found = model.anomalies(one("c", [5.0] * 30 + [5.1]), last=2)
    assert found.score.tolist() == [0, 40]
