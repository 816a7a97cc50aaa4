"""Columns and arrays in memory: lists of sequences, or one recording with a label for each step."""

import numpy as np
import pandas
import polars
import pytest

from recurra import Classifier, Regressor
from recurra.data.sequences.held_out_ends import hold_out_ends
from recurra.data.sequences.series import Series
from recurra.data.transcripts.item import Item
from recurra.errors import DataError

pytestmark = pytest.mark.filterwarnings("ignore:.*:recurra.errors.RecurraWarning")
TINY = {"hidden": 2, "channels": 2, "max_steps": 1}
TEXTS, CLASSES = ["good film", "bad film"] * 10, ["up", "down"] * 10
SIGNAL = np.sin(np.arange(120.0))


@pytest.mark.parametrize("of", [np.array, pandas.Series, polars.Series])
def test_texts_in_an_array_or_a_column_are_texts(of):
    model = Classifier(hidden=2, max_steps=1).fit(of(TEXTS), of(CLASSES))
    assert model.predict(of(TEXTS)).shape == (20,)


@pytest.mark.parametrize("of", [np.array, polars.Series])
@pytest.mark.parametrize("model", [Classifier(window_length=10, **TINY), Regressor(**TINY)])
def test_one_recording_is_answered_step_by_step(model, of):
    labels = np.arange(120) // 20 % 2
    model.fit(of(SIGNAL), of(labels))
    assert model.predict(of(SIGNAL)).shape == (120,)
    assert np.isfinite(model.score(of(SIGNAL), of(labels)))
    (alone,) = model.predict([SIGNAL])
    assert alone.tolist() == model.predict(SIGNAL).tolist()


def test_an_index_of_a_column_changes_nothing():
    frame = pandas.DataFrame({"u": SIGNAL, "y": SIGNAL.cumsum()}, index=range(5, 125))
    model = Regressor(**TINY).fit(frame["u"], frame["y"])
    assert model.predict(frame["u"]).shape == (120,)


@pytest.mark.parametrize("data", [SIGNAL, SIGNAL.tolist()])
def test_numbers_alone_are_no_sequences(data):
    with pytest.raises(DataError, match=r"Reshape your data.*\(120,\).*one sequence is \[array\]"):
        Regressor(answers="sequence", **TINY).fit(data, SIGNAL)
    waves = [SIGNAL[n : n + 20] for n in range(20)]
    model = Regressor(**TINY).fit(waves, np.arange(20.0))
    with pytest.raises(DataError, match="Reshape your data"):
        model.score(data, SIGNAL)


@pytest.mark.parametrize("known", [range(0, 20), range(90, 120), range(5, 120, 9)])
def test_a_part_held_out_has_labels_wherever_they_are(known):
    labels = [str(n) if n in known else "" for n in range(120)]
    item = Item("x", "series", None, data=Series.of(SIGNAL, labels=labels))
    parts = hold_out_ends([item], 0.1)
    sides = [[each for each in part[0].data.labels if each] for part in (parts.train, parts.held)]
    assert [*sides[0], *sides[1]] == [each for each in labels if each]
    assert len(sides[1]) == max(1, round(0.1 * len(known)))
