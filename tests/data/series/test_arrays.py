"""Series from arrays: the same as from the table that says the same."""

import numpy as np
import pandas
import pytest

from recurra.data.series.read import read_panel
from recurra.data.tables.columns import TableColumns
from recurra.errors import DataError

FIRST, SECOND = np.array([1.0, np.nan, 3.0]), np.array([4.0, 5.0, 6.0])


def table(*series):
    frames = [
        pandas.DataFrame({"unique_id": n, "ds": np.arange(1, len(y) + 1), "y": y})
        for n, y in enumerate(series)
    ]
    return pandas.concat(frames)


@pytest.mark.parametrize(
    ("arrays", "series"),
    [
        (FIRST, [FIRST]),
        ([1, 2, 3], [[1.0, 2.0, 3.0]]),
        (np.stack([FIRST, SECOND]), [FIRST, SECOND]),
        ([FIRST, SECOND[:2]], [FIRST, SECOND[:2]]),
    ],
)
def test_arrays_are_series_at_whole_steps(arrays, series):
    found, expected = (read_panel(s, TableColumns()) for s in (arrays, table(*series)))
    assert found.ids.tolist() == expected.ids.tolist() == list(range(len(series)))
    np.testing.assert_array_equal(found.y, expected.y)
    np.testing.assert_array_equal(found.offsets, expected.offsets)
    np.testing.assert_array_equal(found.starts, expected.starts)


@pytest.mark.parametrize(
    ("arrays", "layout", "message"),
    [
        (np.zeros((2, 2, 2)), "long", "An array has 3 axes"),
        ([["a", "b"]], "long", "is not of numbers.*'a'"),
        (FIRST, "wide", "layout = 'wide': arrays have no columns"),
    ],
)
def test_arrays_that_are_not_series_are_refused(arrays, layout, message):
    with pytest.raises(DataError, match=message):
        read_panel(arrays, TableColumns(layout=layout))
