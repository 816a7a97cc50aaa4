"""A series says what it can't be; labels as texts; pictures of any series."""

import numpy as np
import pytest

from recurra.data.sequences.series import Series, label_text
from recurra.data.sequences.series_picture import drawn_series
from recurra.data.transcripts.item import Item
from recurra.data.transcripts.item_sources import digest_items
from recurra.errors import DataError

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "more", "message"),
    [
        ([], {}, r"has 0 steps of 1 channels; give at least one"),
        (np.zeros((3, 0)), {}, "has 3 steps of 0 channels"),
        (np.zeros((1, 2, 3)), {}, r"of shape \(1, 2, 3\); give float32 \(steps, channels\)"),
        ([[1.0, 2.0], [3.0, np.inf]], {}, "step 2 of 'channel 2' is inf; values are finite"),
        ([1e39], {}, r"step 1 of 'channel 1' is 1e\+39; .* of 32 bits"),
        ([NAN, NAN], {}, "all its values are missing"),
        ([1.0, 2.0], {"times": [0.0]}, r"has 2 steps, and times are float64 of shape \(1,\)"),
        ([1.0, 2.0], {"times": [0.0, NAN]}, "step 2 has the time nan; times are finite"),
        ([1.0, 2.0], {"times": [3.0, 3.0]}, "step 2 has the time 3, and the step before it 3;"),
        ([1.0, 2.0], {"times": [3.0, 2.5]}, "step 2 has the time 2.5, and the step before it 3;"),
        ([1.0], {"labels": ["a", "b"]}, "has 1 steps and 2 labels"),
        ([[1.0, 2.0]], {"channels": ["x", "x"]}, "has 2 channels, and their names are x, x"),
    ],
)
def test_what_a_series_cannot_be(values, more, message):
    with pytest.raises(DataError, match=message):
        Series.of(values, **more)


def test_a_series_of_one_value_and_of_many():
    assert Series.of([5]).values.tolist() == [[5]]
    assert len(Series.of(np.zeros((100_000, 2)))) == 100_000
    assert Series.of([[1.0, NAN]]).has_missing
    assert not Series.of([[1.0, 2.0]]).has_missing


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int64(3), "3"),
        (np.float64(3), "3"),
        (0.25, "0.25"),
        (-0.0, "0"),
        (1e300, "1e+300"),
        (True, "True"),
        ("3.0", "3.0"),
        (" a  b ", "a b"),
        ("", None),
        ("?", None),
        (None, None),
        (NAN, None),
    ],
)
def test_labels_as_texts(value, text):
    assert label_text(value) == text


def test_items_of_other_values_have_another_digest():
    """Of long series as well, of which numpy shows only the ends."""

    def digest(values, **more):
        return digest_items([Item("a", "series", "x", data=Series.of(values, **more))])

    values = np.zeros((5000, 2))
    other = values.copy()
    other[2500, 1] = 1
    digests = [digest(values), digest(other), digest(values, times=np.arange(5000))]
    assert len({*digests, digest(values, channels=("a", "b"))}) == 4
    assert digest(values.copy()) == digests[0]


@pytest.mark.parametrize("scale", [1e-4, 1, 1e4])
def test_pictures_have_the_course_of_the_values(scale):
    rising = drawn_series(Series.of(scale * np.linspace(0, 1, 50)))
    rows, columns = np.nonzero(rising == 0)
    assert np.corrcoef(rows, columns)[0, 1] < -0.98
    falling = drawn_series(Series.of(-scale * np.linspace(0, 1, 50)))
    rows, columns = np.nonzero(falling == 0)
    assert np.corrcoef(rows, columns)[0, 1] > 0.98


@pytest.mark.parametrize("steps", [1, 2, 3, 601, 100_000])
def test_pictures_of_any_length(steps):
    values = np.sin(np.arange(steps * 2.0)).reshape(steps, 2)
    values[steps // 3, 0] = np.nan
    picture = drawn_series(Series.of(np.where(steps == 1, 1.0, values)))
    assert picture.shape[0] == 80
    assert picture.shape[1] <= 600
    assert (picture[:40] == 0).any()
    assert (picture[40:] == 0).any()


def test_pictures_leave_gaps_and_draw_the_first_eight_channels():
    values = np.zeros((30, 10))
    values[10:20] = np.nan
    picture = drawn_series(Series.of(values))
    assert picture.shape == (8 * 40, 120)
    assert (picture[:, 45:75] == 1).all()
    assert (picture[:40, 5:35] == 0).any(axis=0).all()
