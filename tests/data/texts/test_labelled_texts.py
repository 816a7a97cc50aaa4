"""Labelled texts from files, folders, frames and lists; what each bad row is told."""

import gzip
import json
from collections import Counter

import numpy as np
import pandas as pd
import polars as pl
import pytest

from recurra.data.texts.labelled_texts import read_texts
from recurra.data.texts.labels import label_of, labels_of, several_labels
from recurra.data.transcripts.bad_items import BadItems
from recurra.data.transcripts.item import kind_of_items
from recurra.data.transcripts.item_sources import digest_items
from recurra.errors import ConfigError, DataError


@pytest.fixture
def put(tmp_path):
    """A function that writes a file below the test's folder."""

    def write(name, content):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data = content.encode() if isinstance(content, str) else content
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return write


def shown(items):
    return [(item.text, item.data) for item in items]


PAIRS = [("pos", "very good"), ("neg", "so, so bad"), ("pos", "fine"), ("neg", "a\u2028b")]


def lines(form):
    return "".join(form.format(label, text) + "\n" for label, text in PAIRS)


FILES = {
    "a.csv": "text,label\n" + lines('"{1}",{0}'),
    "b.csv.gz": "\ufeffLabel,idx, Sentence \r\n" + lines('{0},7,"{1}"').replace("\n", "\r\n"),
    "c.tsv": "question\tclass\n" + lines("{1}\t{0}"),
    "d.tsv": lines("{1}\t{0}"),
    "e.csv": lines('{0},"{1}"'),
    "f.txt": lines("{0}\t{1}"),
    "g.txt": "intent\tutterance\n" + lines("{0}\t{1}"),
    "h.jsonl": "".join(json.dumps({"category": c, "body": t}) + "\n" for c, t in PAIRS),
    "i.txt": "\n" + lines("__label__{0} {1}") + "\n\n",
    "j.train": lines("__label__{0}\t{1}"),
    "k.txt": lines("{0}:fine {1}"),
}


@pytest.mark.parametrize("name", FILES)
def test_files(put, name):
    items = read_texts(put(name, FILES[name]))
    assert shown(items) == PAIRS
    assert kind_of_items(items) == "text"
    assert len({item.name for item in items}) == 4
    assert all(item.path is None and item.format == "memory" for item in items)


def test_items_have_columns_and_places(put):
    path = put("a.csv", 'text,label,split\n"two\nlines",x,train\nb,y,test\n')
    first, second = read_texts(str(path))
    assert (first.name, first.data, dict(first.columns)) == (
        "a.csv:2",
        "two\nlines",
        {"split": "train"},
    )
    assert second.origin == f"{path}, line 4"
    assert shown(read_texts(path, where="split=test")) == [("y", "b")]
    assert digest_items([first]) != digest_items([second])


def test_columns_are_named_where_their_names_are_unusual_or_several(put):
    path = put("a.csv", "question,sentence,kind\na,b,x\n")
    with pytest.raises(DataError, match=r"columns 'question', 'sentence' may each be the text"):
        read_texts(path)
    with pytest.raises(DataError, match=r"no column has the label .*label_column = NAME"):
        read_texts(path, text_column="question")
    found = read_texts(path, text_column="sentence", label_column="kind")
    assert shown(found) == [("x", "b")]
    assert [i.text for i in read_texts(path, text_column="question", labels=False)] == [None]
    both = put("b.csv", "title,text,name,label,score\nt,a,n,x,3\n")
    assert shown(read_texts(both)) == [("x", "a")]
    assert shown(read_texts(both, label_column="score")) == [("3", "a")]


def test_what_was_recognised_is_told(put):
    notes = []
    path = put("d.tsv", FILES["d.tsv"])
    read_texts(path, notes=notes)
    assert notes == [
        f"{path}: has no header; its second column was read as the label (2 different), its first "
        "as the text."
    ]
    read_texts(put("l.txt", "1 a b\n0 c\n1 d\n"), notes=notes)
    read_texts(put("k.txt", FILES["k.txt"]), notes=notes)
    assert "the first word of each line was read as its label" in notes[1]
    assert "LABEL:fine before each text was read as its label" in notes[2]
    quiet = []
    read_texts(put("a.csv", FILES["a.csv"]), notes=quiet)
    assert quiet == []


def test_a_header_is_no_label(put):
    rows = "kind\tquestion\nkind\twhat is it\nname\twho is it\nkind\twhich\nname\twho\n"
    assert len(read_texts(put("a.tsv", rows), label_column="kind")) == 4
    with pytest.raises(DataError, match="no column has the label"):
        read_texts(put("b.tsv", rows.replace("kind\tw", "sort\tw")))
    with pytest.raises(DataError, match="no column has the text"):
        read_texts(put("d.tsv", "sort\tthing\na\tu\na\tv\na\tw\nb\tx\nb\ty\nb\tz\n"))
    rows = "question\twho\nstatement\tI do\nquestion\twhat\nstatement\tyes\n"
    assert [item.text for item in read_texts(put("c.tsv", rows))] == ["question", "statement"] * 2


@pytest.mark.parametrize("content", ["pos\tgood\nneg\tbad\n", "a\tb\nc\td\na\te\nf\tg\n"])
def test_two_columns_that_cannot_be_told_apart(put, content):
    path = put("a.txt", content)
    with pytest.raises(DataError, match=r"no column has the text .*text_column = NAME"):
        read_texts(path)
    first = content.split("\n")[0].split("\t")
    assert shown(read_texts(path, layout="tab"))[0] == tuple(first)


def test_trec_has_a_label_of_two_parts(put):
    path = put("a.txt", "DESC:manner How ?\nENTY:other Which one ?\n")
    parts = {"coarse": "DESC", "fine": "manner", "whole": "DESC:manner"}
    for part, label in parts.items():
        assert shown(read_texts(path, label_part=part))[0] == (label, "How ?")
    assert read_texts(path)[1].text == "ENTY"


BAD = {
    "a.csv": [
        ("text,label\ngood,x\n,x\n", "line 3: has an empty text"),
        ('text,label\ngood,x\n" \t",x\n', "line 3: has a text of white space alone"),
        ("text,label\ngood,x\nbad,\n", "line 3: has no label; give one"),
        ("text,label\ngood,x\nbad,y,z\n", "line 3: has 3 cells, and the header 2"),
        ("text,label\ngood,x\nbad\n", "line 3: has 1 cells, and the header 2"),
        (
            b'text,label\ngood,x\n"two\nna\xefve",x\n',
            r"line 3: is not UTF-8 \(byte 0xef, the 3. of line 4\); convert it",
        ),
        ("good,x\ngood,x\nbad\nbad,y\nbad,y\n" + "a,x\nb,y\n" * 9, "line 3: has 1 cells, and most"),
    ],
    "a.jsonl": [
        ('{"text": "good", "label": "x"}\nno\n', r"line 2: is not valid JSON \(Expecting value, c"),
        ('{"text": "good", "label": "x"}\n[1]\n', "line 2: is not a JSON object"),
        ('{"text": "good", "label": "x"}\n{"label": "x"}\n', "line 2: has an empty text"),
        ('{"text": "good", "label": "x"}\n{"text": "a"}\n', "line 2: has no label"),
        ('{"text": "good", "label": "x"}\n{"text": [1], "label": "x"}\n', "of type list; give a s"),
        ('{"text": "good", "label": "x"}\n{"text": "a", "label": {}}\n', "label is of type dict"),
        (
            '{"text": "good", "label": "x"}\n{"text": "\\ud83d", "label": "x"}\n',
            r"its text has '\\ud83d', which is not valid Unicode",
        ),
        (
            b'{"text": "good", "label": "x"}\n{"text": "\xc3\xa9\xff", "label": "x"}\n',
            r"line 2: is not UTF-8 \(byte 0xff, the 13. of line 2\)",
        ),
    ],
    "a.txt": [
        ("__label__x good\n__label__y\n" + "__label__x a\n" * 9, "line 2: has an empty text"),
        ("__label__x good\nno\n" + "__label__x a\n" * 9, r"line 2: has no label; write __label__x"),
        ("__label__x good\n__label__ b\n" + "__label__x a\n" * 9, r"line 2: has no label; give"),
        ("__label__x good\n__label__x __label__y b\n", "line 2: has 2 labels; allow several"),
        ("A:b good\nno\n" + "A:b a\n" * 9, "line 2: has no label; write LABEL:fine text"),
        ("A:b good\nA:b\n" + "A:b a\n" * 9, "line 2: has an empty text"),
        (b"x\tgood\nx\tb\xe9\ny\tb\ny\tc\n", r"line 2: is not UTF-8 \(byte 0xe9, the 4. of line 2"),
    ],
}


@pytest.mark.parametrize(
    ("name", "content", "message"), [(name, *case) for name, cases in BAD.items() for case in cases]
)
def test_bad_rows_are_named_with_file_and_line(put, name, content, message):
    path = put(name, content)
    with pytest.raises(DataError, match=message) as error:
        read_texts(path)
    assert str(error.value).startswith(f"{path}, line ")
    bad = BadItems(0.5)
    items = read_texts(path, bad=bad)
    assert shown(items)[0][1] == "good"
    assert len(bad) == 1
    assert list(bad.messages.values()) == [str(error.value)]
    assert "white" in message or not any(item.data.strip() != item.data for item in items)


def test_each_damaged_row_is_told_its_own_place(put):
    path = put("a.csv", b"text,label\n\xe9,x\nb,x\nab\xff,y\n")
    bad = BadItems(0.9)
    assert shown(read_texts(path, bad=bad)) == [("x", "b")]
    assert "byte 0xe9, the 1. of line 2)" in bad.messages[f"{path}, line 2"]
    assert "byte 0xff, the 3. of line 4)" in bad.messages[f"{path}, line 4"]


def test_too_many_bad_rows_end_the_work(put):
    path = put("a.csv", "text,label\na,x\n,x\n")
    with pytest.raises(DataError, match=r"1 of 2 items can't be used, more than 10 %"):
        read_texts(path, bad=BadItems(0.1))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "", "is empty"),
        ("a.txt", "one text\nanother\n", r"its labels aren't recognised; name the layout: tab"),
        ("a.csv", "text,label\n", "There is no text"),
        ("a.csv", "text;label\na;x\n", "header is one cell with ';'"),
        ("a.csv", 'text,label\n"a,x\n', "the row that begins in line 2 can't be read"),
        ("a.txt", "__label__x a".encode("utf-16"), "is UTF-16; give encoding = utf-16"),
        ("a.txt", b"\x89PNG\0", "is binary, not text"),
        ("a.csv", "a,b\n1,2\n", r"no column has the text \(known names: text, sentence"),
    ],
)
def test_files_that_cannot_be_read(put, name, content, message):
    with pytest.raises(DataError, match=message):
        read_texts(put(name, content))


def test_encodings(put):
    path = put("a.txt", "__label__x na\xefve".encode("latin-1"))
    assert shown(read_texts(path, encoding="latin-1")) == [("x", "na\xefve")]
    wide = put("b.txt", "__label__x na\xefve".encode("utf-16"))
    assert shown(read_texts(wide, encoding="utf-16")) == [("x", "na\xefve")]
    with pytest.raises(DataError, match="is not of encoding ascii"):
        read_texts(path, encoding="ascii")
    with pytest.raises(ConfigError, match="encoding = 'klingon'"):
        read_texts(path, encoding="klingon")


def test_folders_of_classes(put, tmp_path):
    for name, text in (("pos/1.txt", "good\n"), ("pos/2.txt", "a\nb"), ("neg/1.txt", "bad")):
        put(f"set/{name}", text)
    put("set/readme.txt", "not read"), put("set/.git/x.txt", "nor this")
    notes = []
    items = read_texts(tmp_path / "set", notes=notes)
    assert shown(items) == [("neg", "bad"), ("pos", "good"), ("pos", "a\nb")]
    assert [item.name for item in items] == ["neg/1.txt", "pos/1.txt", "pos/2.txt"]
    assert notes == [f"{tmp_path}/set: 1 .txt files beside its folders aren't read."]
    put("set/neg/2.txt", ""), put("set/neg/3.txt", b"a\n\xff")
    bad = BadItems(1)
    assert len(read_texts(tmp_path / "set", bad=bad)) == 3
    assert "neg/2.txt: is empty" in str(bad)
    assert "neg/3.txt: is not UTF-8 (byte 0xff, the 1. of line 2)" in str(bad)
    with pytest.raises(DataError, match=r"texts in folders of folders \(set/neg/1.txt\); name"):
        read_texts(tmp_path)
    assert len(read_texts(tmp_path / "set" / "pos", labels=False)) == 2


def test_folders_with_a_file_for_each_class(put, tmp_path):
    put("Irish.txt", "Adam\n\nAhearn\n"), put("Greek.txt", "Adamidis\n")
    notes = []
    items = read_texts(tmp_path, notes=notes)
    assert shown(items) == [("Greek", "Adamidis"), ("Irish", "Adam"), ("Irish", "Ahearn")]
    assert items[2].origin == f"{tmp_path}/Irish.txt, line 3"
    assert "each of its 2 .txt files was read as a class" in notes[0]
    put("Irish.txt", "1 a\n0 b\n1 c\n")
    with pytest.raises(DataError, match=r"labels of their own \(first_word\)"):
        read_texts(tmp_path)


def test_a_folder_without_texts(tmp_path):
    with pytest.raises(DataError, match=r"has no folders with \.txt files"):
        read_texts(tmp_path)


def test_lists_in_memory(put):
    path = put("a.csv", FILES["a.csv"])
    items = read_texts([("good", 1), ["bad", "0"], path, str(path)])
    assert shown(items) == [("1", "good"), ("0", "bad"), *PAIRS, *PAIRS]
    assert items[1].origin == "item 1"
    assert len({item.name for item in items}) == 10
    assert shown(read_texts(["a.csv", " b "], labels=False)) == [(None, "a.csv"), (None, "b")]
    with pytest.raises(DataError, match=r"item 1 \(from 0\) is an object of type int; give"):
        read_texts([("a", "b"), 3])
    with pytest.raises(DataError, match="type int is not a source of texts"):
        read_texts(3)
    with pytest.raises(DataError, match="item 0: has an empty text"):
        read_texts([(None, "x")])
    with pytest.raises(DataError, match="There is no text"):
        read_texts([])


@pytest.mark.parametrize("library", [pd, pl])
def test_frames(library):
    frame = library.DataFrame(
        {"id": [7, 8, 9], "Review": ["a", None, "c"], "stars": [3.0, 4.0, None]}
    )
    bad = BadItems(0.9)
    (item,) = read_texts(frame, bad=bad)
    assert (item.text, item.data, dict(item.columns)) == ("3", "a", {"id": "7"})
    assert "the DataFrame, row 1 (from 0): has an empty text" in str(bad)
    assert "the DataFrame, row 2 (from 0): has no label" in str(bad)
    assert len(read_texts([frame[:1], frame[:1]])) == 2


def test_frames_of_categories_and_mixed_columns():
    frame = pd.DataFrame({"text": ["a", "b"], "label": pd.Categorical(["x", "y"]), "odd": [1, "z"]})
    assert shown(read_texts(frame)) == [("x", "a"), ("y", "b")]


def test_parquet(tmp_path):
    path = tmp_path / "a.parquet"
    pl.DataFrame({"text": ["a"], "labels": [["x", "y"]]}).write_parquet(path)
    assert shown(read_texts(path, several=True)) == [('["x", "y"]', "a")]
    with pytest.raises(DataError, match="its label is of type list"):
        read_texts(path)


def test_several_labels(put):
    text = put("a.txt", "__label__b __label__a x y\n__label__a z\n")
    assert [labels_of(i.text) for i in read_texts(text, several=True)] == [("b", "a"), ("a",)]
    table = put("a.csv", 'text,labels\nx,a | b\ny,"[""c"", ""d""]"\nz,[]\nw,\n')
    bad = BadItems(0.5)
    found = read_texts(table, separator="|", bad=bad)
    assert [labels_of(i.text) for i in found] == [("a", "b"), ("c", "d"), ()]
    assert "line 5: has no label" in str(bad)
    rows = put("a.jsonl", '{"text": "x", "labels": ["a", 1]}\n{"text": "y", "labels": "b"}\n')
    assert [labels_of(i.text) for i in read_texts(rows, several=True)] == [("a", "1"), ("b",)]
    assert several_labels({"b", "a"}, None) == '["a", "b"]'
    with pytest.raises(DataError, match="one of its labels is empty"):
        several_labels(["a", ""], None)


def test_labels_of_many_types():
    values = [np.int64(3), np.float32(2.5), True, float("nan"), " x ", 1e300]
    assert [label_of(v) for v in values] == ["3", "2.5", "true", "", "x", "1e+300"]


def test_options_that_do_not_fit(put, tmp_path):
    path = put("a.txt", FILES["i.txt"])
    for options, message in (
        ({"layout": "xml"}, "layout = 'xml' of texts; it is one of auto, table"),
        ({"label_part": "last"}, "label_part = 'last'; it is one of coarse"),
        ({"label_part": "fine"}, "label_part = fine is for lines of LABEL:fine text"),
        ({"layout": "lines"}, "such lines are texts alone"),
        ({"text_column": "x"}, r"was read as lines \(fasttext\), which have no column 'x'"),
    ):
        with pytest.raises(ConfigError, match=message):
            read_texts(path, **options)
    with pytest.raises(ConfigError, match="is a folder, and layout"):
        read_texts(tmp_path, layout="tab")
    with pytest.raises(DataError, match="is not a table, so it has no columns"):
        read_texts(path, where="split=train")


def test_lines_without_labels(put):
    path = put("a.txt", "one text\n\nanother\n")
    assert shown(read_texts(path, labels=False)) == [(None, "one text"), (None, "another")]
    numbered = put("b.txt", "0 one text\n1 another\n0 a third\n")
    texts = [item.data for item in read_texts(numbered, labels=False)]
    assert texts == ["one text", "another", "a third"]


@pytest.mark.data
def test_real_data(real_data):
    bad = BadItems()
    items = read_texts(real_data / "trec_questions" / "trec.train.txt", bad=bad)
    assert (len(items), len(bad), len({item.text for item in items})) == (5451, 1, 6)
    assert "line 66: is not UTF-8 (byte 0xf0, the 53. of line 66)" in str(bad)
    items = read_texts(real_data / "sst2" / "sst2.dev.txt")
    assert len(items) == 872
    counts = Counter(item.text for item in read_texts(real_data / "names_by_nationality"))
    assert (len(counts), counts["Russian"], counts.total()) == (18, 9384, 20050)
