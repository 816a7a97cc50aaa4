"""Image files: every mode of pixels, and what is wrong with files that can't be read."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from recurra.data.images import image_file
from recurra.data.images.image_file import image_facts, read_grey
from recurra.errors import DataError, MissingExtra

GREY = np.arange(6 * 9, dtype=np.uint8).reshape(6, 9) * 4
COLOUR = np.random.default_rng(0).integers(0, 256, (6, 9, 3), np.uint8)


def saved(path, image, **options):
    image.save(path, **options)
    return path


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_is_kept_exactly(tmp_path, ending):
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(GREY))
    np.testing.assert_array_equal(read_grey(path), GREY.astype(np.float32) / 255)
    assert image_facts(path)[:2] == (9, 6)


def test_jpeg_is_about_as_it_was(tmp_path):
    smooth = np.tile(np.arange(0, 240, 4, np.uint8), (40, 1))
    path = saved(tmp_path / "a.jpg", Image.fromarray(smooth), quality=95)
    np.testing.assert_allclose(read_grey(path), smooth / 255, atol=0.02)


def test_colours_become_their_luma(tmp_path):
    path = saved(tmp_path / "a.png", Image.fromarray(COLOUR))
    expected = COLOUR @ [0.299, 0.587, 0.114] / 255
    np.testing.assert_allclose(read_grey(path), expected, atol=1 / 255)


def test_transparent_pixels_lie_on_white(tmp_path):
    alpha = np.random.default_rng(1).integers(0, 256, (6, 9, 1), np.uint8)
    path = saved(tmp_path / "a.png", Image.fromarray(np.concatenate([COLOUR, alpha], 2)))
    share = alpha[..., 0] / 255
    expected = COLOUR @ [0.299, 0.587, 0.114] / 255 * share + 1 - share
    np.testing.assert_allclose(read_grey(path), expected, atol=1e-6)


def test_a_palette_with_a_transparent_entry(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8), mode="P")
    image.putpalette([0, 0, 0, 255, 255, 255, 10, 10, 10])
    path = saved(tmp_path / "a.png", image, transparency=2)
    np.testing.assert_allclose(read_grey(path), [[0, 1, 1]], atol=1e-6)


def test_one_bit_and_sixteen(tmp_path):
    bits = saved(tmp_path / "a.png", Image.fromarray(GREY > 100).convert("1"))
    np.testing.assert_array_equal(read_grey(bits), (GREY > 100).astype(np.float32))
    deep = np.array([[0, 1, 300, 65_535]], np.uint16)
    for ending in ("png", "tif"):
        path = saved(tmp_path / f"b.{ending}", Image.fromarray(deep))
        np.testing.assert_allclose(read_grey(path), deep / 65_535, rtol=1e-6)


def test_a_file_of_floats_is_read_between_its_extremes(tmp_path):
    floats = np.array([[-1.0, 0.0, 3.0]], np.float32)
    path = saved(tmp_path / "a.tif", Image.fromarray(floats))
    np.testing.assert_allclose(read_grey(path), [[0, 0.25, 1]])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_of_a_camera_is_applied(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path / "a.png", Image.fromarray(GREY), exif=exif)
    turned = {
        1: GREY,
        2: GREY[:, ::-1],
        3: GREY[::-1, ::-1],
        4: GREY[::-1],
        5: GREY.T,
        6: np.rot90(GREY, -1),
        7: GREY[::-1, ::-1].T,
        8: np.rot90(GREY),
    }[orientation]
    np.testing.assert_array_equal(read_grey(path), turned.astype(np.float32) / 255)
    assert image_facts(path)[:2] == turned.shape[::-1]


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, pixels=b""):
    """A PNG file that claims a size, whatever pixels it has."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((20_000, 50), r"has 20,000 x 50 pixels; at most 19,999 on a side"),
        ((50, 20_000), "has 50 x 20,000 pixels"),
        ((10_000, 10_000), "has 10,000 x 10,000 pixels; .*80,000,000 in all"),
        ((100_000, 100_000), "more pixels than can be read"),
    ],
)
def test_sizes_are_refused_before_anything_is_decoded(tmp_path, size, message):
    (tmp_path / "a.png").write_bytes(png(*size))
    with pytest.raises(DataError, match=r"a\.png: has " + message.removeprefix("has ")):
        read_grey(tmp_path / "a.png")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", b"GIF89a", b"RIFF0000WAVE", b"\x89PNG\r\n"])
def test_what_is_not_an_image(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(DataError, match=r"a\.png: is not a PNG, JPEG or TIFF image"):
        read_grey(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: is not a PNG, JPEG or TIFF image"):
        image_facts(tmp_path / "a.png")


@pytest.mark.parametrize("ending", ["png", "jpg", "tif"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_files_cut_short(tmp_path, ending, share):
    noise = np.random.default_rng(0).integers(0, 256, (60, 90), np.uint8)
    path = saved(tmp_path / f"a.{ending}", Image.fromarray(noise))
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(DataError, match=r"a\.\w+: is (damaged or cut short|not a PNG)"):
        read_grey(path)


def test_damaged_bytes_are_named_or_read_but_nothing_else_is_raised(tmp_path):
    buffer, generator = {}, np.random.default_rng(0)
    for kind in ("PNG", "JPEG", "TIFF"):
        Image.fromarray(GREY.repeat(4, 0)).save(stream := io.BytesIO(), kind)
        buffer[kind] = stream.getvalue()
    refused = 0
    for kind, data in buffer.items():
        for _ in range(60):
            broken = bytearray(data)
            for at in generator.integers(0, len(data), 4):
                broken[at] = generator.integers(256)
            (path := tmp_path / kind).write_bytes(broken)
            try:
                read_grey(path)
            except DataError as error:
                refused += str(path) in str(error)
    assert refused > 60


def test_animations_and_files_of_several_pages(tmp_path):
    first, second = Image.fromarray(GREY), Image.fromarray(GREY[::-1])
    for ending in ("png", "tif"):
        path = saved(tmp_path / f"a.{ending}", first, save_all=True, append_images=[second])
        with pytest.raises(DataError, match="holds 2 pictures, several pages or an animation"):
            read_grey(path)


def test_a_telephones_preview_is_no_second_page(tmp_path):
    path = tmp_path / "a.jpg"
    image = Image.fromarray(np.full((16, 16), 200, np.uint8))
    image.save(path, "MPO", save_all=True, append_images=[image])
    assert Image.open(path).n_frames == 2
    assert image_facts(path).frames == 1
    np.testing.assert_allclose(read_grey(path), 200 / 255, atol=0.01)


def test_a_folder_and_a_missing_file(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        read_grey(tmp_path)
    with pytest.raises(DataError, match="no such file"):
        image_facts(tmp_path / "a.png")


def test_without_pillow_the_remedy_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(image_file.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"pillow.*recurra\[transcribe\]"):
        read_grey(tmp_path / "a.png")
