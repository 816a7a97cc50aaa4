"""Lines cut from pages: boxes are slices, turned lines equal upright ones, masks are Pillow's."""

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw

from recurra.data.images.line_image import LineImages, read_line_image
from recurra.data.images.page_crop import _mask, crop_line
from recurra.data.images.page_layout import PageLine, read_page_lines
from recurra.data.images.resampling import resize
from recurra.errors import DataError

PAGE = np.random.default_rng(0).random((80, 120), np.float32)


def line(tmp_path, polygon, baseline=None):
    return PageLine(tmp_path / "a.xml", "l7", tmp_path / "a.png", tuple(polygon), baseline, None)


def box(left, top, right, bottom):
    return ((left, top), (right, top), (right, bottom), (left, bottom))


@pytest.mark.parametrize("baseline", [None, ((20, 40), (70, 40)), ((70, 40), (20, 40))])
def test_an_upright_box_is_a_slice(tmp_path, baseline):
    crop = crop_line(PAGE, line(tmp_path, box(20, 30, 70, 45), baseline))
    np.testing.assert_array_equal(crop, PAGE[30:45, 20:70])


@pytest.mark.parametrize(
    ("baseline", "turns"), [(((40, 10), (40, 70)), 1), (((40, 70), (40, 10)), -1)]
)
def test_a_line_that_runs_down_or_up_the_page(tmp_path, baseline, turns):
    crop = crop_line(PAGE, line(tmp_path, box(30, 10, 45, 70), baseline))
    np.testing.assert_allclose(crop, np.rot90(PAGE[10:70, 30:45], turns), atol=1e-5)


def test_outside_the_polygon_is_the_level_of_the_paper(tmp_path):
    page = np.full((80, 120), 0.8, np.float32)
    page[:, 60:] = 0.1  # of another line
    polygon = ((20, 20), (90, 20), (55, 60), (20, 60))
    crop = crop_line(np.where(page == 0.8, page, 0.8), line(tmp_path, polygon))
    np.testing.assert_allclose(crop, 0.8)
    below = ((20, 20), (100, 20), (100, 30), (58, 30), (58, 60), (20, 60))
    crop = crop_line(page, line(tmp_path, below))
    np.testing.assert_allclose(crop[12:, :38], 0.8)
    assert (crop[12:, 42:] != 0.1).any()


@pytest.mark.parametrize("seed", range(4))
def test_the_inside_is_what_pillow_fills(seed):
    generator = np.random.default_rng(seed)
    angles, radii = np.sort(generator.uniform(0, 2 * np.pi, 9)), generator.uniform(15, 38, 9)
    u, v = 60 + radii * np.cos(angles), 40 + radii * np.sin(angles)
    # Pillow fills eight times as finely; pixels whose centres are near an edge may differ.
    filled = Image.new("L", (960, 640))
    ImageDraw.Draw(filled).polygon([*zip(8 * u, 8 * v, strict=True)], fill=255)
    inside = np.asarray(filled)[4::8, 4::8] > 0
    assert (_mask(u, v, 80, 120) != inside).mean() < 0.005
    assert (_mask(u[::-1], v[::-1], 80, 120) == _mask(u, v, 80, 120)).all()
    assert 0.1 < inside.mean() < 0.9


@pytest.mark.parametrize("degrees", [-20, -3, 1.5, 8, 35])
def test_a_turned_line_is_the_upright_one_again(tmp_path, write, degrees):
    upright = write("Turned by some degrees")
    height, width = upright.shape
    side = 700
    page = np.ones((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    page[top : top + height, left : left + width] = upright
    turned = Image.fromarray(page).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=1.0)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))

    def place(x, y):  # Pillow turns anticlockwise about the middle
        x, y = x - side / 2, y - side / 2
        return (side / 2 + x * cos + y * sin, side / 2 - x * sin + y * cos)

    polygon = [place(x, y) for x, y in box(left, top, left + width, top + height)]
    low = top + 0.7 * height
    baseline = (place(left, low), place(left + width / 3, low), place(left + width, low))
    crop = crop_line(np.asarray(turned), line(tmp_path, polygon, baseline))
    assert crop.shape == pytest.approx(upright.shape, abs=1)
    error = np.abs(crop[:height, :width] - upright[: len(crop), : crop.shape[1]])
    assert error.mean() < 0.02
    assert error.max() < 0.5


def test_a_page_with_its_xml_gives_its_lines(tmp_path, write):
    texts, drawn = ["first line", "the second line", "a third"], []
    page = np.ones((400, 500), np.float32)
    lines = []
    for number, text in enumerate(texts):
        picture = write(text)
        height, width = picture.shape
        top, left = 40 + 90 * number, 30 + 20 * number
        page[top : top + height, left : left + width] = picture
        drawn.append(picture)
        points = " ".join(f"{x},{y}" for x, y in box(left, top, left + width, top + height))
        unicode = f"<TextEquiv><Unicode>{text}</Unicode></TextEquiv>"
        lines.append(f'<TextLine id="{number}"><Coords points="{points}"/>{unicode}</TextLine>')
    grey = np.round(page * 255).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    (tmp_path / "a.xml").write_text(
        f'<PcGts><Page imageFilename="a.png">{"".join(lines)}</Page></PcGts>'
    )
    found = read_page_lines(tmp_path / "a.xml")
    assert [one.text for one in found] == texts
    for one, picture in zip(found, drawn, strict=True):
        crop = crop_line(grey / np.float32(255), one)
        np.testing.assert_allclose(crop, picture, atol=1 / 255)
        np.testing.assert_allclose(read_line_image(crop), read_line_image(picture), atol=0.05)


def test_corners_beyond_the_page_are_moved_to_its_edge(tmp_path):
    crop = crop_line(PAGE, line(tmp_path, box(100, 60, 1e12, 90)))
    np.testing.assert_array_equal(crop, PAGE[60:, 100:])


@pytest.mark.parametrize(
    "polygon", [box(200, 10, 260, 30), box(-90, -50, -10, -9), box(9, 9, 9, 9)]
)
def test_polygons_outside_the_page_are_named(tmp_path, polygon):
    with pytest.raises(DataError, match=r"a\.xml: l7: covers .* \(120 x 80 pixels: a\.png\)"):
        crop_line(PAGE, line(tmp_path, polygon))


def test_grey_paper_around_a_polygon_leaves_no_edge(tmp_path, write):
    ink = np.pad(write("Some words"), 20, constant_values=1)
    height, width = ink.shape
    polygon = ((15, 18), (width - 9, 30), (width - 15, height - 16), (18, height - 22))
    crop = crop_line(ink * 0.6, line(tmp_path, polygon))
    how = LineImages(core_scale=1.0)
    clean = read_line_image(ink, how)
    assert np.abs(resize(read_line_image(crop, how), *clean.shape) - clean).mean() < 0.03
