"""Rows of manifests: three formats, their quotation, and each way to be damaged."""

import csv
import gzip

import pandas
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recurra.data.transcripts.manifest_rows import (
    BadRow,
    find_column,
    has_strokes,
    read_rows,
)
from recurra.errors import DataError

CELLS = st.text(st.sampled_from("ab\"',;\n\r é"), max_size=6)


def cells(path):
    return [row.cells for row in read_rows(path)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "path,text\na.wav,hi\nb.wav,yo\n"),
        ("a.csv", "\ufeffpath,text\r\na.wav,hi\r\n\r\nb.wav,yo"),
        ("a.csv", '"path","text"\n"a.wav","hi"\n"b.wav","yo"\n'),
        ("a.CSV", "path, text,,\na.wav,hi,,\nb.wav,yo\n"),
        ("a.tsv", "path\ttext\na.wav\thi\nb.wav\tyo\n"),
        ("a.tsv", '"path"\t"text"\n"a.wav"\t"hi"\r\n"b.wav"\t"yo"\n'),
        ("a.jsonl", '{"path": "a.wav", "text": "hi"}\n\n{"path":"b.wav","text":"yo"}\r\n'),
    ],
)
def test_all_formats_give_the_same_cells(put, name, content):
    expected = [{"path": "a.wav", "text": "hi"}, {"path": "b.wav", "text": "yo"}]
    assert cells(put(name, content)) == expected
    assert cells(put(f"{name}.gz", gzip.compress(content.encode()))) == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(rows=st.lists(st.tuples(CELLS, CELLS).filter(lambda row: any(map(str.strip, row)))))
def test_what_csv_writes_comes_back(put, rows):
    path = put("a.csv", "")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("path", "text"), ("x", "y"), *rows])
    found = read_rows(path)
    assert [tuple(row.cells.values()) for row in found[1:]] == rows
    assert found[0].line == 2


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(texts=st.lists(st.text(st.sampled_from("ab\"', é"), max_size=6), min_size=1))
def test_what_pandas_writes_with_tabs_comes_back(put, texts):
    path = put("a.tsv", "")
    pandas.DataFrame({"path": "x", "text": texts}).to_csv(path, sep="\t", index=False)
    pairs = zip((row["text"] for row in cells(path)), texts, strict=True)
    assert all(found == text for found, text in pairs)


def test_marks_that_nobody_doubled_stay_in_tsv(put):
    path = put("a.tsv", 'path\tsentence\na\t"Yes"\nb\t"Yes" and "no"\nc\t"open\nd\tx\n')
    assert [row["sentence"] for row in cells(path)] == ['"Yes"', '"Yes" and "no"', '"open', "x"]


def test_lines_are_those_of_an_editor(put):
    rows = read_rows(put("a.csv", 'path,text\n\na,"two\nlines"\nb,x,y\nc,z\n'))
    assert [row.line for row in rows] == [3, 5, 6]
    assert isinstance(rows[1], BadRow)
    assert rows[1].message.startswith("has 3 cells, and the header 2; put a text that has the sep")


def test_rows_of_json_that_are_no_objects_are_bad(put):
    lines = ["[1]", "5", '"a"', "true", "null", "{bad", '{"a": 1, "b": null, "c": [1, "é"]}']
    *bad, good = read_rows(put("a.jsonl", "\n".join(lines)))
    starts = ("is a list", "is a number", "is a text", "is a truth value", "is null")
    assert all(row.message.startswith(start) for row, start in zip(bad, starts, strict=False))
    assert bad[5].message.startswith("is not valid JSON (Expecting property name")
    assert "column 2" in bad[5].message
    assert good.cells == {"a": "1", "b": "", "c": '[1, "é"]'}
    assert not good.strokes


def test_strokes_are_seen_and_not_kept(put):
    path = put("a.ndjson", '{"id": "x", "text": "hi", "strokes": [[[1, 2]]]}\n')
    (row,) = read_rows(path)
    assert (row.strokes, dict(row.cells)) == (True, {"id": "x", "text": "hi"})
    assert has_strokes(path)
    assert not has_strokes(put("b.jsonl", '{"path": "a.wav"}\n'))
    assert not has_strokes(put("c.jsonl.gz", b"not packed"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv: is empty"),
        ("a.csv", b"\n  \n", "a.csv: is empty"),
        ("a.csv", b"path,text\n", "a.csv: has no rows; give one line for each item"),
        ("a.csv", b"path,text\na,caf\xe9\n", r"not UTF-8 \(byte 0xe9 in line 2\).*iconv -f latin1"),
        ("a.csv", "path,text\na,b\n".encode("utf-16"), "iconv -f utf-16"),
        ("a.csv", b'path,text\nb,x\na,"hi\n', r"row that begins in line 3 .*mark that isn't clos"),
        ("a.csv", b"path;text\na;b\n", "header is one cell with ';' in it.*commas"),
        ("a.csv", b"path,text,text\na,b,c\n", "several columns are called 'text'"),
        ("a.csv", b"a.csv,hello\n", r"first row looks like data \('a.csv', 'hello'\); add a head"),
        ("a.csv.gz", b"\x1f\x8bxx", "a.csv.gz: cannot be unpacked"),
    ],
)
def test_manifests_that_cannot_be_read(put, name, content, message):
    with pytest.raises(DataError, match=message):
        read_rows(put(name, content))


def test_columns_are_found_by_name_or_given(tmp_path):
    known = ("text", "file_name")

    def find(columns, given=None):
        return find_column(tmp_path, columns, known, "text", given)

    assert find(["a", "Text"]) == "Text"
    assert find(["File-Name"]) == "File-Name"
    assert find(["a", "b"]) is None
    assert find(["text", "b"], "b") == "b"
    with pytest.raises(DataError, match=r"no column 'c' \(text\); it has 'a', 'b'"):
        find(["a", "b"], "c")
    with pytest.raises(DataError, match=r"'text', 'file name' may each be the text; .*text_column"):
        find(["text", "file name"])
