"""Text drawn by the founts that come with matplotlib."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from recurra.data.images.rendered import Rendering, render_line

PLAIN = Rendering(slant=0, blur=0, noise=0, fading=0)


@pytest.fixture
def founts():
    """The folder of DejaVu's files."""
    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


@pytest.fixture
def write(founts):
    """A function that draws a line of text, black on white, without any distortion."""

    def write(text, size=32, how=PLAIN):
        generator = np.random.default_rng(0)
        return render_line(text, founts / "DejaVuSerif.ttf", size, generator, how)

    return write
