"""InkML: the coding of traces, the channels in force, items and their texts, hostile files."""

import numpy as np
import pytest

from recurra.data.ink.inkml import read_inkml
from recurra.data.ink.inkml_trace import decode_trace
from recurra.errors import DataError

NAMESPACE = 'xmlns="http://www.w3.org/2003/InkML"'


def read(tmp_path, body, root=f"<ink {NAMESPACE}>"):
    path = tmp_path / "a.inkml"
    path.write_text(f"{root}{body}</ink>")
    return read_inkml(path)


def strokes(item):
    return [stroke.tolist() for stroke in item.ink.strokes]


def test_differences_of_first_and_second_order():
    """A trace with two intermittent booleans, as the Recommendation describes them."""
    text = "1125 18432,'23'43,\"7\"-8,3-5,7 -3,6 2,6 8,3 6 T,2 4*T,3 6,3-6 F F"
    values = decode_trace(text, channels=4, regular=2)
    x = [1125, 1148, 1178, 1211, 1251, 1297, 1349, 1404, 1461, 1521, 1584]
    y = [18432, 18475, 18510, 18540, 18567, 18596, 18633, 18676, 18723, 18776, 18823]
    assert values[:, 0].tolist() == x
    assert values[:, 1].tolist() == y
    assert values[[7, 8, 10], 2].tolist() == [1, 1, 0]
    assert values[[8, 10], 3].tolist() == [1, 0]
    assert np.isnan(values[:7, 2:]).all()


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("5 0, * 0, 7 0", [5, 5, 7]),
        ("5 0, '2 0, * 0, 3 0, *0", [5, 7, 9, 12, 15]),
        ('5 0, \'2 0, "1 0, * 0, "0 0', [5, 7, 10, 14, 18]),
        ("5 0, '2 0, !1 0, 2 0, '4 0", [5, 7, 1, 2, 6]),
        ('1 0, 4 0, "2 0', [1, 4, 9]),
        ("1e1 0,.5 0,-.25-7,#fF 0,", [10, 0.5, -0.25, 255]),
    ],
)
def test_prefixes_and_wildcards(text, x):
    assert decode_trace(text, 2, 2)[:, 0].tolist() == x


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2, 3", "point 2 has 1 values, and 2 channels"),
        ("1 2 3 4", "point 1 has 4 values"),
        ("1 2, 3 x", "point 2: 'x' is not a value"),
        ("1 2, 3 nan", "'nan' is not a value"),
        ("'1 2", "starts with '1; the first value of a channel must be a number"),
        ("* 2", r"starts with \*"),
        (",".join(["1 2"] * 100_001), "has 100,001 points"),
    ],
)
def test_traces_that_cannot_be_decoded(tmp_path, text, message):
    with pytest.raises(DataError, match=f"a.inkml: trace t7: .*{message}"):
        read(tmp_path, f'<trace id="t7">{text}</trace>')


def test_one_item_without_a_label(tmp_path):
    [item] = read(tmp_path, "<trace>1 2, 3 4</trace><trace> </trace><trace>5 6</trace>")
    assert strokes(item) == [[[1, 2], [3, 4]], [[5, 6]]]
    assert item.label is None


def test_without_a_namespace_and_with_a_label(tmp_path):
    body = '<annotation type="writer">w</annotation><annotation type="truth"> a b </annotation>'
    [item] = read(tmp_path, f"{body}<trace>1 2</trace>", root="<ink>")
    assert item.label == "a b"


def test_channels_in_their_order(tmp_path):
    names = "".join(f'<channel name="{name}"/>' for name in ("T", "Y", "OE", "X", "F"))
    body = f"<context><traceFormat>{names}</traceFormat></context><trace>9 2 0 1 .5</trace>"
    [item] = read(tmp_path, body)
    assert item.ink.columns == ("x", "y", "pressure", "time")
    assert strokes(item) == [[[1, 2, 0.5, 9]]]


def test_a_channel_not_reported_is_left_out(tmp_path):
    form = '<channel name="X"/><channel name="Y"/><intermittentChannels><channel name="F"/>'
    body = f"<traceFormat>{form}</intermittentChannels></traceFormat>"
    [item] = read(tmp_path, f"{body}<trace>1 2 3, 4 5</trace><trace>1 2 3</trace>")
    assert item.ink.columns == ("x", "y")
    [item] = read(tmp_path, f"{body}<trace>1 2 3</trace>")
    assert item.ink.columns == ("x", "y", "pressure")


def test_contexts_by_reference(tmp_path):
    form = '<traceFormat xml:id="yx"><channel name="Y"/><channel name="X"/></traceFormat>'
    body = f'<definitions>{form}<context xml:id="c" traceFormatRef="#yx"/></definitions>'
    body += '<trace>1 2</trace><trace contextRef="#c">3 4</trace>'
    [item] = read(tmp_path, f'{body}<traceGroup contextRef="#c"><trace>5 6</trace></traceGroup>')[
        :1
    ]
    assert strokes(item) == [[[6, 5]]]
    assert strokes(read(tmp_path, body)[0]) == [[[1, 2]], [[4, 3]]]


def test_items_of_groups(tmp_path):
    def group(label, *inside):
        note = f'<annotation type="transcription">{label}</annotation>' if label else ""
        return f"<traceGroup>{note}{''.join(inside)}</traceGroup>"

    a, b, c, d, e = (f"<trace>{i} {i}</trace>" for i in range(5))
    page = group("", group("ab", group("a", a), group("b", b)), group("c", c))
    items = read(tmp_path, page + group("", d) + e)
    found = [(item.label, [s[0][0] for s in strokes(item)]) for item in items]
    assert found == [("ab", [0, 1]), ("c", [2]), (None, [3]), (None, [4])]


def test_views_of_traces(tmp_path):
    body = '<trace xml:id="a">1 1</trace><trace xml:id="b">2 2</trace><trace>3 3</trace>'
    view = '<annotation type="truth">x</annotation><traceView traceDataRef="#b"/>'
    items = read(tmp_path, f"{body}<traceGroup>{view}</traceGroup>")
    assert [(item.label, strokes(item)) for item in items] == [
        ("x", [[[2, 2]]]),
        (None, [[[1, 1]], [[3, 3]]]),
    ]


def test_definitions_are_not_drawn_and_pen_ups_neither(tmp_path):
    body = "<definitions><trace>1 1</trace></definitions>"
    [item] = read(tmp_path, f'{body}<trace type="penUp">2 2</trace><trace>3 3</trace>')
    assert strokes(item) == [[[3, 3]]]


def test_a_trace_goes_on(tmp_path):
    body = '<trace id="a" continuation="begin">1 1</trace><trace>9 9</trace>'
    body += '<trace id="b" continuation="middle" priorRef="#a">2 2</trace>'
    body += '<trace id="c" continuation="end" priorRef="#b">3 3</trace>'
    [item] = read(tmp_path, body)
    assert strokes(item) == [[[1, 1], [2, 2], [3, 3]], [[9, 9]]]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_document_types_are_refused(tmp_path, encoding):
    path = tmp_path / "a.inkml"
    bomb = '<!DOCTYPE ink [<!ENTITY a "1 "><!ENTITY b "&a;&a;&a;">]><ink><trace>&b;</trace></ink>'
    path.write_bytes(f'<?xml version="1.0" encoding="{encoding}"?>{bomb}'.encode(encoding))
    with pytest.raises(DataError, match=r"a.inkml: declares the document type 'ink'.*take the"):
        read_inkml(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not XML"),
        ("<ink><trace>1 2</ink>", "is not XML"),
        ("<html/>", "the root is <html>"),
        ("<ink/>", "holds no trace with points"),
        ("<ink><trace/></ink>", "holds no trace with points"),
        (
            '<ink><traceFormat><channel name="X"/></traceFormat></ink>',
            "has the channels X; X and Y",
        ),
        ("<ink><trace>&amp;</trace></ink>", "'&' is not a value"),
        ("<ink>" + "<traceGroup>" * 5000 + "</traceGroup>" * 5000 + "</ink>", "nested too deeply"),
        ('<?xml version="1.0" encoding="wrong"?><ink/>', "is not XML"),
    ],
)
def test_files_that_cannot_be_used(tmp_path, text, message):
    (tmp_path / "a.inkml").write_text(text)
    with pytest.raises(DataError, match=f"a.inkml: .*{message}"):
        read_inkml(tmp_path / "a.inkml")


def test_a_missing_and_a_large_file(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="no such file"):
        read_inkml(tmp_path / "absent")
    monkeypatch.setattr("recurra.data.ink.inkml.MAX_BYTES", 9)
    with pytest.raises(DataError, match="bytes, and 9 are allowed"):
        read(tmp_path, "")
