"""The picture of reliability: it holds the bins it is given. Its looks are for eyes."""

import numpy as np
import pytest

from recurra.plots import image, plot_reliability

BINS = [(0.2, 0.1, 30), (0.9, 0.7, 70)]


def test_curves_are_the_bins():
    above, below = plot_reliability({"a$": BINS, "none": []}, "Words $").axes
    ideal, first, empty = above.lines
    assert np.array(first.get_xydata()).tolist() == [[0.2, 0.1], [0.9, 0.7]]
    assert np.array(below.lines[0].get_xydata()).tolist() == [[0.2, 30], [0.9, 70]]
    assert ideal.get_xydata().tolist() == [[0, 0], [1, 1]]
    assert not len(empty.get_xydata())
    assert [text.get_text() for text in above.get_legend().get_texts()] == ["ideal", r"a\$", "none"]


def test_it_can_be_saved_and_nothing_is_refused():
    assert image(plot_reliability({"a": BINS}), ".png").startswith(b"\x89PNG")
    with pytest.raises(ValueError, match="no bins of confidences"):
        plot_reliability({"a": []})
