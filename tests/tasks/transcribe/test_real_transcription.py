"""Small trainings on real recordings, rendered lines and real pen strokes, each to a figure."""

from pathlib import Path

import matplotlib
import numpy as np
import pytest

from recurra import Transcriber
from recurra.data.images.rendered import Rendering, render_line
from recurra.data.text import builtin_text

pytestmark = pytest.mark.slow


@pytest.mark.data
def test_spoken_digits_are_heard(real_data):
    folder = real_data / "fsdd"
    settings = {"where": "split=train", "root": str(folder / "recordings"), "text_column": "digit"}
    model = Transcriber(input="sound", max_steps=600, hidden=64, validate_every=100, **settings)
    model.fit(folder / "manifest.csv")
    assert model.validation["cer"] < 0.15


@pytest.mark.data
def test_written_words_are_read(real_data):
    settings = {"where": "level=word", "hidden": 96, "validate_every": 200}
    model = Transcriber(input="ink", max_steps=800, **settings)
    model.fit(real_data / "pen_text" / "train.jsonl.gz")
    assert model.validation["cer"] < 0.4


def rendered(count):
    """Pictures of short lines of Python's documentation in four founts, and their texts."""
    fonts = Path(matplotlib.get_data_path(), "fonts", "ttf")
    paths = [fonts / f"DejaVu{name}.ttf" for name in ("Sans", "Sans-Bold", "Serif", "SansMono")]
    lines = [" ".join(line.split()[:3]) for line in builtin_text().content.split("\n")]
    lines = sorted({line for line in lines if 8 < len(line) < 25 and line.isascii()})
    generator = np.random.default_rng(0)
    how = Rendering(slant=0.2, noise=0.1)
    for line in generator.choice(lines, count, replace=False):
        font = paths[generator.integers(len(paths))]
        yield render_line(str(line), font, generator.uniform(16, 26), generator, how), str(line)


def test_rendered_lines_are_read():
    model = Transcriber(input="image", max_steps=500, hidden=96, height=32, validate_every=100)
    model.fit(list(rendered(1200)))
    assert model.validation["cer"] < 0.5
