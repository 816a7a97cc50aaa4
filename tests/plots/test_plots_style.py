"""The style of all pictures: a palette for all eyes and pages, and figures as files."""

import importlib.util
import itertools
import re

import numpy as np
import pytest

from recurra.errors import MissingExtra
from recurra.plots import image, plot_flow, plot_forecasts, plot_members, svg
from recurra.plots.figure import COLOURS, FORMATS, INK, line_style

CURVES = {"a": [0.5**d for d in range(20)], "b": [0.99**d for d in range(20)]}
LIGHT, DARK = "#ffffff", "#16181a"

# Linear RGB as seen by each: G. M. Machado, M. M. Oliveira and L. A. F. Fernandes 2009, severity 1.
VISION = {
    "typical": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / np.array([[0.9505], [1.0], [1.089]])


def linear(colour):
    parts = np.array([int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)])
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(colour, vision):
    """CIELAB of a colour as such eyes see it."""
    xyz = TO_XYZ @ np.clip(np.asarray(vision) @ linear(colour), 0, 1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_all_eyes_tell_the_colours_apart(vision):
    seen = [lab(colour, VISION[vision]) for colour in COLOURS]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 12


@pytest.mark.parametrize("page", [LIGHT, DARK])
def test_the_colours_stand_out_from_light_pages_and_dark_ones(page):
    luminances = [0.05 + TO_XYZ[1] @ linear(colour) for colour in (*COLOURS, page)]
    *colours, ground = luminances
    assert min(max(colour, ground) / min(colour, ground) for colour in colours) > 2


def test_there_are_more_lines_than_colours():
    styles = [line_style(index) for index in range(3 * len(COLOURS))]
    assert all(styles.count(style) == 1 for style in styles)


@pytest.mark.parametrize("suffix", FORMATS)
def test_a_file_is_the_same_for_the_same_picture(suffix):
    first = image(plot_flow(CURVES), suffix)
    assert first == image(plot_flow(CURVES), suffix)
    assert first.startswith({".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}[suffix])


def test_an_element_takes_the_colours_of_its_page_and_loads_nothing():
    element = svg(plot_flow(CURVES))
    assert element == svg(plot_flow(CURVES))
    assert element.startswith("<svg")
    assert not re.search(r'href="(?!#|data:)', element)
    assert f"var(--ink, {INK})" in element
    assert not re.search(rf"(?<!var\(--ink, ){INK}|fill: #fff|#000000", element)


def test_the_style_stays_within_the_pictures():
    import matplotlib

    before = dict(matplotlib.rcParams)
    plot_flow(CURVES)
    assert dict(matplotlib.rcParams) == before


@pytest.mark.parametrize("draw", [plot_flow, plot_forecasts, plot_members])
def test_without_matplotlib_the_error_says_how_to_install_it(draw, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"Drawing needs matplotlib.*recurra\[plot\]"):
        draw({})
