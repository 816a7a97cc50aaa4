"""Items from manifests, folders and lists: what comes, and what each bad one is told."""

import gzip

import numpy as np
import pytest

from recurra.data.text_form import TextForm
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import Item, kind_of_items, recognise_file
from recurra.data.transcripts.item_sources import digest_items, read_items
from recurra.errors import DataError

PNG = b"\x89PNG\r\n\x1a\n rest"
INK = '{"id": "a", "text": "hi", "strokes": [[[0, 0], [1, 2]]]}\n{"strokes": [], "text": "yo"}\n'
PAGE = '<?xml version="1.0"?>\n<PcGts xmlns="http://schema.primaresearch.org/PAGE/"><Page/></PcGts>'
ALTO = b"\xef\xbb\xbf<?xml version='1.0'?><!-- <ink> later --><alto><Layout/></alto>"
INKML = '<inkml:ink xmlns:inkml="http://www.w3.org/2003/InkML"></inkml:ink>'


def shown(items):
    return [(item.name, item.kind, item.text) for item in items]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.wav", None, ("sound", "file")),
        ("a.bin", None, ("sound", "file")),
        ("a.wav", PNG, ("image", "file")),
        ("a.FLAC", b"fLaC0", ("sound", "file")),
        ("a.mp3", b"\xff\xfb\x90", ("sound", "file")),
        ("a.jpeg", b"\xff\xd8\xff\xe0", ("image", "file")),
        ("a.TIF", b"II*\0", ("image", "file")),
        ("a.xml", PAGE, ("image", "page")),
        ("a.xml", PAGE.encode("utf-16"), ("image", "page")),
        ("a.xml", ALTO, ("image", "alto")),
        ("a.inkml", INKML, ("ink", "inkml")),
        ("a.xml", INKML, ("ink", "inkml")),
        ("a.xml", "<ink>", ("ink", "inkml")),
    ],
)
def test_kinds_of_files(put, name, content, expected):
    assert recognise_file(put(name, content)) == expected


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.wav", "", r"a.wav: is empty \(0 bytes\)"),
        ("a.pdf", "%PDF", "neither its content nor its ending is of a known kind .*convert it"),
        ("a.xml", "<html>", "neither its content"),
        ("a.wav/b", "", "a.wav: is a folder; name the file in it"),
    ],
)
def test_files_of_no_kind(put, tmp_path, name, content, message):
    put(name, content)
    with pytest.raises(DataError, match=message):
        recognise_file(tmp_path / name.partition("/")[0])


def test_a_manifest(put):
    put("wav/a.wav"), put("wav/b.wav")
    path = put(
        "list.csv", "who,File,Text\nann,wav/a.wav,  one  two\nbob,./wav/../wav/b.wav,three\n"
    )
    first, second = read_items(path)
    assert (first.name, first.kind, first.text, first.format) == (
        "wav/a.wav",
        "sound",
        "one two",
        "file",
    )
    assert first.path == path.parent / "wav" / "a.wav"
    assert (dict(first.columns), first.origin) == ({"who": "ann"}, f"{path}, line 2")
    assert second.path == path.parent / "wav" / "b.wav"
    assert shown(read_items(str(path), where="who=bob")) == [(second.name, "sound", "three")]


def test_a_folder_with_a_manifest_is_that_manifest(put, tmp_path):
    put("x/a.wav")
    put("manifest.csv", "path,digit\na.wav,7\n")
    (item,) = read_items(tmp_path, root="x", text_column="digit")
    assert (item.text, item.path) == ("7", tmp_path / "x" / "a.wav")
    put("manifest.tsv", "path\n")
    with pytest.raises(DataError, match=r"has manifest.csv and manifest.tsv; name one of them"):
        read_items(tmp_path)


BAD_ROWS = {
    "a.wav,again": ("is listed before", "a.wav: is listed before"),
    "b.wav,": ("has an empty transcript", "b.wav: has an empty transcript."),
    "b.wav,?!": (
        "has an empty transcript in the form of the texts",
        r"form of the texts \('\?!'\)",
    ),
    "c.wav,x": ("no such file", r"c.wav: no such file .*; sub has it: root = sub"),
    "sub\\c.wav,x": ("no such file", r"no such file .*; write / for each \\"),
    "d.wav,x": ("no such file", r"d.wav: no such file .* is the folder."),
    f"{'n' * 999}.wav,x": ("no such file", "nnn.wav: no such file"),
    "a\0.wav,x": ("no such file", "no such file"),
    "../out.wav,x": ("leaves the folder", r"../out.wav: leaves the folder .*outside = true"),
    "/etc/passwd,x": ("leaves the folder", "/etc/passwd: leaves the folder"),
    "zero.wav,x": ("is empty", "zero.wav: is empty"),
    "sub,x": ("is a folder", "sub: is a folder"),
    "no.pdf,x": ("neither its content nor its ending is of a known kind", "no.pdf: neither"),
    ",x": ("the path is empty", "line 3: the path is empty"),
    "b.wav,x,y": ("has … cells, and the header …", "line 3: has 3 cells, and the header 2"),
    "pic.png,x": ("is of kind image", "pic.png: is of kind image, and sound is wanted"),
}


@pytest.mark.parametrize("row", BAD_ROWS)
def test_bad_rows_are_named_with_file_and_line_and_the_rest_is_read(put, row):
    put("list/a.wav"), put("list/b.wav"), put("list/sub/c.wav"), put("out.wav")
    put("list/zero.wav", ""), put("list/no.pdf", "%PDF"), put("list/pic.png", PNG)
    path = put("list/l.csv", f"path,text\na.wav,one\n{row}\n")
    bad, how = BadItems(0.5), {"kind": "sound", "form": TextForm(punctuation="remove")}
    reason, message = BAD_ROWS[row]
    assert shown(read_items(path, bad=bad, **how)) == [("a.wav", "sound", "one")]
    assert bad.reasons == {reason: 1}
    assert list(bad.messages) == [f"{path}, line 3"]
    for limit in (None, BadItems()):
        with pytest.raises(DataError, match=message) as error:
            read_items(path, bad=limit, **how)
        assert f"{path}, line 3" in str(error.value)


def test_paths_outside_may_be_allowed(put):
    out, path = put("out.wav"), put("list/l.csv", "path,text\n../out.wav,x\n")
    assert read_items(path, outside=True)[0].path == out
    inside = put("in.csv", f"path,text\n{out},x\n")
    assert read_items(inside)[0].path == out


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("path,words,text", "columns 'words', 'text' may each be the text"),
        ("place,text", r"no column has the path \(known names: path, file, .*path_column = NAME"),
        ("path,said", r"no column has the text .* it has 'path', 'said'; .*text_column = NAME"),
    ],
)
def test_columns_that_are_not_found(put, header, message):
    path = put("l.csv", f"{header}\n{','.join('x' for _ in header.split(','))}\n")
    with pytest.raises(DataError, match=message):
        read_items(path)


def test_a_manifest_may_have_no_texts_when_none_are_needed(put):
    put("a.wav")
    assert read_items(put("l.csv", "path\na.wav\n"), texts=False)[0].text is None


def test_files_of_lines_have_their_texts_inside(put):
    put("p.xml", PAGE), put("i.inkml", INKML), put("a.wav")
    found = read_items(put("l.csv", "path\np.xml\ni.inkml\n"))
    assert [(item.format, item.text) for item in found] == [("page", None), ("inkml", None)]
    assert read_items(put("t.csv", "path,text\np.xml,\n"))[0].text is None
    with pytest.raises(DataError, match="no column has the text"):
        read_items(put("m.csv", "path\np.xml\na.wav\n"))


def test_texts_beside_a_file_that_cannot_be_read(put):
    wav, text = put("a.wav"), put("a.txt", b"caf\xe9")
    with pytest.raises(DataError, match=r"a.txt: is not UTF-8 .*iconv -f latin1 -t utf-8$"):
        read_items(wav)
    text.write_bytes(b"\n")
    with pytest.raises(DataError, match=r"a.txt: is empty.$"):
        read_items(wav)


def test_ink_is_a_line_of_its_file(put, tmp_path):
    path = put("pen/ink.jsonl.gz", gzip.compress(INK.encode()))
    for source in (path, path.parent):
        first, second = read_items(source)
        assert (first.name, first.text, first.path, first.line) == ("a", "hi", path, 1)
        assert (second.name, second.line) == ("ink.jsonl.gz:2", 2)
        assert {first.kind, first.format, second.format} == {"ink", "strokes"}


def test_a_folder(put, tmp_path):
    put("b/2.wav"), put("b/2.txt", "two\n"), put("a.wav"), put("a.txt", "\ufeffone")
    put("line.bin.png", PNG), put("line.gt.txt", "kraken"), put("line.txt", "not this")
    put("p.tif", b"II*\0"), put("p.xml", PAGE), put("README.txt", "x"), put("notes.pdf", "x")
    put(".hidden/c.wav"), put("i.inkml", INKML)
    put("list.jsonl", '{"path": "a.wav"}')
    found = read_items(tmp_path)
    assert shown(found) == [
        ("a.wav", "sound", "one"),
        ("i.inkml", "ink", None),
        ("line.bin.png", "image", "kraken"),
        ("p.xml", "image", None),
        ("b/2.wav", "sound", "two"),
    ]


def test_a_folder_with_gaps(put, tmp_path):
    put("a.wav"), put("b.png", PNG), put("c.gt.txt", "x")
    bad = BadItems(1)
    with pytest.raises(DataError, match="3 of 3 items can't be used, all of the data"):
        read_items(tmp_path, bad=bad)
    told = "\n".join(bad.messages.values())
    assert "a.wav: has no transcript beside it (a.txt)." in told
    assert "b.png: has no transcript beside it (b.gt.txt)." in told
    assert "c.gt.txt: has no picture or recording beside it." in told
    assert len(read_items(tmp_path, texts=False)) == 2


def test_lists_of_paths_pairs_and_arrays(put, tmp_path):
    a, b = put("a.wav"), put("x/a.wav")
    put("a.txt", "one"), put("x/a.txt", "two")
    assert shown(read_items([a, b])) == [("a.wav", "sound", "one"), (str(b), "sound", "two")]
    assert shown(read_items([(str(a), "eins")])) == [(str(a), "sound", "eins")]
    wave = np.zeros(5)
    first, second = read_items([(wave, "x"), (a, "y")], kind="sound")
    assert first.data is wave
    assert (first.name, first.format, first.path) == ("item 0", "memory", None)
    assert read_items([wave], kind="sound", texts=False)[0].text is None
    assert read_items([first, second])[0].text == "x"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("n" * 999, "nnn: no such file or folder"),
        ("/nowhere/l.csv", "/nowhere/l.csv: no such file or folder"),
        (5, "an object of type int is not a source of items; give a path, or a list"),
        ({"a": 1}, "type dict is not a source"),
        ([], "type list: has no item; give a manifest with columns path and text"),
        ([np.zeros(3)], r"item 0 \(from 0\) is an object of type ndarray; give a path, or a pair"),
        ([(np.zeros(3), "x")], "doesn't say what it is; give kind = sound, ink or image"),
        ([("nope.wav", "x")], "nope.wav: no such file"),
        ([("a", "b", "c")], "item 0 .* type tuple; give a path, or a pair"),
    ],
)
def test_sources_that_are_none(source, message):
    with pytest.raises(DataError, match=message):
        read_items(source)


def test_rows_are_chosen_in_manifests_alone(put, tmp_path):
    put("a.wav"), put("a.txt", "x")
    with pytest.raises(DataError, match="is not a manifest, so it has no columns to choose rows"):
        read_items(tmp_path, where="split=train")
    with pytest.raises(DataError, match="is not a folder, and root = zz names it"):
        read_items(put("l.csv", "path,text\na.wav,x\n"), root="zz")


def test_items_have_one_kind():
    items = [Item("a", "sound", "x"), Item("b", "image", "x"), Item("c", "sound", "x")]
    assert kind_of_items(items[:1]) == "sound"
    with pytest.raises(DataError, match=r"2 of sound \(a\), 1 of image \(b\)"):
        kind_of_items(items)
    with pytest.raises(DataError, match="There is no item"):
        kind_of_items([])


def test_the_digest_is_that_of_names_texts_and_bytes(put, tmp_path):
    def digest(text="one", content=b"RIFF....WAVE", folder="x", extra=""):
        put(f"{folder}/a.wav", content)
        return digest_items(
            read_items(put(f"{folder}/l.csv", f"path,text,w\na.wav,{text},1\n{extra}"), where="w=1")
        )

    same = {digest(), digest(folder="y"), digest(extra="a.wav,two,2\n")}
    assert len(same | {digest(text="two"), digest(content=b"RIFF...!WAVE")}) == 3
    arrays = [
        read_items([(a, "x")], kind="ink") for a in (np.zeros(4), np.zeros((2, 2)), np.ones(4))
    ]
    assert len({digest_items(items) for items in arrays}) == 3
    gone = read_items([(put("gone.wav"), "x")])
    gone[0].path.unlink()
    with pytest.raises(DataError, match=r"gone.wav: cannot be read"):
        digest_items(gone)


SETS = {
    "asterisk_prompts": (547, {}),
    "yesno": (60, {"root": "waves_yesno"}),
    "fsdd": (1800, {"root": "recordings", "text_column": "digit"}),
    "handwriting_lines": (3000, {}),
    "printed_lines": (680, {}),
    "pen_text": (12250, {}),
}


@pytest.mark.data
@pytest.mark.parametrize("name", SETS)
def test_real_sets_are_read_whole(real_data, name):
    count, how = SETS[name]
    items = read_items(real_data / name, **how)
    assert len(items) == count == len({item.name for item in items})
    assert kind_of_items(items)
    assert all(item.text for item in items)
