"""Lines as columns of ink: scales, contrast, polarity, slant, trimming, and what is refused."""

import dataclasses
import json

import numpy as np
import pytest
from PIL import Image

from recurra.data.images.ink_contrast import ink_picture
from recurra.data.images.line_image import (
    BLANK,
    LIGHT_INK,
    LineImages,
    normalise_line,
    read_line_image,
)
from recurra.data.images.resampling import resize, shear
from recurra.data.images.text_core import slant_of, text_core
from recurra.errors import ConfigError, DataError

TEXT = "Joyeux et nager, 1915"
PLAIN = LineImages(centre=False, trim=False, padding=0)


def bars(height=40, width=90):
    """Upright bars of ink on white paper, bytes."""
    picture = np.full((height, width), 255, np.uint8)
    picture[8:-8, 10 : width - 10 : 8] = 0
    return picture


def difference(ours, other):
    """The difference of two lines of about one width, as a share of the ink."""
    assert len(ours) == pytest.approx(len(other), rel=0.01, abs=2)
    return float(np.abs(resize(ours, *other.shape) - other).sum() / other.sum())


def test_without_normalisation_it_is_pillows_resize():
    picture = bars()
    expected = Image.fromarray(1 - picture.astype(np.float32) / 255).resize(
        (108, 48), Image.Resampling.BILINEAR
    )
    ours = read_line_image(picture, dataclasses.replace(PLAIN, contrast=False))
    np.testing.assert_allclose(ours, np.asarray(expected).T, atol=1e-5)


def test_one_factor_for_both_directions():
    assert read_line_image(bars(96, 500), PLAIN).shape == (250, 48)
    assert read_line_image(bars(96, 500), dataclasses.replace(PLAIN, height=64)).shape == (333, 64)


def test_a_file_is_its_array(tmp_path, write):
    picture = np.round(write(TEXT) * 255).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_line_image(tmp_path / "a.png"), read_line_image(picture))
    np.testing.assert_array_equal(
        read_line_image(str(tmp_path / "a.png")), read_line_image(picture / np.float32(255))
    )


def test_paper_and_ink_reach_their_levels(write):
    faint = 0.75 - 0.3 * (1 - write(TEXT))
    np.testing.assert_allclose(read_line_image(faint), read_line_image(write(TEXT)), atol=0.05)


def test_a_shadow_across_the_line_goes_away(write):
    clean = write("A long enough line of text, so that a shadow is broad")
    shadow = np.linspace(1.0, 0.45, clean.shape[1])
    assert difference(read_line_image(clean * shadow), read_line_image(clean)) < 0.12
    raw = LineImages(contrast=False)
    assert difference(read_line_image(clean * shadow, raw), read_line_image(clean, raw)) > 1


def test_a_block_of_ink_longer_than_the_line_is_high_stays_ink(write):
    line = write("Some words before and after")
    line[2:-2, 150 : 150 + 3 * len(line) // 2] = 0
    ink = ink_picture(line).ink
    assert ink[12:-12, 155:225].min() > 0.95


def test_light_ink_is_seen_and_stated(write):
    dark, light = normalise_line(write(TEXT)), normalise_line(1 - write(TEXT))
    np.testing.assert_allclose(light.columns, dark.columns, atol=1e-5)
    assert (dark.notes, light.notes) == ((), (LIGHT_INK,))


def test_polarity_can_be_given(write):
    inverted = normalise_line(1 - write(TEXT), LineImages(polarity="light"))
    assert inverted.notes == (LIGHT_INK,)
    wrong = read_line_image(write(TEXT), LineImages(polarity="light"))
    assert wrong.mean() > 0.5 > inverted.columns.mean()


def test_margins_are_trimmed_and_padding_added(write):
    line = write(TEXT)
    wide = np.pad(line, ((0, 0), (200, 90)), constant_values=1)
    np.testing.assert_array_equal(read_line_image(wide), read_line_image(line))
    padded, bare = read_line_image(line, LineImages(padding=9)), read_line_image(line)
    np.testing.assert_array_equal(padded[9:-9], bare[4:-4])
    assert not padded[:9].any()
    assert not padded[-9:].any()


@pytest.mark.parametrize(("above", "below"), [(0, 14), (14, 0), (12, 12)])
def test_the_core_has_one_place_whatever_is_around(write, above, below):
    whole = LineImages(core_scale=1.0)
    line = write(TEXT)
    moved = np.pad(line, ((above, below), (0, 0)), constant_values=1)
    assert difference(read_line_image(moved, whole), read_line_image(line, whole)) < 0.12


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("text", ["mon cousin", TEXT, "appelle-moi"])
def test_the_middle_of_the_core_has_one_row(write, share, text):
    line = read_line_image(write(text), LineImages(core_scale=share))
    assert text_core(line.T).middle + 0.5 == pytest.approx(0.57 * 48, abs=1)


def test_cores_become_equally_high(write):
    heights = {}
    for share in (0.0, 0.5, 1.0):
        how = LineImages(core_scale=share)
        lines = [read_line_image(write(text), how) for text in ("Apfel", "mon cousin", "Ville")]
        squeezed = read_line_image(np.pad(write(TEXT), ((9, 9), (0, 0)), constant_values=1), how)
        cores = [text_core(line.T).height for line in [*lines, squeezed]]
        heights[share] = np.ptp(cores)
    assert heights[1.0] < heights[0.5] < heights[0.0]


@pytest.mark.parametrize(
    ("bar", "stem"), [(slice(4, 9), slice(4, 36)), (slice(31, 36), slice(4, 36))]
)
def test_a_letter_of_one_bar_and_a_stem_is_kept_whole(bar, stem):
    picture = np.ones((40, 40), np.float32)
    picture[bar, 8:32] = 0  # the core, by the ink of its rows
    picture[stem, 18:22] = 0
    columns = read_line_image(picture)
    rows = np.flatnonzero(columns.max(0) > 0.5)
    shape = (rows[-1] + 1 - rows[0]) / (columns.max(1) > 0.5).sum()
    assert shape == pytest.approx(32 / 24, rel=0.08)


def test_rows_cut_from_neighbouring_lines_do_not_move_the_core(write):
    line = np.pad(write(TEXT), ((4, 4), (0, 0)), constant_values=1)
    cut = line.copy()
    cut[:4, ::5] = 0
    assert tuple(text_core(1 - cut)) == pytest.approx(tuple(text_core(1 - line)), abs=2)


@pytest.mark.parametrize("slope", [-0.4, 0.25, 0.6])
def test_slant_is_measured_and_removed(write, slope):
    upright = 1 - write("illicite Hill filth")
    assert slant_of(shear(upright, slope)) == pytest.approx(slope, abs=0.08)
    how = LineImages(deslant=True)
    ours = read_line_image(1 - shear(upright, slope), how)
    assert abs(slant_of(ours.T)) < 0.06


@pytest.mark.parametrize("level", [0.0, 0.6, 1.0])
def test_blank_pictures_give_paper_and_a_note(level):
    grain = np.random.default_rng(0).normal(0, 0.01, (40, 100))
    columns, notes = normalise_line(np.clip(level + grain, 0, 1))
    assert notes == (BLANK,)
    assert columns.shape == (128, 48)
    assert not columns.any()


@pytest.mark.parametrize("shape", [(1, 1), (3, 900), (40, 2)])
def test_pictures_too_small_for_a_line(shape):
    with pytest.raises(DataError, match=f"has {shape[1]} x {shape[0]} pixels; a line of text has"):
        read_line_image(np.zeros(shape, np.uint8))


def test_pictures_too_long():
    with pytest.raises(DataError, match=r"has 20,000 x 40 pixels; at most 19,999"):
        read_line_image(bars(40, 20_000))
    with pytest.raises(DataError, match=r"become 23,\d\d\d columns of 48; at most 19,999"):
        read_line_image(bars(20, 9_900), LineImages(centre=False))


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((40, 90, 3), np.uint8),
        np.full((40, 90), np.nan),
        np.full((40, 90), 1.5),
        np.zeros((0, 9)),
        np.full((40, 90), 300),
        np.array([["a"]]),
    ],
)
def test_arrays_that_are_not_grey_pictures(array):
    with pytest.raises(DataError, match=r"the picture: (an array of|has values from)"):
        read_line_image(array)


def page(write, lines, size=24):
    rows = [write(f"{n} the quick brown fox jumps over it", size) for n in range(lines)]
    width = max(row.shape[1] for row in rows)
    rows = [np.pad(r, ((0, 0), (0, width - r.shape[1])), constant_values=1) for r in rows]
    return np.pad(np.concatenate(rows), 60, constant_values=1)


@pytest.mark.parametrize("lines", [3, 5, 20])
def test_a_page_is_recognised(write, tmp_path, lines):
    path = tmp_path / "page.png"
    Image.fromarray(np.round(page(write, lines) * 255).astype(np.uint8)).save(path)
    with pytest.raises(DataError, match=rf"page\.png: looks like a page of {lines} or more lines"):
        read_line_image(path)


def test_a_page_that_is_a_little_turned(write):
    turned = Image.fromarray(page(write, 20)).rotate(1.5, Image.Resampling.BILINEAR, fillcolor=1)
    with pytest.raises(DataError, match="looks like a page"):
        read_line_image(np.asarray(turned).clip(0, 1))


def test_a_page_in_a_shadow(write):
    sheet = page(write, 12)
    height, width = sheet.shape
    shadow = np.linspace(1, 0.5, width) * np.linspace(0.9, 0.6, height)[:, None]
    with pytest.raises(DataError, match="looks like a page"):
        read_line_image(sheet * shadow)


@pytest.mark.parametrize("text", ["E", "EEEE", "=", "≡", "é:", "3", "Ë", "...", "B8", "-"])
def test_letters_of_several_strokes_are_one_line(write, text):
    assert read_line_image(write(text)).shape[1] == 48


def test_settings_are_plain_values_and_checked():
    how = LineImages(height=64, deslant=True)
    assert LineImages(**json.loads(json.dumps(dataclasses.asdict(how)))) == how
    for wrong in (
        {"height": 4},
        {"padding": -1},
        {"polarity": "grey"},
        {"core_scale": 2.0},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            LineImages(**wrong)


@pytest.mark.data
@pytest.mark.parametrize("name", ["handwriting_lines", "printed_lines"])
def test_real_lines(real_data, name):
    files = sorted((real_data / name / "img").iterdir())[::40]
    assert len(files) > 15
    for file in files:
        columns, notes = normalise_line(file)
        assert (columns.shape[1], notes) == (48, ())
        assert 0.02 < columns.mean() < 0.4
        assert text_core(columns.T).middle == pytest.approx(0.57 * 48, abs=5)
