"""Lines of PAGE and ALTO XML, written by hand, and what is wrong with files that can't be used."""

import numpy as np
import pytest
from PIL import Image

from recurra.data.images.page_layout import read_page_lines
from recurra.errors import DataError

SQUARE = ((10.0, 20.0), (60.0, 20.0), (60.0, 40.0), (10.0, 40.0))
POINTS = "10,20 60,20 60,40 10,40"


@pytest.fixture
def folder(tmp_path):
    Image.fromarray(np.full((100, 200), 255, np.uint8)).save(tmp_path / "scan.png")
    return tmp_path


def read(folder, text, name="scan.xml", **options):
    (folder / name).write_text(text, encoding="utf-8")
    return read_page_lines(folder / name, **options)


def page(lines, *, year="2019-07-15", image="scan.png"):
    space = f"http://schema.primaresearch.org/PAGE/gts/pagecontent/{year}"
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><PcGts xmlns="{space}"><Metadata/>'
        f'<Page imageFilename="{image}" imageWidth="200" imageHeight="100">'
        f'<TextRegion id="r"><Coords points="0,0 9,0 9,9"/>{lines}</TextRegion></Page></PcGts>'
    )


def page_line(inner, coords=f'<Coords points="{POINTS}"/>'):
    return f'<TextLine id="l1">{coords}{inner}</TextLine>'


def equiv(text, index=None):
    mark = "" if index is None else f' index="{index}"'
    return f"<TextEquiv{mark}><Unicode>{text}</Unicode></TextEquiv>"


@pytest.mark.parametrize("year", ["2013-07-15", "2017-07-15", "2019-07-15"])
def test_a_line_of_page(folder, year):
    text = page_line('<Baseline points="10,35 60,36"/>' + equiv("né à Évreux &amp; là"))
    (line,) = read(folder, page(text, year=year))
    assert line.polygon == SQUARE
    assert line.baseline == ((10, 35), (60, 36))
    assert line.text == "né à Évreux & là"
    assert (line.id, line.source) == ("l1", folder / "scan.xml")
    assert line.image == folder / "scan.png"


def test_page_of_2009_has_elements_for_points(folder):
    corners = "".join(f'<Point x="{x:.0f}" y="{y:.0f}"/>' for x, y in SQUARE)
    text = page(page_line("", f"<Coords>{corners}</Coords>"), year="2010-03-19")
    assert read(folder, text)[0].polygon == SQUARE


def test_the_first_transcript_and_those_of_words(folder):
    words = "".join(f'<Word id="w{n}">{equiv(w)}</Word>' for n, w in enumerate(["two", "words"]))
    lines = [
        equiv("second", 1) + equiv("first", 0),
        words,
        words + equiv("the line's own"),
        equiv(" "),
        "",
    ]
    found = read(folder, page("".join(map(page_line, lines))))
    assert [line.text for line in found] == ["first", "two words", "the line's own", None, None]


def test_lines_keep_the_order_of_nested_regions(folder):
    inner = f'<TextRegion id="s">{page_line(equiv("b"))}</TextRegion>'
    found = read(folder, page(page_line(equiv("a")) + inner + page_line(equiv("c"))))
    assert [line.text for line in found] == ["a", "b", "c"]


def alto(line, *, unit="pixel", version=4, page="", file="scan.png"):
    space = f"http://www.loc.gov/standards/alto/ns-v{version}#"
    return (
        f'<alto xmlns="{space}"><Description><MeasurementUnit>{unit}</MeasurementUnit>'
        f"<sourceImageInformation><fileName>{file}</fileName></sourceImageInformation>"
        f"</Description><Layout><Page {page}><PrintSpace><TextBlock>{line}</TextBlock>"
        f"</PrintSpace></Page></Layout></alto>"
    )


BOX = 'HPOS="10" VPOS="20" WIDTH="50" HEIGHT="20"'


@pytest.mark.parametrize("version", [2, 3, 4])
def test_a_line_of_alto(folder, version):
    strings = '<String CONTENT="deux"/><SP/><String CONTENT="mots"/><HYP CONTENT="-"/>'
    line = f'<TextLine ID="t1" {BOX} BASELINE="36">{strings}</TextLine>'
    (found,) = read(folder, alto(line, version=version))
    assert found.polygon == SQUARE
    assert found.baseline == ((10, 36), (60, 36))
    assert (found.text, found.id) == ("deux mots-", "t1")


@pytest.mark.parametrize("points", [POINTS, POINTS.replace(",", " ")])
def test_outlines_and_baselines_of_alto_4(folder, points):
    shape = f'<Shape><Polygon POINTS="{points}"/></Shape>'
    line = f'<TextLine BASELINE="10,36 60,30">{shape}<String CONTENT="a b"/></TextLine>'
    (found,) = read(folder, alto(line))
    assert (found.polygon, found.baseline) == (SQUARE, ((10, 36), (60, 30)))
    assert (found.text, found.id) == ("a b", "line 1")


def test_strings_without_spaces_between_them_are_words(folder):
    line = f'<TextLine {BOX}><String CONTENT="a"/><String CONTENT="b"/></TextLine>'
    empty = f'<TextLine {BOX}><String CONTENT=""/></TextLine>'
    assert [found.text for found in read(folder, alto(line + empty))] == ["a b", None]


@pytest.mark.parametrize(
    ("unit", "page", "dpi", "scale"),
    [
        ("mm10", "", 254.0, 1.0),
        ("mm10", 'WIDTH="100"', None, 2.0),
        ("inch1200", "", 300.0, 0.25),
        ("inch1200", 'WIDTH="2400"', None, 1 / 12),
        ("inch1200", 'WIDTH="2400"', 600.0, 0.5),
    ],
)
def test_units_become_pixels(folder, unit, page, dpi, scale):
    line = f'<TextLine {BOX} BASELINE="36"/>'
    (found,) = read(folder, alto(line, unit=unit, page=page), dpi=dpi)
    np.testing.assert_allclose(found.polygon, np.array(SQUARE) * scale)
    np.testing.assert_allclose(found.baseline, np.array([(10, 36), (60, 36)]) * scale)


def test_units_that_cannot_become_pixels(folder):
    line = f"<TextLine {BOX}/>"
    with pytest.raises(DataError, match=r"scan\.xml: measures in mm10 .* dots an inch .*\(dpi\)"):
        read(folder, alto(line, unit="mm10"))
    with pytest.raises(DataError, match="measures in 'cubit', which is none of pixel, mm10"):
        read(folder, alto(line, unit="cubit"))


def test_images_below_the_folder_and_named_by_other_machines(folder):
    (folder / "img").mkdir()
    (folder / "scan.png").rename(folder / "img" / "scan.png")
    assert read(folder, page("", image="img/scan.png")) == []
    (folder / "img" / "scan.png").rename(folder / "scan.png")
    for name in (r"C:\scans\scan.png", "/data/scan.png", "file:///a/scan.png", ""):
        found = read(folder, page(page_line(""), image=name))
        assert found[0].image == folder / "scan.png"


@pytest.mark.parametrize(
    "name", ["../scan.png", "../../scan.png", "/scan.png", "img/../../scan.png"]
)
def test_images_outside_the_folder_are_not_read(folder, name):
    (folder / "inner").mkdir()
    with pytest.raises(DataError, match=r"scan\.png is not in .*inner; put it beside the XML"):
        read(folder, page("", image=name), "inner/scan.xml")


def test_a_missing_image(folder):
    with pytest.raises(DataError, match=r"scan\.xml: its image gone\.png is not in"):
        read(folder, page("", image="gone.png"))
    with pytest.raises(DataError, match=r"its image b\.png \(it names none\) is not in"):
        read(folder, alto("", file=""), "b.xml")


BOMB = '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]>'
FILE = '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/hostname">]>'


@pytest.mark.parametrize("head", [BOMB, FILE, "<!DOCTYPE PcGts>"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_are_refused(folder, head, encoding):
    body = page(page_line("")).partition("?>")[2]
    (folder / "scan.xml").write_bytes((head + body).encode(encoding))
    with pytest.raises(DataError, match=r"scan\.xml: has a document type"):
        read_page_lines(folder / "scan.xml")


@pytest.mark.parametrize("text", ["", "text", "<PcGts>", "<a><b></a>", page("")[:-9]])
def test_what_is_not_whole_xml(folder, text):
    with pytest.raises(DataError, match=r"scan\.xml: is not whole XML"):
        read(folder, text)


def test_other_xml_and_no_file(folder):
    with pytest.raises(DataError, match=r"its root is <html>; lines are read from PAGE XML"):
        read(folder, "<html/>")
    with pytest.raises(DataError, match="no such file"):
        read_page_lines(folder / "gone.xml")


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ("", "has no outline"),
        ('<Coords points=""/>', "has no outline"),
        ('<Coords points="1,2"/>', "has no outline"),
        ('<Coords points="1,2 3,4 5"/>', "its points are '1,2 3,4 5'; give pairs"),
        ('<Coords points="1,2 3,x 5,6"/>', "its points are"),
        ('<Coords points="1,2 3,nan 5,6"/>', "its points are"),
    ],
)
def test_lines_without_a_usable_outline_are_named(folder, coords, message):
    with pytest.raises(DataError, match=rf"scan\.xml: l1: {message}"):
        read(folder, page(page_line("", coords)))


def test_alto_lines_without_a_box_are_named(folder):
    with pytest.raises(DataError, match=r"scan\.xml: t9: has no outline"):
        read(folder, alto('<TextLine ID="t9" HPOS="1" VPOS="2" WIDTH="3"/>'))
