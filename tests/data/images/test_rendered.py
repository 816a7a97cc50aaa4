"""Rendered lines: those of Pillow itself where nothing is distorted, and what can't be drawn."""

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from recurra.data.images.rendered import Rendering, render_line
from recurra.data.images.text_core import slant_of
from recurra.errors import ConfigError, DataError

PLAIN = Rendering(slant=0, blur=0, noise=0, fading=0)


def draw(founts, text="Ligne à lire", seed=0, how=None, size=24, name="DejaVuSans"):
    return render_line(text, founts / f"{name}.ttf", size, np.random.default_rng(seed), how)


@pytest.mark.parametrize("name", ["DejaVuSans", "DejaVuSerif-Italic", "DejaVuSansMono-Bold"])
def test_without_distortion_it_is_pillows_drawing(founts, name):
    ours = draw(founts, "Vif, né à Évry", how=PLAIN, name=name)
    canvas = Image.new("L", (400, 80), 255)
    fount = ImageFont.truetype(str(founts / f"{name}.ttf"), 24)
    ImageDraw.Draw(canvas).text((20, 20), "Vif, né à Évry", fill=0, font=fount)

    def inked(picture):
        rows, columns = np.nonzero(picture < 1)
        return picture[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]

    expected = inked(np.asarray(canvas, np.float32) / 255)
    np.testing.assert_allclose(inked(ours), expected, atol=1e-6)


def test_the_margin_is_paper_and_heights_do_not_hang_on_letters(founts):
    pictures = [draw(founts, text, how=PLAIN) for text in ("mon", "Ângle pg", ".")]
    assert len({len(picture) for picture in pictures}) == 1
    for picture in pictures:
        assert (picture[:, :6] == 1).all()
        assert (picture[:, -6:] == 1).all()
        assert (picture[:2] == 1).all()


@pytest.mark.parametrize("text", ["Hj", "jet", "ff"])
def test_margins_are_equal_whatever_the_bearings(founts, text):
    picture = draw(founts, text, how=PLAIN, name="DejaVuSerif-Italic", size=40)
    inked = np.flatnonzero((picture < 1).any(0))
    assert inked[0] == pytest.approx(10, abs=1)
    assert picture.shape[1] - inked[-1] - 1 == pytest.approx(10, abs=1)


def test_the_same_for_the_same_seed(founts):
    np.testing.assert_array_equal(draw(founts, seed=1), draw(founts, seed=1))
    first, second = draw(founts, seed=1), draw(founts, seed=2)
    assert first.shape != second.shape or (first != second).any()
    for picture in (first, second):
        assert picture.dtype == np.float32
        assert picture.min() >= 0
        assert picture.max() <= 1


def test_slant_noise_blur_and_fading_do_what_they_say(founts):
    def measures(how, measure):
        return [measure(draw(founts, "Hill filth", seed, how)) for seed in range(12)]

    slants = measures(Rendering(0.5, 0, 0, 0), lambda p: slant_of(1 - p))
    assert min(slants) < -0.2
    assert max(slants) > 0.2
    darkest = measures(Rendering(0, 0, 0, 0.5), np.min)
    assert 0.25 < max(darkest) <= 0.5
    grain = measures(Rendering(0, 0, 0.2, 0), lambda p: p[:3].std())
    assert max(grain) > 0.08 > 0.04 > min(grain)
    sharp = float(np.abs(np.diff(draw(founts, "Hill filth", how=PLAIN))).max())
    assert min(measures(Rendering(0, 3, 0, 0), lambda p: np.abs(np.diff(p)).max())) < sharp / 2


@pytest.mark.parametrize("text", ["", "  ", "two\nlines", "a\u2028b"])
def test_what_is_not_a_line_of_text(founts, text):
    with pytest.raises(DataError, match="is not a line of text"):
        draw(founts, text)


def test_characters_that_the_fount_lacks(founts):
    with pytest.raises(DataError, match=r"DejaVuSerif\.ttf has no 字; leave the text out"):
        draw(founts, "a 字 b", name="DejaVuSerif")
    with pytest.raises(DataError, match=r"DejaVuSansDisplay\.ttf has no"):
        draw(founts, "abc", name="DejaVuSansDisplay")


def test_what_is_not_a_fount(tmp_path):
    (tmp_path / "a.ttf").write_bytes(b"text")
    generator = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"a\.ttf: is not a fount"):
        render_line("a", tmp_path / "a.ttf", 24, generator)
    with pytest.raises(DataError, match="no such file"):
        render_line("a", tmp_path / "b.ttf", 24, generator)


def test_sizes_and_settings_are_checked(founts):
    with pytest.raises(ConfigError, match="size = 2"):
        draw(founts, size=2)
    with pytest.raises(ConfigError, match="slant = -1"):
        Rendering(slant=-1)
    with pytest.raises(DataError, match="at most 19,999 are drawn"):
        draw(founts, "word " * 200, size=100)
