"""Sections on classes: undefined figures are shown as such, many classes by the lowest F1."""

import math

import numpy as np
import pytest

from recurra.metrics.classification import classification_scores, confused_pairs
from recurra.reports import class_table, confusion_table, report

NAN = math.nan


def test_scores_are_shown_as_they_are():
    chances, actual = np.eye(3)[[0, 0, 1, 0]], [0, 0, 1, 1]
    scores = classification_scores(chances, actual)
    section = class_table(["a", "<b>", "c"], scores.classes, title="By class")
    assert section.title == "By class"
    assert section.content.rows == [
        ["a", "66.7 %", "100.0 %", "80.0 %", "2"],
        ["<b>", "100.0 %", "50.0 %", "66.7 %", "2"],
        ["c", "undefined", "undefined", "undefined", "0"],
    ]
    page = report("x", [section])
    assert "&lt;b&gt;" in page
    assert "Undefined: the precision where no item is predicted as the class" in page


def test_a_note_is_there_only_where_it_is_needed():
    assert class_table(["a"], [(0.0, 0.0, 0.0, 2.5)]).content.notes == []
    (note,) = class_table(["a"], [(NAN, 0.0, 0.0, 3)], kind="label").content.notes
    assert "predicted as the label" in note
    assert class_table(["a"], [(1, 1, 1, 2.5)], kind="label").content.columns[0] == "label"


def test_of_many_classes_the_worst_are_shown():
    f1s = [0.9, NAN, 0.2, 0.0, 0.5]
    figures = [(0.5, 0.5, f1, 1000) for f1 in f1s]
    table = class_table(list("abcde"), figures, most=3).content
    assert [row[0] for row in table.rows] == ["d", "c", "e"]
    assert table.notes == ["The 3 of 5 with the lowest F1."]
    whole = class_table(list("abcde"), figures, most=5).content
    assert [row[0] for row in whole.rows] == list("abcde")
    assert whole.rows[0][-1] == "1,000"


def test_names_and_figures_are_of_one_number():
    with pytest.raises(ValueError, match="1 names and 0 figures: give one a class of both"):
        class_table(["a"], [])


def test_confused_pairs_are_shown_by_name():
    names = ["a", "b"]
    pairs = confused_pairs(np.array([[8.0, 2.0], [1.0, 3.0]]))
    rows = [(names[one.actual], names[one.predicted], one.items, one.share) for one in pairs]
    assert confusion_table(rows).content.rows == [
        ["a", "b", "2", "20.0 %"],
        ["b", "a", "1", "25.0 %"],
    ]


def test_without_confusions_a_sentence_stands_there():
    assert confusion_table([]).content == ["No item was predicted as another class."]
