"""Strokes from pictures: thinning against its definition, lines followed, real digits."""

import numpy as np
import pytest

from recurra.data.digits import read_digits
from recurra.data.ink.line_graph import LineGraph
from recurra.data.ink.thinning import thin
from recurra.data.ink.trace_image import trace, trace_all
from recurra.errors import DataError


def guo_hall(picture):
    """One picture thinned pixel by pixel, as the algorithm is written down."""
    ink = {*zip(*map(np.ndarray.tolist, np.nonzero(picture)), strict=True)}
    changed = True
    while changed:
        changed = False
        for half in (0, 1):
            gone = {pixel for pixel in ink if removable(pixel, ink, half)}
            changed = changed or bool(gone)
            ink -= gone
    return ink


def removable(pixel, ink, half):
    ring = [(-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1)]
    p = [(pixel[0] + r, pixel[1] + c) in ink for r, c in ring]  # p2, p3, ... p9
    groups = sum(not p[i] and (p[i + 1] or p[(i + 2) % 8]) for i in (0, 2, 4, 6))
    first = sum(p[i - 1] or p[i] for i in (0, 2, 4, 6))
    second = sum(p[i] or p[i + 1] for i in (0, 2, 4, 6))
    kept = (p[4] or p[5] or not p[7]) and p[6] if half else (p[0] or p[1] or not p[3]) and p[2]
    return groups == 1 and 2 <= min(first, second) <= 3 and not kept


def blobs(seed, shape=(24, 24)):
    noise = np.random.default_rng(seed).normal(size=(shape[0] + 4, shape[1] + 4))
    return sum(noise[i : i + shape[0], j : j + shape[1]] for i in range(5) for j in range(5)) > 2


def test_thinning_is_guo_hall():
    pictures = np.stack([blobs(seed) for seed in range(8)])
    for picture, line in zip(pictures, thin(pictures), strict=True):
        assert picture.sum() > 1.5 * line.sum() > 0
        assert {*zip(*map(np.ndarray.tolist, np.nonzero(line)), strict=True)} == guo_hall(picture)


def picture_of(*lines, size=28, width=1.2):
    """Lines (x, y, x, y) drawn with a soft pen."""
    rows, columns = np.mgrid[:size, :size].astype(np.float64)
    image = np.zeros((size, size))
    for x, y, to_x, to_y in lines:
        dx, dy = to_x - x, to_y - y
        along = ((columns - x) * dx + (rows - y) * dy) / max(dx * dx + dy * dy, 1e-9)
        along = np.clip(along, 0, 1)
        away = np.hypot(columns - x - along * dx, rows - y - along * dy)
        image = np.maximum(image, np.clip(width + 0.5 - away, 0, 1))
    return image.astype(np.float32)


def ends(ink):
    return [stroke[[0, -1]].round().tolist() for stroke in ink.strokes]


def near(point, other):
    return np.abs(np.subtract(point, other)).max() <= 1.5


def test_a_line_is_followed_from_its_top():
    [[start, end]] = ends(trace(picture_of((6, 4, 20, 24))))
    assert near(start, (6, 4))
    assert near(end, (20, 24))


def test_crossing_lines_are_followed_straight_on():
    first, second = ends(trace(picture_of((4, 4, 24, 24), (24, 4, 4, 24))))
    assert near(first[0], (4, 4))
    assert near(first[1], (24, 24))
    assert {tuple(near(e, p) for p in ((24, 4), (4, 24))) for e in second} == {
        (True, False),
        (False, True),
    }


def test_a_ring_is_closed_and_a_dot_a_point():
    ring = [(6, 6, 22, 6), (22, 6, 22, 22), (22, 22, 6, 22), (6, 22, 6, 6)]
    ink = trace(picture_of(*ring))
    assert len(ink.strokes) == 1
    assert near(ink.strokes[0][0], ink.strokes[0][-1])
    assert near(ink.strokes[0][0], (6, 6))
    dot = np.zeros((5, 5), dtype=np.float32)
    dot[2, 3] = 255
    assert near(trace(dot).strokes[0][0], (3, 2))
    assert trace(np.ones((1, 1), np.float32)).points <= 2


def test_every_line_is_followed_once():
    ink = trace(picture_of((4, 14, 24, 14), (14, 4, 14, 24), (4, 24, 24, 24)))
    length = sum(np.hypot(*np.diff(s, axis=0).T).sum() for s in ink.strokes)
    assert 50 < length < 66


def test_spurs_are_cut():
    pixels = {(10, c) for c in range(20)} | {(9, 8), (8, 8)}
    graph = LineGraph(set(pixels))
    graph.prune(4)
    assert [len(walk) for walk in graph.walks()] == [20]
    graph = LineGraph(set(pixels))
    graph.prune(2)
    assert sorted(len(walk) for walk in graph.walks()) == [3, 20]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((28, 28)), "picture 0 has no ink"),
        (np.full((28, 28), np.nan), "picture 0 has no ink"),
        (np.full((28, 28), -1.0), "picture 0 has no ink"),
        (np.zeros((28, 28, 3)), r"a picture of shape \(28, 28, 3\)"),
        (np.zeros((0, 5)), "pictures of shape"),
        (np.zeros((1, 4_000_001), np.int8), "has 4,000,001 pixels"),
    ],
)
def test_pictures_that_cannot_be_traced(image, message):
    with pytest.raises(DataError, match=message):
        trace(image)


def test_many_pictures_are_traced_as_one_by_one():
    pictures = np.stack([picture_of((4, 4, 24, k)) for k in range(4, 25, 5)])
    for ink, picture in zip(trace_all(pictures), pictures, strict=True):
        assert ends(ink) == ends(trace(picture))
    with pytest.raises(DataError, match="picture 1 has no ink"):
        trace_all(np.stack([pictures[0], 0 * pictures[0]]))
    with pytest.raises(DataError, match="threshold=2"):
        trace(pictures[0], threshold=2)


@pytest.mark.data
def test_real_digits(real_data):
    pictures = read_digits(real_data / "mnist_subset", "valid").pictures[:300]
    for picture, ink in zip(pictures, trace_all(pictures.astype(np.float32)), strict=True):
        assert 1 <= len(ink.strokes) <= 6
        columns, rows = np.concatenate(ink.strokes).round().astype(int).T
        assert (picture[rows, columns] > 0).mean() > 0.97
        assert ink.box.height > 0.6 * np.ptp(np.nonzero(picture > 100)[0])
