"""Quantiles that follow the truths: what they know, what they ignore, where they end."""

import numpy as np
import pytest
from forecast_toys import table, tiny

from weft.errors import ConfigError
from weft.tasks.forecast.adapt import adapted
from weft.tasks.forecast.windows import Origins

LEVELS = (0.1, 0.5, 0.9)


def rolling(windows, horizon=2, series=1, step=1):
    """Quantiles -1, 0, 1 from every origin."""
    known = np.tile(10 + step * np.arange(windows), series)
    origins = Origins(np.repeat(np.arange(series), windows), known)
    return np.tile([-1.0, 0.0, 1.0], (windows * series, horizon, 1)), origins


def test_quantiles_end_where_their_share_lies_below():
    quantiles, origins = rolling(4000)
    truth = 3 + 0.5 * np.random.default_rng(0).normal(size=(4000, 2))
    found = adapted(quantiles, truth, origins, LEVELS, 0.05)
    below = (truth[..., None] <= found)[500:].mean((0, 1))
    np.testing.assert_allclose(below, LEVELS, atol=0.01)


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_truth_counts_from_the_first_origin_that_knows_it(step):
    quantiles, origins = rolling(8, horizon=3, step=step)
    truth = np.zeros((8, 3))
    first = adapted(quantiles, truth, origins, LEVELS, 0.1)
    for window in range(8):
        for ahead in range(3):
            other = truth.copy()
            other[window, ahead] = 5.0
            changed = (adapted(quantiles, other, origins, LEVELS, 0.1) != first).any(-1)
            knows = origins.known > origins.known[window] + ahead
            assert not changed[~knows].any()
            assert changed[knows, ahead].all()
            assert not np.delete(changed, ahead, axis=1).any()


def test_series_do_not_move_one_another():
    quantiles, origins = rolling(20, series=2)
    truth = np.zeros((40, 2))
    truth[20:] = 5.0
    alone = adapted(quantiles[:20], truth[:20], Origins(*(p[:20] for p in origins)), LEVELS, 0.1)
    both = adapted(quantiles, truth, origins, LEVELS, 0.1)
    np.testing.assert_array_equal(both[:20], alone)
    assert (both[20:][10:, :, 1:] > alone[10:, :, 1:]).all()


def test_missing_truths_move_nothing():
    quantiles, origins = rolling(20)
    truth = np.full((20, 2), np.nan)
    np.testing.assert_array_equal(adapted(quantiles, truth, origins, LEVELS, 0.1), quantiles)


def test_evaluating_with_a_rate_changes_later_windows_alone():
    frame = table(gaps=False)
    model = tiny(model="direct").fit(frame)
    still, moved = (model.evaluate(frame, windows=5, step=4, adapt=a) for a in (0.0, 0.2))
    first = np.diff(still.origins.series, prepend=-1) > 0
    quantiles = [found.predicted.quantiles for found in (still, moved)]
    np.testing.assert_array_equal(quantiles[0][first], quantiles[1][first])
    assert not np.array_equal(quantiles[0], quantiles[1])
    with pytest.raises(ConfigError, match=r"adapt = 1\.5"):
        model.evaluate(frame, adapt=1.5)
