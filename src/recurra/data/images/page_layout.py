"""Lines of text on a page as PAGE and ALTO XML describe them: outlines, baselines, transcripts.

PAGE is read in all its years (2009 to 2019), ALTO in its versions 2 to 4; namespaces are not
looked at, element names are. Lines come in the order of the file.
"""

import math
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple
from xml.parsers import expat

from recurra.data import check_exists
from recurra.data.images.image_file import image_facts
from recurra.errors import DataError

__all__ = ["PageLine", "Points", "read_page_lines"]

Points = tuple[tuple[float, float], ...]
"""Corners (x, y) in pixels from the top left of the page's image."""


class PageLine(NamedTuple):
    """A line of text on a page; text is None where it is not transcribed, baseline where unknown.

    `source` is the XML file, and `id` the line's in it, or `line 3` where it has none.
    """

    source: Path
    id: str
    image: Path
    polygon: Points
    baseline: Points | None
    text: str | None


def read_page_lines(path: str | Path, *, dpi: float | None = None) -> list[PageLine]:
    """The lines of a page of PAGE or ALTO XML, whose image lies in the same folder or below.

    dpi: the image's dots an inch, for ALTO files in millimetres or inches that don't give the
    page's width; where they do, the image's width decides.

    Raises DataError, naming the file and the line, for what is not PAGE or ALTO XML, a document
    type or entities (never expanded), a missing image, and a line without a usable outline.
    """
    path = Path(path)
    root = _parsed(path)
    kind = _name(root)
    if kind == "PcGts":
        return list(_page_lines(path, root))
    if kind.lower() == "alto":
        return list(_alto_lines(path, root, dpi))
    raise DataError(
        f"{path}: its root is <{kind}>; lines are read from PAGE XML (<PcGts>) and ALTO (<alto>)."
    )


def _parsed(path: Path) -> ET.Element:
    """The root of a document without a document type, thus without entities of its own."""
    check_exists(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give an XML file.") from error

    def refuse(*_: object) -> None:
        raise DataError(
            f"{path}: has a document type (<!DOCTYPE ...>), which may hold entities that never "
            "end; remove it: PAGE and ALTO need none."
        )

    first = expat.ParserCreate()
    first.StartDoctypeDeclHandler = refuse
    try:
        first.Parse(data, True)
        return ET.fromstring(data)
    except (expat.ExpatError, ET.ParseError, LookupError, ValueError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{path}: is not whole XML ({error}); give PAGE or ALTO XML as it was exported."
        ) from error


def _name(element: ET.Element) -> str:
    """The element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def _all(element: ET.Element, name: str) -> Iterator[ET.Element]:
    return (e for e in element.iter() if _name(e) == name)


def _children(element: ET.Element, name: str) -> list[ET.Element]:
    return [e for e in element if _name(e) == name]


# PAGE


def _page_lines(path: Path, root: ET.Element) -> Iterator[PageLine]:
    number = 0
    for page in _all(root, "Page"):
        image = _image(path, page.get("imageFilename") or "")
        for line in _all(page, "TextLine"):
            number += 1
            name = line.get("id") or f"line {number}"
            coords = (_points_of(path, name, c) for c in _children(line, "Coords"))
            polygon = _outline(path, name, next(coords, ()))
            drawn = [_points_of(path, name, b) for b in _children(line, "Baseline")]
            baseline = drawn[0] if drawn and len(drawn[0]) > 1 else None
            yield PageLine(path, name, image, polygon, baseline, _page_text(line))


def _points_of(path: Path, name: str, element: ET.Element) -> Points:
    """The points of `points="x,y x,y"`, or of elements <Point x="" y=""/> as until 2010."""
    corners = _children(element, "Point")
    text = " ".join(f"{p.get('x')},{p.get('y')}" for p in corners) or element.get("points", "")
    return _points(path, name, text)


def _page_text(element: ET.Element) -> str | None:
    """The first transcript of a line, or the words' joined by spaces where only they have any."""
    given = _children(element, "TextEquiv")
    first = min(given, key=lambda e: _number(e.get("index")) or 0.0, default=None)
    if first is not None:
        texts = [*_children(first, "Unicode"), *_children(first, "PlainText")]
        return next((t.text.strip() for t in texts if t.text and t.text.strip()), None)
    words = [_page_text(word) for word in _children(element, "Word")]
    return " ".join(word for word in words if word) or None


# ALTO


def _alto_lines(path: Path, root: ET.Element, dpi: float | None) -> Iterator[PageLine]:
    names = [e.text or "" for e in _all(root, "fileName")]
    image = _image(path, names[0].strip() if names else "")
    number = 0
    for page in _all(root, "Page"):
        scale = _scale(path, root, page, image, dpi)
        for line in _all(page, "TextLine"):
            number += 1
            name = line.get("ID") or f"line {number}"
            shapes = [p.get("POINTS", "") for s in _children(line, "Shape") for p in s]
            outline = _points(path, name, shapes[0]) if shapes else _box(line)
            polygon = _outline(path, name, outline)
            baseline = _alto_baseline(path, name, line.get("BASELINE", ""), polygon)
            drawn = None if baseline is None else _scaled(baseline, scale)
            yield PageLine(path, name, image, _scaled(polygon, scale), drawn, _alto_text(line))


def _scale(path: Path, root: ET.Element, page: ET.Element, image: Path, dpi: float | None) -> float:
    """Pixels to a unit of the file."""
    unit = next((e.text or "" for e in _all(root, "MeasurementUnit")), "pixel").strip().lower()
    if unit in ("", "pixel"):
        return 1.0
    an_inch = _UNITS_AN_INCH.get(unit)
    if an_inch is None:
        known = ", ".join(["pixel", *_UNITS_AN_INCH])
        raise DataError(f"{path}: measures in {unit!r}, which is none of {known}.")
    if dpi is not None:
        return dpi / an_inch
    if width := _number(page.get("WIDTH")):
        return image_facts(image).width / width
    raise DataError(
        f"{path}: measures in {unit} and doesn't give the page's WIDTH, so that pixels are "
        "unknown; give the dots an inch of its image (dpi)."
    )


_UNITS_AN_INCH = {"mm10": 254.0, "inch1200": 1200.0}


def _box(line: ET.Element) -> Points:
    """The corners of HPOS, VPOS, WIDTH and HEIGHT; nothing where one is missing."""
    sides = [_number(line.get(side)) for side in ("HPOS", "VPOS", "WIDTH", "HEIGHT")]
    if None in sides:
        return ()
    left, top, width, height = (side or 0.0 for side in sides)
    right, bottom = left + width, top + height
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _alto_baseline(path: Path, name: str, text: str, polygon: Points) -> Points | None:
    """Points in version 4; one height for the whole line before."""
    if (height := _number(text)) is not None:
        sides = [x for x, _ in polygon]
        return ((min(sides), height), (max(sides), height))
    points = _points(path, name, text)
    return points if len(points) > 1 else None


def _alto_text(line: ET.Element) -> str | None:
    """Strings, spaces and hyphens; in a line without any space strings are words of their own."""
    between = "" if _children(line, "SP") else " "
    pieces: list[str] = []
    for element in line:
        kind, content = _name(element), element.get("CONTENT", "")
        if kind == "String":
            pieces += [between, content] if pieces else [content]
        elif kind in ("SP", "HYP"):
            pieces.append(" " if kind == "SP" else content)
    return "".join(pieces).strip() or None


def _scaled(points: Points, scale: float) -> Points:
    return tuple((x * scale, y * scale) for x, y in points)


# Both


def _number(text: str | None) -> float | None:
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _points(path: Path, name: str, text: str) -> Points:
    """The pairs in `x,y x,y` or `x y x y`."""
    numbers = [_number(word) for word in re.split(r"[\s,]+", text.strip()) if word]
    if len(numbers) % 2 or None in numbers:
        raise DataError(
            f"{path}: {name}: its points are {text[:60]!r}; give pairs of numbers, x,y x,y ..."
        )
    values = [number or 0.0 for number in numbers]
    return tuple(zip(values[::2], values[1::2], strict=True))


def _outline(path: Path, name: str, points: Points) -> Points:
    if len(points) == 2:  # two opposite corners
        (left, top), (right, bottom) = points
        points = ((left, top), (right, top), (right, bottom), (left, bottom))
    if len(points) < 3:
        raise DataError(
            f"{path}: {name}: has no outline (PAGE: Coords; ALTO: Shape, or HPOS, VPOS, WIDTH and "
            "HEIGHT); export lines with their polygons, or remove the line."
        )
    return points


_ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def _image(path: Path, named: str) -> Path:
    """The page's image: as named below the XML's folder, or of that name in it; never elsewhere."""
    inner = PurePosixPath(named.replace("\\", "/"))
    choices = [path.parent / inner.name] if inner.name else []
    if inner.name and not inner.is_absolute() and ".." not in inner.parts:
        choices.insert(0, path.parent / inner)
    if not named:
        choices = [path.with_suffix(ending) for ending in _ENDINGS]
    image = next((choice for choice in choices if choice.is_file()), None)
    if image is None:
        wanted = named or f"{path.stem}.png (it names none)"
        raise DataError(
            f"{path}: its image {wanted} is not in {path.parent}; put it beside the XML file."
        )
    return image
